"""Functions by PyTorch's names, one family per file, gathered here."""

import sys

from tapegrad.autograd.autocast import behind_casts

from . import (
    activation,
    arithmetic,
    comparison,
    contraction,
    creation,
    diagonals,
    distances,
    exponential,
    generators,
    indexing,
    joining,
    kinds,
    logic,
    matrices,
    positions,
    products,
    random,
    ranges,
    reductions,
    repeating,
    rounding,
    scans,
    scattering,
    selection,
    shape,
    sorting,
    special,
    statistics,
    trigonometry,
)
from . import (
    linalg as linalg,  # a module of its own: its norm, cross and diagonal are not these
)
from .activation import *
from .arithmetic import *
from .comparison import *
from .contraction import *
from .creation import *
from .diagonals import *
from .distances import *
from .exponential import *
from .generators import *
from .indexing import *
from .joining import *
from .kinds import *
from .logic import *
from .matrices import *
from .positions import *
from .products import *
from .random import *
from .ranges import *
from .reductions import *
from .repeating import *
from .rounding import *
from .scans import *
from .scattering import *
from .selection import *
from .shape import *
from .sorting import *
from .special import *
from .statistics import *
from .trigonometry import *

__all__ = [
    *activation.__all__,
    *arithmetic.__all__,
    *comparison.__all__,
    *contraction.__all__,
    *creation.__all__,
    *diagonals.__all__,
    *distances.__all__,
    *exponential.__all__,
    *generators.__all__,
    *indexing.__all__,
    *joining.__all__,
    *kinds.__all__,
    *logic.__all__,
    *matrices.__all__,
    *positions.__all__,
    *products.__all__,
    *random.__all__,
    *ranges.__all__,
    *reductions.__all__,
    *repeating.__all__,
    *rounding.__all__,
    *scans.__all__,
    *scattering.__all__,
    *selection.__all__,
    *shape.__all__,
    *sorting.__all__,
    *special.__all__,
    *statistics.__all__,
    *trigonometry.__all__,
]

behind_casts(
    sys.modules[__name__],
    {name: globals()[name] for name in __all__}
    | {f"linalg.{name}": getattr(linalg, name) for name in linalg.__all__},
)
