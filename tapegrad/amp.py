"""Automatic mixed precision: `tapegrad.amp.autocast`, `GradScaler`, two decorators."""

from tapegrad.autograd.autocast import autocast, custom_bwd, custom_fwd, is_autocast_available
from tapegrad.optim.grad_scaler import GradScaler

__all__ = ["GradScaler", "autocast", "custom_bwd", "custom_fwd", "is_autocast_available"]
