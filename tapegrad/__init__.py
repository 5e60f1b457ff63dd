"""Reverse-mode automatic differentiation on a tape you can read, check and draw.

The public names, gathered: tensors and their operations by PyTorch's names, the tape, gradients.
Layers are in `tapegrad.nn`, optimizers in `tapegrad.optim`, batches in `tapegrad.data`.
"""

from tapegrad import autograd, data, nn, optim
from tapegrad.autograd import (
    Generator,
    ShapeError,
    Tape,
    Tensor,
    enable_grad,
    is_grad_enabled,
    manual_seed,
    no_grad,
    operations,
    set_grad_enabled,
)
from tapegrad.autograd.arrays import (
    bfloat16,
    bool_,
    device,
    float16,
    float32,
    float64,
    get_default_dtype,
    int8,
    int16,
    int32,
    int64,
    set_default_dtype,
    uint8,
)
from tapegrad.autograd.operations import *
from tapegrad.kernels.memory import keep_freed
from tapegrad.nn.functional import (
    avg_pool2d,
    conv2d,
    cross_entropy,
    linear,
    max_pool2d,
    nll_loss,
    one_hot,
    pad,
)
from tapegrad.nn.serialization import load, save

keep_freed()

# PyTorch's names of the dtypes; the built-ins stay reachable through `builtins`.
half, float, double = float16, float32, float64
short, int, long = int16, int32, int64
bool = bool_
__version__ = "0.1.0"

__all__ = [
    *operations.__all__,
    "Generator",
    "ShapeError",
    "Tape",
    "Tensor",
    "autograd",
    "avg_pool2d",
    "bfloat16",
    "bool",
    "conv2d",
    "cross_entropy",
    "data",
    "device",
    "double",
    "enable_grad",
    "float",
    "float16",
    "float32",
    "float64",
    "get_default_dtype",
    "half",
    "int",
    "int8",
    "int16",
    "int32",
    "int64",
    "is_grad_enabled",
    "linear",
    "load",
    "long",
    "manual_seed",
    "max_pool2d",
    "nll_loss",
    "nn",
    "no_grad",
    "one_hot",
    "optim",
    "pad",
    "save",
    "set_default_dtype",
    "set_grad_enabled",
    "short",
    "uint8",
]
