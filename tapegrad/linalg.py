"""Linear algebra: `tapegrad.linalg.inv`, `svd`, `norm` and the others, by PyTorch's names."""

from tapegrad.autograd.operations.linalg import *  # noqa: F403
from tapegrad.autograd.operations.linalg import __all__ as __all__
