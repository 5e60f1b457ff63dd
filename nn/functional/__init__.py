"""Layers as functions, under PyTorch's names, one family per file."""

import sys

from tapegrad.autograd.autocast import behind_casts
from tapegrad.autograd.operations import sigmoid, tanh

from . import (
    activation,
    adaptive_pooling,
    affine,
    attention,
    classification_losses,
    convolution,
    distances,
    embeddings,
    fractional_pooling,
    margin_losses,
    multihead,
    normalization,
    padding,
    pooling,
    rectifiers,
    regression_losses,
    regularization,
    resizing,
    sampling,
    sequence_losses,
    shuffling,
)
from .activation import *
from .adaptive_pooling import *
from .affine import *
from .attention import *
from .classification_losses import *
from .convolution import *
from .distances import *
from .embeddings import *
from .fractional_pooling import *
from .margin_losses import *
from .multihead import *
from .normalization import *
from .padding import *
from .pooling import *
from .rectifiers import *
from .regression_losses import *
from .regularization import *
from .resizing import *
from .sampling import *
from .sequence_losses import *
from .shuffling import *

__all__ = [
    *activation.__all__,
    *rectifiers.__all__,
    *convolution.__all__,
    *regularization.__all__,
    *embeddings.__all__,
    *affine.__all__,
    *attention.__all__,
    *multihead.__all__,
    *regression_losses.__all__,
    *classification_losses.__all__,
    *margin_losses.__all__,
    *sequence_losses.__all__,
    *distances.__all__,
    *normalization.__all__,
    *padding.__all__,
    *resizing.__all__,
    *sampling.__all__,
    *shuffling.__all__,
    *pooling.__all__,
    *adaptive_pooling.__all__,
    *fractional_pooling.__all__,
    "sigmoid",
    "tanh",
]

behind_casts(
    sys.modules[__name__],
    {name: globals()[name] for name in __all__}
    | {"bordered": padding.bordered, "upsampled": resizing.upsampled},
)
