"""CUDA on a CPU: kernels run without a GPU, as they are, so that they can be proven and stepped through."""

from tapegrad.kernels.emulator.building import EmulatorError
from tapegrad.kernels.emulator.module import EmulatedModule

__all__ = ["EmulatedModule", "EmulatorError"]
