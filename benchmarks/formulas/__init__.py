"""Every operation, and what one would write for it in NumPy: the rows of `operations.py`."""

from . import layers, losses, pointwise, products, reductions, shapes
from .inputs import INPUTS

__all__ = ["INPUTS", "ROWS"]

ROWS = {
    name: row
    for family in (pointwise, reductions, shapes, products, layers, losses)
    for name, row in family.ROWS.items()
}
