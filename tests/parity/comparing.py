"""The same call on both sides: `same` demands equal results, `same.error` equal mistakes.

A call is written once, as `lambda m, x, y: m.add(x, y)`, and made with `m` as tapegrad and as
PyTorch. Arrays become leaves (floating ones want a gradient), a `View` is a leaf looked at in some
way, and everything else is passed as it is.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from drawing import Draw, View, made, retyped
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tapegrad as tg

PARITY = settings(derandomize=True, max_examples=16, deadline=None, database=None)
TOLERANCE = {"float64": 1e-9, "float32": 1e-5, "float16": 4e-3, "bfloat16": 2e-2}


# What to draw


def shapes(min_dims: int = 0, max_dims: int = 3, max_side: int = 4) -> st.SearchStrategy:
    """Shapes, those with sizes 0 and 1 included."""
    return hnp.array_shapes(min_dims=min_dims, max_dims=max_dims, min_side=0, max_side=max_side)


@st.composite
def views(draw: Any, shape: Any = None) -> View:
    """Values of [0, 1) in a shape, plain or seen through one of several kinds of view."""
    shape = draw(shapes()) if shape is None else draw(shape) if _is_strategy(shape) else shape
    return Draw(draw(st.randoms())).tensor(shape, 0.0, 1.0)


@st.composite
def pairs(draw: Any) -> tuple[View, View]:
    """Two views whose shapes broadcast."""
    drawn = draw(
        hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=3, min_side=0)
    )
    return tuple(draw(views(shape)) for shape in drawn.input_shapes)


def dims(ndim: int) -> st.SearchStrategy:
    """One dimension, counted from either end; 0 or -1 of a scalar."""
    return st.integers(-max(ndim, 1), max(ndim, 1) - 1)


def _is_strategy(value: Any) -> bool:
    return isinstance(value, st.SearchStrategy)


# The two sides


class Ours:
    """tapegrad."""

    module = tg

    def __getattr__(self, name: str) -> Any:
        return getattr(tg, name)

    def leaf(self, array: np.ndarray) -> Any:
        tensor = tg.tensor(array)
        return tensor.requires_grad_() if tensor.is_floating_point() else tensor

    def grad(self, *args: Any, **kwargs: Any) -> Any:
        return tg.autograd.grad(*args, allow_unused=True, **kwargs)

    def array(self, tensor: Any) -> np.ndarray:
        return np.asarray(tensor.detach().data)


class Theirs:
    """PyTorch: functions are those of `torch`, or of `torch.nn.functional` where named here."""

    functional = frozenset(
        (
            "linear",
            "conv2d",
            "max_pool2d",
            "avg_pool2d",
            "cross_entropy",
            "nll_loss",
            "one_hot",
            "pad",
        )
    )

    def __init__(self) -> None:
        self.module = self.torch = pytest.importorskip(
            "torch", reason="parity tests compare with PyTorch: pip install 'tapegrad[parity]'"
        )

    def __getattr__(self, name: str) -> Any:
        return getattr(self.torch.nn.functional if name in self.functional else self.torch, name)

    def expand(self, input: Any, size: Sequence[int]) -> Any:
        return input.expand(size)

    def leaf(self, array: np.ndarray) -> Any:
        if array.dtype == ml_dtypes.bfloat16:
            tensor = self.torch.tensor(array.astype(np.float32)).to(self.torch.bfloat16)
        else:
            tensor = self.torch.tensor(array)
        return tensor.requires_grad_() if tensor.is_floating_point() else tensor

    def grad(self, *args: Any, **kwargs: Any) -> Any:
        return self.torch.autograd.grad(*args, allow_unused=True, **kwargs)

    def array(self, tensor: Any) -> np.ndarray:
        tensor = tensor.detach()
        if tensor.dtype == self.torch.bfloat16:
            return tensor.float().numpy().astype(ml_dtypes.bfloat16)
        return tensor.numpy(force=True)


class Run:
    """A call on one side: its outputs, gradients and second gradients as lists of arrays."""

    def __init__(
        self, side: Any, call: Callable[..., Any], args: Sequence[Any], order: int
    ) -> None:
        self.side = side
        leaves: list[Any] = []

        def leaf(array: np.ndarray) -> Any:
            leaves.append(side.leaf(array))
            return leaves[-1]

        out = call(side, *made(tuple(args), leaf, side.module))
        results = [*out] if isinstance(out, (tuple, list)) else [out]
        outputs = [o for o in results if hasattr(o, "requires_grad")]
        self.plain = [o for o in results if not hasattr(o, "requires_grad")]
        self.outputs = [side.array(o) for o in outputs]
        self.recorded = [o.requires_grad for o in outputs]
        self.first: list[np.ndarray] = []
        self.second: list[np.ndarray] = []
        leaves = [leaf for leaf in leaves if leaf.requires_grad]
        if order and leaves and any(self.recorded):
            self.differentiate([o for o in outputs if o.requires_grad], leaves, order)

    def differentiate(self, outputs: list[Any], inputs: list[Any], order: int) -> None:
        """Gradients for random seeds; then those of their weighted sum, by inputs and seeds."""
        seeds = [self.random(o, i) for i, o in enumerate(outputs)]
        first = self.side.grad(outputs, inputs, seeds, create_graph=order > 1)
        self.first = self.arrays(first, inputs)
        weighed = [(g, i) for i, g in enumerate(first) if g is not None and g.requires_grad]
        if order > 1 and weighed:
            weights = [self.random(g, 9 + i).detach() for g, i in weighed]
            inputs = [*inputs, *seeds]
            self.second = self.arrays(
                self.side.grad([g for g, _ in weighed], inputs, weights), inputs
            )

    def random(self, like: Any, seed: int) -> Any:
        values = np.random.default_rng(seed).standard_normal(tuple(like.shape))
        return self.side.leaf(np.asarray(values).astype(self.side.array(like).dtype))

    def arrays(self, gradients: Sequence[Any], inputs: Sequence[Any]) -> list[np.ndarray]:
        """A gradient that does not exist is all zeros."""
        return [
            np.zeros_like(self.side.array(x)) if g is None else self.side.array(g)
            for g, x in zip(gradients, inputs, strict=True)
        ]


class Same:
    """Calls made on both sides and compared."""

    def __init__(self) -> None:
        self.ours, self.theirs = Ours(), Theirs()

    def __call__(
        self,
        call: Callable[..., Any],
        *args: Any,
        order: int = 2,
        single: bool = True,
        tolerance: float | None = None,
    ) -> None:
        """Demand the same values, shapes, dtypes, gradients and second gradients.

        `order` 0 compares results only, 1 gradients too, 2 also the gradients of those. With
        `single`, float64 arguments are tried as float32 again, to first order.
        """
        self.once(call, args, order, tolerance)
        if single:
            self.once(call, retyped(tuple(args), np.float32), min(order, 1), None)

    def once(
        self, call: Callable[..., Any], args: Sequence[Any], order: int, tolerance: float | None
    ) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = Run(self.theirs, call, args, order)
        ours = Run(self.ours, call, args, order)
        assert ours.plain == theirs.plain
        assert len(ours.outputs) == len(theirs.outputs), "the number of outputs"
        for i, (x, y) in enumerate(zip(ours.outputs, theirs.outputs, strict=True)):
            agree(f"output {i}", x, y, tolerance)
        if not order:
            return
        assert ours.recorded == theirs.recorded, (
            f"outputs that require a gradient: ours {ours.recorded}, PyTorch's {theirs.recorded}"
        )
        for what, a, b in (
            ("gradient", ours.first, theirs.first),
            ("second gradient", ours.second, theirs.second),
        ):
            a, b = a or [np.zeros_like(x) for x in b], b or [np.zeros_like(x) for x in a]
            for i, (x, y) in enumerate(zip(a, b, strict=True)):
                agree(f"{what} {i}", x, y, tolerance, scale=4)

    def error(self, call: Callable[..., Any], *args: Any, says: Sequence[str] = ()) -> None:
        """Both refuse: ours with the same kind of exception and a message with all of `says`."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with pytest.raises(Exception) as theirs:  # noqa: PT011 - whichever it is
                Run(self.theirs, call, args, 0)
        with pytest.raises(kind(theirs.value)) as ours:
            Run(self.ours, call, args, 0)
        missing = [word for word in says if word not in str(ours.value)]
        assert not missing, f"the message lacks {missing}: {str(ours.value)!r}"


def kind(error: BaseException) -> type[BaseException]:
    """The exception to expect: PyTorch's NotImplementedError means a dtype without a kernel."""
    return RuntimeError if isinstance(error, NotImplementedError) else type(error)


def agree(
    what: str,
    ours: np.ndarray,
    theirs: np.ndarray,
    tolerance: float | None = None,
    scale: float = 1,
) -> None:
    """Equal shapes and dtypes, and values as close as the dtype promises."""
    assert ours.shape == theirs.shape, f"{what}: shape {ours.shape}, PyTorch's {theirs.shape}"
    assert ours.dtype == theirs.dtype, f"{what}: dtype {ours.dtype}, PyTorch's {theirs.dtype}"
    if ours.dtype.kind in "biu":
        np.testing.assert_array_equal(ours, theirs, err_msg=what)
        return
    tolerance = scale * (tolerance or TOLERANCE[ours.dtype.name])
    theirs = theirs.astype(np.float64)
    largest = np.max(np.abs(theirs), initial=1.0, where=np.isfinite(theirs))
    np.testing.assert_allclose(
        ours.astype(np.float64),
        theirs,
        rtol=tolerance,
        atol=tolerance * (largest if math.isfinite(largest) else 1.0),
        err_msg=what,
    )
