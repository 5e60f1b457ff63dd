"""Functions by PyTorch's names, one family per file, gathered here."""

from . import (
    arithmetic,
    comparison,
    creation,
    exponential,
    indexing,
    products,
    random,
    reductions,
    selection,
    shape,
    trigonometry,
)
from .arithmetic import *
from .comparison import *
from .creation import *
from .exponential import *
from .indexing import *
from .products import *
from .random import *
from .reductions import *
from .selection import *
from .shape import *
from .trigonometry import *

__all__ = [
    *arithmetic.__all__,
    *comparison.__all__,
    *creation.__all__,
    *exponential.__all__,
    *indexing.__all__,
    *products.__all__,
    *random.__all__,
    *reductions.__all__,
    *selection.__all__,
    *shape.__all__,
    *trigonometry.__all__,
]
