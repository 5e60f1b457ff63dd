"""GPUs: `tapegrad.cuda.is_available`, `Stream`, `memory_summary` and so on, by PyTorch's names."""

from tapegrad.autograd.cuda import *  # noqa: F403
from tapegrad.autograd.cuda import __all__ as __all__
