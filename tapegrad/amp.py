"""Automatic mixed precision: `tapegrad.amp.autocast`, `GradScaler` and the two decorators."""

from tapegrad.autograd.autocast import autocast, custom_bwd, custom_fwd

__all__ = ["autocast", "custom_bwd", "custom_fwd"]
