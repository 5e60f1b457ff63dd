"""CUDA on a CPU: kernels run without a GPU, unmodified, so that they can be proven there."""

from tapegrad.kernels.emulator.backend import EmulatedBackend
from tapegrad.kernels.emulator.building import Build, EmulatorError, build_all
from tapegrad.kernels.emulator.module import EmulatedModule

__all__ = ["Build", "EmulatedBackend", "EmulatedModule", "EmulatorError", "build_all"]
