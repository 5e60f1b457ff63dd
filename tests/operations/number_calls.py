"""Calls that write a number, the same for tapegrad and PyTorch: `call(m, x, number)`.

`m` is the library, and x a vector of three elements.
"""

from __future__ import annotations


def _mask(m):
    return m.tensor([True, False, True])


def _first(m):
    return m.tensor([0])


# Refused where the dtype of x cannot hold the number.
FILLS = {
    "full": lambda m, x, v: m.full((2,), v, dtype=x.dtype),
    "full_like": lambda m, x, v: m.full_like(x, v),
    "new_full": lambda m, x, v: x.new_full((2,), v),
    "fill": lambda m, x, v: m.fill(x, v),
    "fill_": lambda m, x, v: x.fill_(v),
    "masked_fill": lambda m, x, v: x.masked_fill(_mask(m), v),
    "masked_fill_": lambda m, x, v: x.masked_fill_(_mask(m), v),
    "index_fill": lambda m, x, v: x.index_fill(0, _first(m), v),
    "index_fill_": lambda m, x, v: x.index_fill_(0, _first(m), v),
    "scatter": lambda m, x, v: x.scatter(0, _first(m), value=v),
    "scatter add": lambda m, x, v: x.scatter(0, _first(m), value=v, reduce="add"),
    "scatter multiply": lambda m, x, v: x.scatter(0, _first(m), value=v, reduce="multiply"),
    "pad": lambda m, x, v: m.nn.functional.pad(x, (1, 1), value=v),
    "constant_pad_nd": lambda m, x, v: m.constant_pad_nd(x, (0, 1), v),
    "threshold": lambda m, x, v: m.nn.functional.threshold(x, 0, v),
    "constant_": lambda m, x, v: m.nn.init.constant_(x, v),
    "linspace": lambda m, x, v: m.linspace(0, v, 3, dtype=x.dtype),
}
# Likewise, where x is of floats.
BOUNDS = {
    "clamp min": lambda m, x, v: x.clamp(min=v),
    "clamp max": lambda m, x, v: x.clamp(max=v),
    "clamp_": lambda m, x, v: x.clamp_(max=v),
    "clamp_min": lambda m, x, v: m.clamp_min(x, v),
    "hardtanh": lambda m, x, v: m.nn.functional.hardtanh(x, -abs(v), abs(v)),
    "hardshrink": lambda m, x, v: m.nn.functional.hardshrink(x, abs(v)),
    "logit": lambda m, x, v: m.logit(x, v),
    "histc": lambda m, x, v: m.histc(x, 3, 0, abs(v)),
    "index_add": lambda m, x, v: x.index_add(0, _first(m), x[:1], alpha=v),
}
# Rounded to an infinity where x is of a half type, and refused elsewhere.
WRITES = {
    "where": lambda m, x, v: m.where(_mask(m), x, v),
    "where number first": lambda m, x, v: m.where(_mask(m), v, x),
    "x[i] = v": lambda m, x, v: (x.__setitem__(1, v), x)[1],
    "x[mask] = v": lambda m, x, v: (x.__setitem__(_mask(m), v), x)[1],
    "scalar_tensor": lambda m, x, v: m.scalar_tensor(v, dtype=x.dtype),
}
# Computed with as it is, or rounded to an infinity.
OTHERS = {
    "tensor": lambda m, x, v: m.tensor([v], dtype=x.dtype),
    "tensor of no dimensions": lambda m, x, v: m.tensor(v, dtype=x.dtype),
    "as_tensor": lambda m, x, v: m.as_tensor([v], dtype=x.dtype),
    "new_tensor": lambda m, x, v: x.new_tensor([v]),
    "copy_": lambda m, x, v: x.copy_(m.tensor([v, 0.0, v], dtype=m.float64)),
    "nan_to_num": lambda m, x, v: m.nan_to_num(m.full_like(x, float("nan")), nan=v),
    "==": lambda m, x, v: x == v,
    "!=": lambda m, x, v: x != v,
    "<": lambda m, x, v: x < v,
    "+": lambda m, x, v: x + v,
    "add_": lambda m, x, v: x.add_(m.tensor([v, 0.0, v], dtype=m.float64)),
    "copysign": lambda m, x, v: m.copysign(x, v),
    "searchsorted": lambda m, x, v: m.searchsorted(x, v),
    "pad of nothing": lambda m, x, v: m.nn.functional.pad(x, (0, 0), value=v),
}
