"""Automatic mixed precision: `tapegrad.amp.autocast`, `GradScaler` and the two decorators."""

from tapegrad.autograd.autocast import autocast, custom_bwd, custom_fwd
from tapegrad.optim.grad_scaler import GradScaler

__all__ = ["GradScaler", "autocast", "custom_bwd", "custom_fwd"]
