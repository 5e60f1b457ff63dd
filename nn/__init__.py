"""Layers, losses, initial values and saving, under PyTorch's names.

`Module` is the base class; `functional` holds what layers compute, `init` how their parameters
start, `utils` what is done to all parameters at once.
"""

from . import functional, init, utils
from .modules.activation import (
    ELU,
    GELU,
    LeakyReLU,
    LogSoftmax,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)
from .modules.container import ModuleDict, ModuleList, ParameterList, Sequential
from .modules.convolution import Conv2d
from .modules.dropout import Dropout
from .modules.flatten import Flatten, Unflatten
from .modules.linear import Identity, Linear
from .modules.loss import (
    BCELoss,
    BCEWithLogitsLoss,
    CrossEntropyLoss,
    L1Loss,
    MSELoss,
    MultiClassSVMLoss,
    MultiMarginLoss,
    NLLLoss,
)
from .modules.module import Module
from .modules.pooling import AvgPool2d, MaxPool2d
from .parameter import Parameter
from .serialization import load, save

__all__ = [
    "ELU",
    "GELU",
    "AvgPool2d",
    "BCELoss",
    "BCEWithLogitsLoss",
    "Conv2d",
    "CrossEntropyLoss",
    "Dropout",
    "Flatten",
    "Identity",
    "L1Loss",
    "LeakyReLU",
    "Linear",
    "LogSoftmax",
    "MSELoss",
    "MaxPool2d",
    "Module",
    "ModuleDict",
    "ModuleList",
    "MultiClassSVMLoss",
    "MultiMarginLoss",
    "NLLLoss",
    "Parameter",
    "ParameterList",
    "ReLU",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Tanh",
    "Unflatten",
    "functional",
    "init",
    "load",
    "save",
    "utils",
]
