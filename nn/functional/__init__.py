"""Layers as functions, under PyTorch's names, one family per file."""

from tapegrad.autograd.operations import log_softmax, relu, sigmoid, softmax, tanh

from . import activation, affine, convolution, embedding, losses, padding, pooling, regularization
from .activation import *
from .affine import *
from .convolution import *
from .embedding import *
from .losses import *
from .padding import *
from .pooling import *
from .regularization import *

__all__ = [
    *activation.__all__,
    *convolution.__all__,
    *regularization.__all__,
    *embedding.__all__,
    *affine.__all__,
    *losses.__all__,
    *padding.__all__,
    *pooling.__all__,
    "log_softmax",
    "relu",
    "sigmoid",
    "softmax",
    "tanh",
]
