"""Gradients checked against finite differences, to first and to second order.

The central difference (f(x + h) - f(x - h)) / 2h has an error of order h^2; in float64 with
h = 1e-6 rounding adds about 1e-10, so agreement to 1e-5 means the gradient is right. In float32 it
would mean nothing, and the check says so.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .arrays import CPU, FLOATS, Array, device_of, float64
from .backward import grad
from .engine import describe, wrap
from .operations.creation import require_gradient
from .records import Variable
from .transfers import move


class GradcheckError(RuntimeError):
    """An analytic gradient that differs from the numerical one."""


def gradcheck(
    function: Callable[..., Any],
    inputs: Any,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
) -> bool:
    """Whether the gradients of `function` at `inputs` agree with central differences.

    Every floating output is differentiated by every input that requires a gradient, element by
    element: |analytic - numerical| <= atol + rtol |numerical|. Use float64 and points away from
    kinks. A disagreement raises GradcheckError (or gives False) with both Jacobians.

    >>> import tapegrad as tg
    >>> x = tg.tensor([0.5, -1.5], dtype=tg.float64, requires_grad=True)
    >>> tg.autograd.gradcheck(tg.tanh, x)
    True
    """
    tensors = _listed(inputs)
    checked = [t for t in tensors if isinstance(t, Variable) and t._node is not None]
    if not checked:
        raise ValueError("gradcheck: none of the inputs requires a gradient")
    if any(t._data.dtype != float64 for t in checked):
        warnings.warn(
            "gradcheck: inputs should be float64; rounding in lower precision looks like a wrong "
            "gradient",
            stacklevel=2,
        )
    outputs = _floating(function(*tensors))
    if not outputs:
        raise ValueError("gradcheck: the function returns no floating tensor")
    analytic = [[_analytic(output, t) for t in checked] for output in outputs]
    for j, tensor in enumerate(checked):
        numerical = _numerical(function, tensors, tensor, eps)
        for i, output in enumerate(outputs):
            found, expected = analytic[i][j], numerical[i]
            if not np.allclose(found, expected, rtol, atol, equal_nan=True):
                if not raise_exception:
                    return False
                raise GradcheckError(
                    f"output {i} ({describe(output)}) by input {j} ({describe(tensor)}): the "
                    f"gradient differs from the numerical one by up to "
                    f"{np.max(np.abs(found - expected)):.3g}\nanalytic (one row per output "
                    f"element):\n{found}\nnumerical:\n{expected}"
                )
    return True


def gradgradcheck(
    function: Callable[..., Any],
    inputs: Any,
    grad_outputs: Any = None,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
) -> bool:
    """Whether the gradients of the gradients agree with central differences too.

    The gradient, as a function of the inputs and of `grad_outputs` (random unless given), is itself
    checked by `gradcheck`.

    >>> import tapegrad as tg
    >>> x = tg.tensor([0.5, -1.5], dtype=tg.float64, requires_grad=True)
    >>> tg.autograd.gradgradcheck(tg.exp, x)
    True
    """
    tensors = _listed(inputs)
    outputs = [output for output in _floating(function(*tensors)) if output._node is not None]
    if grad_outputs is None:
        stream = np.random.default_rng(0)
        seeds = [
            require_gradient(wrap(_placed(np.asarray(stream.standard_normal(o.shape)), o._data)))
            for o in outputs
        ]
    else:
        seeds = _listed(grad_outputs)
    count = len(tensors)

    def gradients(*everything: Any) -> tuple[Any, ...]:
        ins, seeds = everything[:count], everything[count:]
        outs = [output for output in _floating(function(*ins)) if output._node is not None]
        wanted = [t for t in ins if isinstance(t, Variable) and t._node is not None]
        return grad(outs, wanted, seeds, create_graph=True, materialize_grads=True)

    return gradcheck(
        gradients,
        (*tensors, *seeds),
        eps=eps,
        atol=atol,
        rtol=rtol,
        raise_exception=raise_exception,
    )


def _listed(values: Any) -> list[Any]:
    return [values] if isinstance(values, Variable) else list(values)


def _floating(outputs: Any) -> list[Any]:
    listed: Sequence[Any] = outputs if isinstance(outputs, (tuple, list)) else (outputs,)
    return [o for o in listed if isinstance(o, Variable) and o._data.dtype in FLOATS]


def _analytic(output: Any, tensor: Any) -> np.ndarray:
    """The Jacobian by one backward per output element, which is a row."""
    rows = np.zeros((output._data.size, tensor._data.size))
    if output._node is None:
        return rows
    for i in range(len(rows)):
        one = np.zeros(output._data.size)
        one[i] = 1
        seed = _placed(one.reshape(output._data.shape), output._data)
        (row,) = grad(output, tensor, seed, retain_graph=True, allow_unused=True)
        if row is not None:
            rows[i] = _values(row).reshape(-1)
    return rows


def _placed(values: np.ndarray, like: Array) -> Array:
    """Values in the dtype and on the device of an array."""
    return move(values.astype(like.dtype), device_of(like))


def _values(tensor: Any) -> np.ndarray:
    """A copy of the values in float64."""
    return np.array(move(tensor._data, CPU), float64)


def _numerical(
    function: Callable[..., Any], tensors: list[Any], tensor: Any, eps: float
) -> list[np.ndarray]:
    """The Jacobian of each output by moving one element of `tensor` at a time, a column each."""
    data = tensor.data
    columns: list[list[np.ndarray]] = []
    for position in np.ndindex(data.shape):
        before = data[position].item()
        sides = []
        for step in (eps, -eps):
            data[position] = before + step
            sides.append([_values(o) for o in _floating(function(*tensors))])
        data[position] = before
        columns.append(
            [((up - down) / (2 * eps)).reshape(-1) for up, down in zip(*sides, strict=True)]
        )
    if not columns:
        return [np.zeros((o._data.size, 0)) for o in _floating(function(*tensors))]
    return [np.stack(rows, axis=1) for rows in zip(*columns, strict=True)]
