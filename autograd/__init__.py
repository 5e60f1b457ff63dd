"""Tensors, gates, the tape and gradients.

`engine` records, `backward` walks back, `gates` are the primitives, `operations` the functions
people call, `tensor` the class they hold, `tape` the record made visible.
"""

from . import devices, functional, operations
from .autocast import autocast, get_autocast_dtype, is_autocast_enabled
from .backward import backward, grad
from .engine import Gate
from .errors import (
    ArgumentError,
    DivisionError,
    DtypeError,
    FusionError,
    PositionError,
    ShapeError,
)
from .explain import explain
from .function import Function
from .fusion import fused
from .gradcheck import GradcheckError, gradcheck, gradgradcheck
from .modes import (
    detect_anomaly,
    enable_grad,
    inference_mode,
    is_grad_enabled,
    no_grad,
    set_grad_enabled,
)
from .operations.creation import as_tensor, from_numpy, tensor
from .operations.generators import Generator, manual_seed
from .tape import Tape
from .tensor import Tensor

devices.install()

__all__ = [
    "ArgumentError",
    "DivisionError",
    "DtypeError",
    "Function",
    "FusionError",
    "Gate",
    "Generator",
    "GradcheckError",
    "PositionError",
    "ShapeError",
    "Tape",
    "Tensor",
    "as_tensor",
    "autocast",
    "backward",
    "detect_anomaly",
    "enable_grad",
    "explain",
    "from_numpy",
    "functional",
    "fused",
    "get_autocast_dtype",
    "grad",
    "gradcheck",
    "gradgradcheck",
    "inference_mode",
    "is_autocast_enabled",
    "is_grad_enabled",
    "manual_seed",
    "no_grad",
    "operations",
    "set_grad_enabled",
    "tensor",
]
