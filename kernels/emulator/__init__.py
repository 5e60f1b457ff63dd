"""CUDA on a CPU: kernels run without a GPU, unmodified, so that they can be proven there."""

from tapegrad.kernels.emulator.backend import EmulatedBackend
from tapegrad.kernels.emulator.building import EmulatorError
from tapegrad.kernels.emulator.module import EmulatedModule

__all__ = ["EmulatedBackend", "EmulatedModule", "EmulatorError"]
