"""Formulas as text: what is computed, what is refused, and what is said then."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tapegrad as tg
from tapegrad.autograd.expressions import (
    FUNCTIONS,
    ExpressionError,
    evaluate,
    leaf_values,
    read_value,
)


def compute(text, **values):
    return evaluate(text, leaf_values([f"{name}={value}" for name, value in values.items()]))


# What is computed


def test_the_lecture_circuit():
    leaves = leaf_values(["x=-2", "y=5", "z=-4"])
    f = evaluate("(x + y) * z", leaves)
    f.backward()
    assert f.item() == -12
    assert {name: leaf.grad.item() for name, leaf in leaves.items()} == {"x": -4, "y": -4, "z": 3}


def test_statements_give_names():
    with tg.Tape() as tape:
        g = evaluate("q = x + y; g = q * z", leaf_values(["x=-2", "y=5", "z=-4"]))
    assert g.name == "g"
    assert [step.name for step in tape] == ["q", "g"]


def test_a_result_without_a_name_is_f_unless_that_is_taken():
    assert compute("x * 2", x=1).name == "f"
    assert compute("f * 2", f=1).name is None


def test_another_name_for_a_value_leaves_its_own():
    leaves = leaf_values(["x=3"])
    f = evaluate("q = x; q * q", leaves)
    assert (leaves["x"].name, f.item()) == ("x", 9.0)


def test_lines_are_statements_too():
    assert compute("q = x + 1\nq * 2", x=3).item() == 8


@given(st.data())
@settings(max_examples=80, deadline=None)
def test_arithmetic_is_that_of_python(data):
    atoms = st.sampled_from(["x", "y", "2", "0.5", "1e-1", "(x)", "3."])
    text = data.draw(atoms)
    for _ in range(data.draw(st.integers(1, 6))):
        operator = data.draw(st.sampled_from(["+", "-", "*", " / ", "**"]))
        text = f"{text}{operator}{data.draw(st.sampled_from(['', '-']))}{data.draw(atoms)}"
        if data.draw(st.booleans()):
            text = f"({text})"
    values = {"x": 1.25, "y": 0.75}
    try:
        with np.errstate(all="ignore"):
            expected = eval(text, {}, {name: np.float64(v) for name, v in values.items()})
    except (OverflowError, ZeroDivisionError):
        return
    if isinstance(expected, complex) or not math.isfinite(expected):
        return
    result = compute(text, **values)
    got = result if isinstance(result, float) else result.item()
    assert got == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_functions_are_those_of_the_library(name):
    arguments = "x, y" if FUNCTIONS[name][0] == 2 and name != "dot" else "x"
    f = compute("dot(v, v)", v="[1, 2]") if name == "dot" else compute(
        f"{name}({arguments})", x=0.5, y=0.25
    )  # fmt: skip
    f.backward()
    assert f.numel() == 1
    reference = {"dot": 5.0, "relu": 0.5, "sum": 0.5, "mean": 0.5, "max": 0.5, "min": 0.5,
                 "maximum": 0.5, "minimum": 0.25, "square": 0.25, "pow": 0.5**0.25, "abs": 0.5,
                 "sigmoid": 1 / (1 + math.exp(-0.5)),
                 "softplus": math.log(1 + math.exp(0.5))}  # fmt: skip
    expected = reference[name] if name in reference else getattr(math, name)(0.5)
    assert f.item() == pytest.approx(expected, rel=1e-6)


def test_max_and_min_take_two_values_or_all_elements():
    assert compute("max(x, 2) + min(x, 2)", x=5).item() == 7
    assert compute("max(w) - min(w)", w="[3, 1, 2]").item() == 2


def test_functions_of_numbers_are_numbers():
    with tg.Tape() as tape:
        compute("x * exp(0) + sqrt(4) * pi", x=3)
    assert [step.gate for step in tape] == ["mul", "add"]
    assert tape[0].inputs == ["x", "1"]


def test_values_are_float64_leaves_with_names():
    leaves = leaf_values(
        ["x=-2", "rate=1e-3", " third = 1/3 ", "w=[1, 2, 3]", "v=1,2", "m=[[1],[2]]"]
    )
    assert {name: leaf.shape for name, leaf in leaves.items()} == {
        "x": (), "rate": (), "third": (), "w": (3,), "v": (2,), "m": (2, 1),
    }  # fmt: skip
    assert all(leaf.dtype == tg.float64 and leaf.requires_grad for leaf in leaves.values())
    assert [leaf.name for leaf in leaves.values()] == list(leaves)
    assert leaves["third"].item() == 1 / 3


def test_a_value_is_a_number_or_nested_numbers():
    assert read_value("-2") == -2.0
    assert read_value("[1, -2.5]") == [1.0, -2.5]


# What is refused: the message, and the column of the caret

REFUSED = {
    "(x + y) * z": ("z has no value: add z=... (given: x, y)", 10),
    "é + x": ("é has no value", 0),
    "x * 'é' + q": ("only numbers and names", 4),
    "x ^ 2": ("a power is written **", 2),
    "(x) ^ (2)": ("a power is written **", 4),
    "x // 2": ("a quotient is written /", 2),
    "x % 2": ("no remainder", 2),
    "x @ y": ("dot(x, y)", 2),
    "~x": ("not part of a formula", 0),
    "2x": ("between factors write *", 0),
    "2(x + 1)": ("write * between factors", 0),
    "x(y)": ("x is a value; write * between factors: x * (...)", 0),
    "(x + y": ("not closed", 0),
    "x + y)": ("closes nothing", 5),
    "x +": ("missing or too much", 3),
    "x.data": ("a dot is not part", 0),
    "y + x.__class__": ("a dot is not part", 4),
    "x[0]": ("an index is not part", 0),
    "x < y": ("a comparison is not part", 0),
    "eksp(x)": ("did you mean exp?", 0),
    "__import__('os')": ("there is no function __import__", 0),
    "eval('x')": ("there is no function eval", 0),
    "exp.__call__(x)": ("write * between", 0),
    "x + exp": ("exp is a function; write exp(...)", 4),
    "exp(x, y)": ("exp takes one value: exp(x)", 0),
    "pow(x)": ("pow takes two values: pow(x, y)", 0),
    "max()": ("max takes one or two values", 0),
    "exp(x=1)": ("exp takes one value", 0),
    "exp(*x)": ("not part of a formula", 4),
    "x = 3": ("x has a value already", 0),
    "q = x; q = y": ("q has a value already", 7),
    "q = r = x": ("one name at a time", 0),
    "q, r = x, y": ("only formulas", 0),
    "q += x": ("only formulas", 0),
    "import os": ("only formulas", 0),
    "del x": ("only formulas", 0),
    "x; y y": ("missing or too much", 5),
    "lambda: x": ("not part of a formula", 0),
    "[v for v in x]": ("not part of a formula", 0),
    "x if x else y": ("not part of a formula", 0),
    "(q := x)": ("not part of a formula", 1),
    "[1, 2] * x": ("a list cannot stand in a formula", 0),
    "True * x": ("only numbers", 0),
    "x * 2j": ("only numbers", 4),
    "x + 1 / 0": ("divides a number by zero", 6),
    "(-8) ** (1/3) + x": ("not a real number", 5),
    "9.0 ** 9 ** 9 ** 9 * x": ("too large", 9),
    "x * 1" + "0" * 400: ("too large", 4),
    "x\n  + 1": ("missing or too much", 2),
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_not_a_formula_is_shown_with_a_caret(text):
    message, column = REFUSED[text]
    with pytest.raises(ExpressionError) as caught:
        compute(text, x=3, y=4)
    said, line, caret = str(caught.value).split("\n")
    assert message in said
    assert line.strip() in text
    assert len(line) < 50 or "0000" in line
    assert caret.strip() == "^"
    if "\n" not in text:
        assert line == f"    {text}"
        assert caret.index("^") == 4 + column


def test_an_operation_that_fails_is_shown_where_it_stands():
    with pytest.raises(ExpressionError, match=r"cannot be computed: add\(float64\[2\], .*\[3\]"):
        compute("2 * (v + w)", v="[1, 2]", w="[1, 2, 3]")


@pytest.mark.parametrize("text", ["", "  ", "# a remark"])
def test_an_empty_text_is_refused(text):
    with pytest.raises(ExpressionError, match="is empty"):
        compute(text, x=1)


@pytest.mark.parametrize(
    "text",
    ["(" * 3000 + "x" + ")" * 3000, "-" * 9000 + "x", "x" + "+x" * 4000, "x" * 20_000, "x\0"],
    ids=["parentheses", "signs", "sum", "long", "null"],
)
def test_texts_that_are_too_deep_or_too_long_are_refused_at_once(text):
    with pytest.raises(ExpressionError):
        compute(text, x=1)


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("x", "'x' gives no value; write name=number"),
        ("x=", "gives no value"),
        ("=3", "'' cannot be a name"),
        ("1x=3", "'1x' cannot be a name"),
        ("x.y=3", "'x.y' cannot be a name"),
        ("lambda=3", "'lambda' cannot be a name"),
        ("x=y", "the value of x: a value is a number"),
        ("x=1; 2", "the value of x: expected a number"),
        ("x='1'", "the value of x: only numbers"),
        ("x=[1, [2]]", "the value of x, "),
    ],
)
def test_what_is_not_a_value_is_refused(argument, message):
    with pytest.raises(ExpressionError) as caught:
        leaf_values([argument])
    assert message in str(caught.value)


def test_a_value_given_twice_is_refused():
    with pytest.raises(ExpressionError, match="x is given twice"):
        leaf_values(["x=1", "x=2"])
