"""Sums of products over named dimensions: einsum, tensordot, and the products they contain.

Every contraction of two tensors becomes one matrix product: dimensions of both that stay are its
stack, dimensions of both that do not are summed over, and those of one alone are its rows or
columns. Dimensions are permuted as views; what must be copied for the multiplication, it copies.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from tapegrad.autograd.arrays import FLOATS, int64
from tapegrad.autograd.engine import cast, describe
from tapegrad.autograd.errors import ArgumentError, ShapeError
from tapegrad.autograd.gates import products as gates
from tapegrad.autograd.gates.diagonals import diagonal
from tapegrad.autograd.gates.reductions import sum_
from tapegrad.autograd.gates.shape import permute, reshape
from tapegrad.autograd.records import Variable

from .arguments import check_tensor, normalize_dim, same_dtype

__all__ = [
    "einsum",
    "tensordot",
]

Label = int
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def einsum(equation: Any, *operands: Any) -> Any:
    """Sums of products in Einstein's notation: one letter per dimension, `...` for the others.

    `"bij,bjk->bik"` multiplies two stacks of matrices. Letters that the output does not have are
    summed over; without `->` it has those that occur once, in alphabetical order, after the
    dimensions of `...`. A letter twice in one operand means its diagonal. Sizes of 1 broadcast.
    In place of an equation lists of numbers may follow the operands: `einsum(x, [0, 1], y, [1])`.
    More than two operands are contracted in an order that keeps the work small.

    >>> import tapegrad as tg
    >>> x, y = tg.tensor([[1.0, 2.0], [3.0, 4.0]]), tg.tensor([1.0, 10.0])
    >>> tg.einsum("ij,j->i", x, y), tg.einsum("ii", x), tg.einsum("ij,ij->j", x, x)
    (tensor([21., 43.]), tensor(5.), tensor([10., 20.]))
    """
    if isinstance(equation, str):
        if len(operands) == 1 and isinstance(operands[0], (list, tuple)):
            operands = tuple(operands[0])
        terms, output = _parsed(equation)
    else:
        operands, terms, output = _from_lists((equation, *operands))
    tensors = [check_tensor("einsum", operand) for operand in operands]
    if len(tensors) != len(terms):
        raise ArgumentError(
            f"einsum: the equation names {len(terms)} operands, but {len(tensors)} are given"
        )
    same_dtype("einsum", *tensors)
    terms, wanted = _labelled(tensors, terms, output)
    sizes: dict[Label, int] = {}
    for tensor, term in zip(tensors, terms, strict=True):
        for label, size in zip(term, tensor._data.shape, strict=True):
            known = sizes.setdefault(label, size)
            if known == 1:
                sizes[label] = size
            elif size not in (1, known):
                raise ShapeError(
                    f"einsum: {', '.join(map(describe, tensors))} do not fit: one subscript "
                    f"({_name(label)}) is of sizes {known} and {size}"
                )
    parts = [_diagonals(tensor, term) for tensor, term in zip(tensors, terms, strict=True)]
    for step in _order(parts, wanted, sizes):
        group = [parts.pop(i) for i in sorted(step, reverse=True)]
        while len(group) > 1:
            y, x = group.pop(-2), group.pop()
            kept = set(wanted).union(*(term for _, term in parts + group))
            group.append(_contracted(*x, *y, kept))
        parts += group
    tensor, term = _summed(*parts[0], set(wanted))
    return _permuted(tensor, term, wanted)


def tensordot(a: Any, b: Any, dims: Any = 2) -> Any:
    """The sum of products over dimensions of both: those listed, or the last n of a and first of b.

    >>> import tapegrad as tg
    >>> x = tg.arange(6.0).reshape(2, 3)
    >>> tg.tensordot(x, x, dims=([1], [1]))
    tensor([[ 5., 14.],
            [14., 50.]])
    """
    x, y = check_tensor("tensordot", a), check_tensor("tensordot", b)
    same_dtype("tensordot", x, y)
    if isinstance(dims, Variable):
        dims = dims._data.tolist()
    if isinstance(dims, Sequence):
        if len(dims) != 2:
            raise ArgumentError(f"tensordot: dims must be two lists or a number, got {dims!r}")
        firsts, seconds = ([d] if isinstance(d, int) else list(d) for d in dims)
    else:
        if dims < 0 or dims > min(x._data.ndim, y._data.ndim):
            raise ArgumentError(
                f"tensordot: {describe(x)} and {describe(y)} do not have {dims} dimensions each"
            )
        firsts, seconds = list(range(x._data.ndim - dims, x._data.ndim)), list(range(dims))
    if len(firsts) != len(seconds):
        raise ArgumentError(
            f"tensordot: as many dimensions of each are needed, got {firsts} and {seconds}"
        )
    firsts = [normalize_dim("tensordot", d, x._data.ndim) for d in firsts]
    seconds = [normalize_dim("tensordot", d, y._data.ndim) for d in seconds]
    if len(set(firsts)) != len(firsts) or len(set(seconds)) != len(seconds):
        raise ArgumentError(f"tensordot: a dimension appears twice in {firsts} and {seconds}")
    for d, e in zip(firsts, seconds, strict=True):
        n, m = x._data.shape[d], y._data.shape[e]
        if n != m and 1 not in (n, m):
            raise ShapeError(
                f"tensordot: {describe(x)} and {describe(y)} do not fit: dimension {d} of the "
                f"first has size {n}, dimension {e} of the second {m}"
            )
    x_term = list(range(x._data.ndim))
    y_term = [x._data.ndim + e for e in range(y._data.ndim)]
    for d, e in zip(firsts, seconds, strict=True):
        y_term[e] = d
    wanted = [d for d in x_term if d not in firsts] + [e for e in y_term if e >= x._data.ndim]
    product, term = _contracted(x, x_term, y, y_term, set(wanted))
    product = _permuted(product, term, wanted)
    return product if product._data.dtype == x._data.dtype else cast(product, dtype=x._data.dtype)


# How an equation is read

_ELLIPSIS = -1


@functools.lru_cache(256)
def _parsed(equation: str) -> tuple[list[list[Label]], list[Label] | None]:
    """The subscripts of each operand and of the output, None where the equation has none."""
    left, arrow, right = equation.replace(" ", "").partition("->")
    terms = [_term(part, equation) for part in left.split(",")]
    return terms, _term(right, equation) if arrow else None


def _term(text: str, equation: str) -> list[Label]:
    """The subscripts of one operand."""
    parts = re.findall(r"\.\.\.|.", text)
    if parts.count("...") > 1 or any(p != "..." and p not in LETTERS for p in parts):
        raise ArgumentError(
            f"einsum: {text!r} in the equation {equation!r} is not made of letters and one '...'"
        )
    return [_ELLIPSIS if part == "..." else LETTERS.index(part) for part in parts]


def _from_lists(given: tuple[Any, ...]) -> tuple[Any, list[list[Label]], list[Label] | None]:
    """Operands, each followed by a list of its subscripts; the output's last, if at all."""
    count = len(given) // 2
    if not count:
        raise ArgumentError("einsum: expected an equation and operands, or operands and lists")
    terms = [_subscripts(given[2 * i + 1]) for i in range(count)]
    output = _subscripts(given[-1]) if len(given) % 2 else None
    return given[: 2 * count : 2], terms, output


def _subscripts(listed: Any) -> list[Label]:
    if not isinstance(listed, Sequence) or isinstance(listed, str):
        raise ArgumentError(f"einsum: expected a list of subscripts, got {describe(listed)}")
    labels = [_ELLIPSIS if label is Ellipsis else label for label in listed]
    for label in labels:
        if label != _ELLIPSIS and not 0 <= label < len(LETTERS):
            raise ArgumentError(f"einsum: subscripts are of 0 to {len(LETTERS) - 1}, not {label}")
    if labels.count(_ELLIPSIS) > 1:
        raise ArgumentError(f"einsum: one ellipsis is enough, got {listed!r}")
    return labels


def _name(label: Label) -> str:
    return LETTERS[label] if label < len(LETTERS) else "..."


def _labelled(
    tensors: list[Any], terms: list[list[Label]], output: list[Label] | None
) -> tuple[list[list[Label]], list[Label]]:
    """A label for every dimension, those of an ellipsis counted from the right; and the output."""
    longest, full = 0, []
    for tensor, term in zip(tensors, terms, strict=True):
        extra = tensor._data.ndim - len(term)
        if _ELLIPSIS in term:
            extra += 1
            longest = max(longest, extra)
        if extra < 0 or (extra and _ELLIPSIS not in term):
            raise ShapeError(
                f"einsum: {len(term)} subscripts do not fit {describe(tensor)}; an ellipsis '...' "
                "stands for dimensions without one"
            )
        full.append(_filled(term, extra))
    if output is None:
        flat = [label for term in terms for label in term if label != _ELLIPSIS]
        once = sorted(label for label in set(flat) if flat.count(label) == 1)
        return full, [*_filled([_ELLIPSIS], longest), *once]
    known = {label for term in full for label in term}
    wanted = _filled(output, longest)
    for label in wanted:
        if wanted.count(label) > 1:
            raise ArgumentError(f"einsum: the output has the subscript {_name(label)} twice")
        if label not in known:
            raise ArgumentError(f"einsum: no operand has the output's subscript {_name(label)}")
    return full, wanted


def _filled(term: list[Label], count: int) -> list[Label]:
    """The labels of `count` dimensions in place of the ellipsis."""
    inside = [len(LETTERS) + count - 1 - i for i in range(count)]
    return [own for label in term for own in (inside if label == _ELLIPSIS else [label])]


# How it is computed


def _order(
    parts: list[tuple[Any, list[Label]]], wanted: list[Label], sizes: dict[Label, int]
) -> list[tuple[int, ...]]:
    """Which to contract, step by step; each result goes to the end."""
    number = {label: i for i, label in enumerate(sizes)}
    if len(parts) < 3 or len(number) > len(LETTERS):
        return [tuple(range(len(parts)))]
    plan: list[Any] = []
    for _, term in parts:  # NumPy plans by shapes alone
        plan.append(np.broadcast_to(0.0, [sizes[label] for label in term]))
        plan.append([number[label] for label in term])
    plan.append([number[label] for label in wanted])
    effort = "optimal" if len(parts) < 6 else "greedy"
    return np.einsum_path(*plan, optimize=effort)[0][1:]


def _diagonals(tensor: Any, term: list[Label]) -> tuple[Any, list[Label]]:
    """The tensor at equal positions along dimensions that share a label."""
    while twice := [label for label in term if term.count(label) > 1]:
        first = term.index(twice[0])
        second = term.index(twice[0], first + 1)
        rest = [i for i in range(len(term)) if i not in (first, second)]
        if tensor._data.shape[first] != tensor._data.shape[second]:
            raise ShapeError(
                f"einsum: {describe(tensor)} has the subscript {_name(twice[0])} for dimensions of "
                "different sizes"
            )
        tensor = diagonal(permute(tensor, dims=(*rest, first, second)), offset=0)
        term = [*(term[i] for i in rest), twice[0]]
    return tensor, term


def _summed(tensor: Any, term: list[Label], kept: set[Label]) -> tuple[Any, list[Label]]:
    """The tensor summed over what is not kept."""
    dims = tuple(i for i, label in enumerate(term) if label not in kept)
    if dims:
        if tensor._data.dtype not in FLOATS:
            tensor = cast(tensor, dtype=int64)  # as sums are
        tensor = sum_(tensor, dims=dims, keepdim=False)
    return tensor, [label for label in term if label in kept]


def _without(tensor: Any, term: list[Label], dropped: set[Label]) -> tuple[Any, list[Label]]:
    """The tensor without dimensions of size 1."""
    if dropped.isdisjoint(term):
        return tensor, term
    sizes = zip(tensor._data.shape, term, strict=True)
    left = tuple(size for size, label in sizes if label not in dropped)
    return reshape(tensor, shape=left), [label for label in term if label not in dropped]


def _contracted(
    x: Any, x_term: list[Label], y: Any, y_term: list[Label], kept: set[Label]
) -> tuple[Any, list[Label]]:
    """The product of two summed over what is not kept, and the labels of its dimensions."""
    x_sizes = dict(zip(x_term, x._data.shape, strict=True))
    y_sizes = dict(zip(y_term, y._data.shape, strict=True))
    single = {b for b in x_term if x_sizes[b] == 1 and (b not in kept or y_sizes.get(b, 1) != 1)}
    x, x_term = _without(x, x_term, single)
    single = {b for b in y_term if y_sizes[b] == 1 and (b not in kept or b in x_sizes)}
    y, y_term = _without(y, y_term, single)
    x, x_term = _summed(x, x_term, kept | set(y_term))
    y, y_term = _summed(y, y_term, kept | set(x_term))
    batch = [label for label in x_term if label in y_term and label in kept]
    inner = [label for label in x_term if label in y_term and label not in kept]
    rows = [label for label in x_term if label not in y_term]
    columns = [label for label in y_term if label not in x_term]
    x = _permuted(x, x_term, [*batch, *rows, *inner])
    y = _permuted(y, y_term, [*batch, *inner, *columns])
    term = [*batch, *rows, *columns]
    stack, out = len(batch), x._data.shape[: len(batch) + len(rows)]
    out = (*out, *y._data.shape[stack + len(inner) :])
    if not inner:
        shape = (*x._data.shape, *(1,) * len(columns))
        y = reshape(y, shape=(*y._data.shape[:stack], *(1,) * len(rows), *y._data.shape[stack:]))
        return reshape(x, shape=shape) * y, term
    x = _as_matrices(x, stack, len(rows))
    y = _as_matrices(y, stack, len(inner))
    product = gates.matmul(x, y)
    return product if product._data.shape == out else reshape(product, shape=out), term


def _permuted(tensor: Any, term: list[Label], wanted: list[Label]) -> Any:
    """The dimensions in the order of `wanted`."""
    if term == wanted:
        return tensor
    return permute(tensor, dims=tuple(map(term.index, wanted)))


def _as_matrices(x: Any, stack: int, rows: int) -> Any:
    """Dimensions made into those of matrices: after the stack `rows` of them, then the others."""
    shape = x._data.shape
    left, right = shape[stack : stack + rows], shape[stack + rows :]
    if len(left) == len(right) == 1:
        return x
    return reshape(x, shape=(*shape[:stack], math.prod(left), math.prod(right)))
