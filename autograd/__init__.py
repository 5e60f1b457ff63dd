"""Tensors, gates, the tape and gradients.

`engine` records, `backward` walks back, `gates` are the primitives, `operations` the functions
people call, `tensor` the class they hold, `tape` the record made visible.
"""

from tapegrad.autograd import operations
from tapegrad.autograd.backward import backward, grad
from tapegrad.autograd.engine import Gate, ShapeError
from tapegrad.autograd.gradcheck import GradcheckError, gradcheck, gradgradcheck
from tapegrad.autograd.modes import (
    detect_anomaly,
    enable_grad,
    is_grad_enabled,
    no_grad,
    set_grad_enabled,
)
from tapegrad.autograd.operations.creation import as_tensor, from_numpy, tensor
from tapegrad.autograd.operations.random import Generator, manual_seed
from tapegrad.autograd.tape import Tape
from tapegrad.autograd.tensor import Tensor

__all__ = [
    "Gate",
    "Generator",
    "GradcheckError",
    "ShapeError",
    "Tape",
    "Tensor",
    "as_tensor",
    "backward",
    "detect_anomaly",
    "enable_grad",
    "from_numpy",
    "grad",
    "gradcheck",
    "gradgradcheck",
    "is_grad_enabled",
    "manual_seed",
    "no_grad",
    "operations",
    "set_grad_enabled",
    "tensor",
]
