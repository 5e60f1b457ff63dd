"""A mistake is told by the name of the operation and by what was wrong, for every operation."""

from __future__ import annotations

import inspect
import itertools

import pytest
from drawing import found, made, with_elements
from tables import CALLS

import tapegrad as tg

# Other names of an operation, and those made of another: the message has the name on the right.
MADE_OF = {
    "absolute": "abs", "allclose": "isclose", "arccos": "acos", "arccosh": "acosh",
    "arcsin": "asin", "arcsinh": "asinh", "arctan": "atan", "arctan2": "atan2",
    "arctanh": "atanh", "argwhere": "nonzero", "clamp_max": "clamp", "clamp_min": "clamp",
    "clip": "clamp", "constant_pad_nd": "pad", "dist": "sub", "divide": "div", "fix": "trunc",
    "ge": "greater_equal", "greater": "gt", "greater_equal": "ge",
    "grid_sampler": "grid_sample", "grid_sampler_2d": "grid_sample",
    "grid_sampler_3d": "grid_sample", "gt": "greater", "ldexp": "mul", "le": "less_equal",
    "less": "lt", "less_equal": "le", "linear_cross_entropy": "cross_entropy", "lt": "less",
    "moveaxis": "movedim", "multiply": "mul", "narrow_copy": "narrow", "ne": "not_equal",
    "negative": "neg", "not_equal": "ne", "ravel": "flatten", "sgn": "sign",
    "split_with_sizes": "split", "std_mean": "std", "subtract": "sub", "swapaxes": "transpose",
    "swapdims": "transpose", "trapz": "trapezoid", "true_divide": "div",
    "upsample": "interpolate", "upsample_bilinear": "interpolate",
    "upsample_nearest": "interpolate", "var_mean": "var",
}  # fmt: skip
CHOICES = "mode reduction padding_mode interpolation rounding_mode reduce side approximate UPLO"


def names_of(name):
    last = name.rsplit(".", 1)[-1]
    return {last, MADE_OF.get(last, last)}


def named(name, error, *words):
    """Whether the message has the operation's name and all of the words."""
    text = str(error)
    return any(n in text for n in names_of(name)) and all(word in text for word in words)


def call_of(name):
    drawn = with_elements(CALLS[name], tg.tensor)
    return found(tg, name), *made((drawn.args, drawn.kwargs), tg.tensor, tg)


def takes(name, parameter):
    try:
        return parameter in inspect.signature(found(tg, name)).parameters
    except ValueError:
        return False


def by_name(function, args, kwargs, **changed):
    """A call with some of its arguments changed, those from the first of them on by name."""
    order = list(inspect.signature(function).parameters)
    first = min(order.index(key) for key in changed)
    rest = dict(zip(order[first:], args[first:], strict=False))
    return function(*args[:first], **{**rest, **kwargs, **changed})


OF_A_TENSOR = [
    name
    for name in CALLS
    if not name.startswith("new_")
    and name != "where"  # whose condition may be a number
    and (args := call_of(name)[1])
    and isinstance(args[0], tg.Tensor)
]


@pytest.mark.parametrize("name", OF_A_TENSOR)
def test_what_is_no_tensor_is_refused_by_name(name):
    function, args, kwargs = call_of(name)
    for wrong in ("text", None):
        with pytest.raises(TypeError) as caught:
            function(wrong, *args[1:], **kwargs)
        assert named(name, caught.value), caught.value


@pytest.mark.parametrize(
    "name", [n for n in OF_A_TENSOR if takes(n, "dim") and n != "linalg.matrix_norm"]
)
def test_a_dimension_that_is_not_there_is_named(name):  # matrix_norm wants two
    function, args, kwargs = call_of(name)
    with pytest.raises(IndexError) as caught:
        by_name(function, args, kwargs, dim=17)
    assert named(name, caught.value, "17"), caught.value


@pytest.mark.parametrize(
    ("name", "choice"),
    [
        (name, choice)
        for name, choice in itertools.product(OF_A_TENSOR, CHOICES.split())
        if takes(name, choice)
    ],
)
def test_a_choice_that_there_is_not_is_named(name, choice):
    function, args, kwargs = call_of(name)
    with pytest.raises((ValueError, RuntimeError)) as caught:
        by_name(function, args, kwargs, **{choice: "wrong"})
    assert named(name, caught.value, "wrong"), caught.value


OF_TWO = [
    "add", "atan2", "cdist", "copysign", "cross", "dist", "div", "eq", "floor_divide", "fmax",
    "fmin", "fmod", "ge", "gt", "heaviside", "hypot", "isclose", "ldexp", "le", "logaddexp",
    "logaddexp2", "logical_and", "logical_or", "logical_xor", "lt", "matmul", "maximum", "minimum",
    "mm", "mul", "ne", "pow", "remainder", "sub", "true_divide", "xlogy",
]  # fmt: skip


@pytest.mark.parametrize("name", OF_TWO)
def test_shapes_that_do_not_fit_are_both_named(name):
    x, y = tg.ones(2, 3), tg.ones(4, 5)
    with pytest.raises(RuntimeError) as caught:
        found(tg, name)(x, y)
    assert named(name, caught.value, "[2, 3]", "[4, 5]"), caught.value


@pytest.mark.parametrize(
    ("name", "call"),
    {
        "where": lambda x, y: tg.where(x > 0, x, y),
        "lerp": lambda x, y: tg.lerp(x, y, 0.5),
        "addcmul": lambda x, y: tg.addcmul(x, x, y),
        "addcdiv": lambda x, y: tg.addcdiv(x, x, y),
        "clamp": lambda x, y: tg.clamp(x, min=y),
        "masked_fill": lambda x, y: tg.masked_fill(x, y > 0, 0.0),
        "masked_select": lambda x, y: tg.masked_select(x, y > 0),
        "cat": lambda x, y: tg.cat([x, y]),
        "stack": lambda x, y: tg.stack([x, y]),
        "dot": lambda x, y: tg.dot(x[0], y[0]),
        "mv": lambda x, y: tg.mv(x, y[0]),
        "bmm": lambda x, y: tg.bmm(x[None], y[None]),
        "addmm": lambda x, y: tg.addmm(x, x, y),
        "linear": lambda x, y: tg.linear(x, y),
        "einsum": lambda x, y: tg.einsum("ij,jk", x, y),
        "tensordot": lambda x, y: tg.tensordot(x, y, 1),
        "binary_cross_entropy": lambda x, y: tg.nn.functional.binary_cross_entropy(x, y),
        "cross_entropy": lambda x, y: tg.nn.functional.cross_entropy(x, y.long()),
        "broadcast_to": lambda x, y: tg.broadcast_to(x, y.shape),
        "solve": lambda x, y: tg.linalg.solve(x.T @ x, y),
    }.items(),
)
def test_shapes_that_do_not_fit_are_named(name, call):
    with pytest.raises((RuntimeError, ValueError)) as caught:
        call(tg.ones(2, 3), tg.ones(4, 5))
    assert named(name, caught.value), caught.value
    assert any(shape in str(caught.value) for shape in ("2, 3", "[3]", "[1, 2, 3]", "3, 3"))
    assert any(shape in str(caught.value) for shape in ("4, 5", "[5]", "[1, 4, 5]"))
