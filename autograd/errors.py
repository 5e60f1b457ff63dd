"""Errors that are of the kind NumPy raises and of the kind PyTorch raises at once.

Code written for either library catches them; each message names the operation and its arguments.
"""

from __future__ import annotations

from tapegrad.kernels.expression import FusionError


class ArgumentError(ValueError, RuntimeError):
    """An argument of the right type whose value makes no sense."""


class ShapeError(ArgumentError):
    """Shapes that do not fit."""


class DtypeError(TypeError, RuntimeError):
    """A dtype that an operation is not made for."""


class PositionError(IndexError, RuntimeError):
    """A position outside the dimension it indexes."""


class DivisionError(ZeroDivisionError, RuntimeError):
    """Whole numbers divided by zero."""


__all__ = [
    "ArgumentError",
    "DivisionError",
    "DtypeError",
    "FusionError",
    "PositionError",
    "ShapeError",
]
