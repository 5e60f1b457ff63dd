"""Formulas as text: `"q = x + y; f = q * z"` computed on tensors, and nothing else run.

The text is parsed by Python's own `ast`, and what is not on the short list below is refused, with a
caret under it and what to write instead: numbers, names, + - * / **, parentheses, calls of known
functions, and statements that give an intermediate value a name.
"""

from __future__ import annotations

import ast
import difflib
import keyword
import math
import re
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from . import operations
from .arrays import float64
from .engine import Leaf
from .operations.creation import tensor
from .records import Variable

LONGEST = 10_000  # characters
OPERATORS: dict[type[ast.operator], tuple[str, Callable[[Any, Any], Any]]] = {
    ast.Add: ("+", lambda a, b: a + b),
    ast.Sub: ("-", lambda a, b: a - b),
    ast.Mult: ("*", lambda a, b: a * b),
    ast.Div: ("/", lambda a, b: a / b),
    ast.Pow: ("**", lambda a, b: a**b),
}
OTHERS = {  # operators of Python that are not among them, and what to write
    ast.BitXor: ("^", "a power is written **, as in x ** 2"),
    ast.FloorDiv: ("//", "a quotient is written /"),
    ast.Mod: ("%", "there is no remainder here; the operators are + - * / **"),
    ast.MatMult: ("@", "a product of vectors is written dot(x, y)"),
}
UNARY = {ast.UAdd: lambda a: a, ast.USub: lambda a: -a}
CONSTANTS = {"pi": math.pi}


class ExpressionError(ValueError):
    """What is wrong with a formula, with the line and a caret under the place."""


# name -> the fewest and the most values it takes
FUNCTIONS: dict[str, tuple[int, int]] = {
    **dict.fromkeys(
        (
            "abs", "acos", "asin", "atan", "cos", "cosh", "erf", "exp", "expm1", "log", "log1p",
            "mean", "relu", "sigmoid", "sin", "sinh", "softplus", "sqrt", "square", "sum", "tan",
            "tanh",
        ),
        (1, 1),
    ),
    **dict.fromkeys(("dot", "maximum", "minimum", "pow"), (2, 2)),
    "max": (1, 2),
    "min": (1, 2),
}  # fmt: skip


def _function(name: str) -> Callable[..., Any]:
    """The operation of that name; of two values max and min are those of each element."""
    found = getattr(operations, name, None)
    if found is None:
        from tapegrad.nn import functional  # which is built on this package

        found = getattr(functional, name)
    return found


def evaluate(text: str, values: Mapping[str, Any]) -> Any:
    """The value of the last statement of a formula, computed with the tensors in `values`.

    What a statement names (`q = x + y`) becomes the name of that tensor; a result without one is
    called f. Raises ExpressionError, which shows the place.

    >>> import tapegrad as tg
    >>> x = tg.tensor(3.0, requires_grad=True)
    >>> f = evaluate("q = x ** 2; 2 * q + 1", {"x": x})
    >>> f.backward()
    >>> f.name, f.item(), x.grad.item()
    ('f', 19.0, 12.0)
    """
    reader = _Reader(text, dict(values))
    result = None
    for statement in reader.parse().body:
        result = reader.statement(statement)
    if isinstance(result, Variable) and result._name is None and "f" not in reader.values:
        reader.call_it("f", result)
    return result


def read_value(text: str) -> Any:
    """A number, a vector or a matrix: "-2", "1e-3", "1/3", "[1, 2, 3]", "1, 2, 3".

    >>> read_value("-1/4"), read_value("[[1, 2], [3, 4]]")
    (-0.25, [[1.0, 2.0], [3.0, 4.0]])
    """
    reader = _Reader(text, {}, lists=True)
    body = reader.parse().body
    if len(body) != 1 or not isinstance(body[0], ast.Expr):
        raise reader.error("expected a number or a list of numbers", body[-1])
    return reader.value(body[0].value)


def leaf_values(arguments: list[str]) -> dict[str, Any]:
    """Tensors that ask for a gradient, from texts such as "x=-2" and "w=[1, 2]", by name.

    >>> leaf_values(["x=-2", "w=[1, 2]"])["w"]
    tensor([1., 2.], dtype=float64, requires_grad=True)
    """
    found: dict[str, Any] = {}
    for argument in arguments:
        name, equals, text = (part.strip() for part in argument.partition("="))
        if not equals or not text:
            raise ExpressionError(f"{argument!r} gives no value; write name=number, such as x=-2")
        if not name.isidentifier() or keyword.iskeyword(name):
            raise ExpressionError(
                f"{name!r} cannot be a name; a name is letters, digits and _, such as x or w0"
            )
        if name in found:
            raise ExpressionError(f"{name} is given twice; give it one value")
        try:
            value = read_value(text)
            found[name] = tensor(value, dtype=float64, requires_grad=True)
        except ExpressionError as error:
            raise ExpressionError(f"the value of {name}: {error}") from None
        except (ValueError, TypeError) as error:
            raise ExpressionError(f"the value of {name}, {text}: {error}") from None
        found[name].name = name
    return found


class _Reader:
    """One text, and the values that its names have so far."""

    def __init__(self, text: str, values: dict[str, Any], lists: bool = False) -> None:
        self.text = text.strip()
        self.given = list(values)
        self.values = values
        self.lists = lists

    def parse(self) -> ast.Module:
        if len(self.text) > LONGEST:
            raise ExpressionError(
                f"the expression has {len(self.text)} characters; the most is {LONGEST}"
            )
        try:
            with warnings.catch_warnings():  # of what Python would say of 2(x)
                warnings.simplefilter("ignore")
                tree = ast.parse(self.text)
        except SyntaxError as error:
            line, column = error.lineno or 1, (error.offset or 1) - 1
            raise self.at(_hint(self.text, error), line, column) from None
        except (ValueError, RecursionError, MemoryError):
            raise self.at("this cannot be read; write a shorter formula", 1, 0) from None
        if not tree.body:
            raise ExpressionError('the expression is empty; write one, such as "(x + y) * z"')
        return tree

    def at(self, message: str, line: int, column: int) -> ExpressionError:
        """An error with the line of the text and a caret under a column of it."""
        lines = self.text.splitlines() or [""]
        shown = lines[min(line, len(lines)) - 1].replace("\t", " ")
        caret = " " * min(column, len(shown)) + "^"
        return ExpressionError(f"{message}\n    {shown}\n    {caret}")

    def error(self, message: str, node: Any, symbol: str = "") -> ExpressionError:
        """An error at a part of the tree, or at an operator between two parts."""
        line, column = node.lineno, self.column(node.lineno, node.col_offset)
        if symbol:
            line, column = (
                node.left.end_lineno,
                self.column(node.left.end_lineno, node.left.end_col_offset),
            )
            column = max(self.text.split("\n")[line - 1].find(symbol, column), column)
        return self.at(message, line, column)

    def column(self, line: int, offset: int) -> int:
        """A position in characters; `ast` counts bytes."""
        return len(self.text.split("\n")[line - 1].encode()[:offset].decode())

    def statement(self, node: ast.stmt) -> Any:
        try:
            if isinstance(node, ast.Expr):
                return self.value(node.value)
            if not isinstance(node, ast.Assign) or not isinstance(node.targets[0], ast.Name):
                raise self.error(
                    "only formulas, and names for them as in q = x + y; f = q * z, can be computed",
                    node,
                )
            if len(node.targets) > 1:
                raise self.error("give one name at a time: q = x + y", node)
            name = node.targets[0].id
            if name in self.values:
                raise self.error(f"{name} has a value already; choose another name", node)
            result = self.value(node.value)
        except RecursionError:
            raise self.error(
                "this is too deep; split it into several statements: q = ...; f = ...", node
            ) from None
        self.values[name] = result
        if isinstance(result, Variable) and result._name is None:
            self.call_it(name, result)
        return result

    def call_it(self, name: str, result: Any) -> None:
        """Name a computed tensor; a value that was given keeps its own name."""
        if not isinstance(result._node, Leaf):
            result.name = name

    def value(self, node: ast.expr) -> Any:
        if isinstance(node, ast.BinOp):
            return self.binary(node)
        if isinstance(node, ast.Constant):
            return self.number(node)
        if isinstance(node, ast.Name):
            return self.named(node)
        if isinstance(node, ast.Call):
            return self.call(node)
        if isinstance(node, ast.UnaryOp) and type(node.op) in UNARY:
            return UNARY[type(node.op)](self.value(node.operand))
        if isinstance(node, (ast.List, ast.Tuple)):
            if self.lists:
                return [self.value(part) for part in node.elts]
            raise self.error("a list cannot stand in a formula; give it a name: w=[1,2,3]", node)
        kind = {ast.Attribute: "a dot", ast.Subscript: "an index", ast.Compare: "a comparison"}
        raise self.error(
            f"{kind.get(type(node), 'this')} is not part of a formula; write numbers, names, "
            "+ - * / **, parentheses and functions such as exp(x)",
            node,
        )

    def number(self, node: ast.Constant) -> float:
        if isinstance(node.value, bool) or not isinstance(node.value, (int, float)):
            raise self.error("only numbers and names can stand here", node)
        try:
            return float(node.value)
        except OverflowError:
            raise self.error("this number is too large", node) from None

    def named(self, node: ast.Name) -> Any:
        if node.id in self.values:
            return self.values[node.id]
        if node.id in CONSTANTS:
            return CONSTANTS[node.id]
        if node.id in FUNCTIONS:
            raise self.error(f"{node.id} is a function; write {node.id}(...)", node)
        if self.lists:
            raise self.error("a value is a number, such as 2 or 1e-3, or a list of them", node)
        known = f" (given: {', '.join(self.given)})" if self.given else ""
        raise self.error(f"{node.id} has no value: add {node.id}=...{known}", node)

    def binary(self, node: ast.BinOp) -> Any:
        if type(node.op) not in OPERATORS:
            symbol, hint = OTHERS.get(type(node.op), ("", "the operators are + - * / **"))
            raise self.error(hint, node, symbol)
        symbol, compute = OPERATORS[type(node.op)]
        left, right = self.value(node.left), self.value(node.right)
        try:
            result = compute(left, right)
        except ZeroDivisionError:
            raise self.error("this divides a number by zero", node, symbol) from None
        except OverflowError:
            raise self.error("this number is too large", node, symbol) from None
        except (ValueError, TypeError, RuntimeError) as error:
            raise self.error(f"this cannot be computed: {error}", node, symbol) from None
        if isinstance(result, complex):
            raise self.error("a root of a negative number is not a real number", node, symbol)
        return result

    def call(self, node: ast.Call) -> Any:
        if not isinstance(node.func, ast.Name):
            raise self.error("write * between factors: 2 * (x + 1), not 2(x + 1)", node)
        name = node.func.id
        if name not in FUNCTIONS:
            raise self.error(self.unknown(name), node)
        fewest, most = FUNCTIONS[name]
        if node.keywords or not fewest <= len(node.args) <= most:
            count = "one value" if most == 1 else f"{'one or ' * (fewest == 1)}two values"
            raise self.error(f"{name} takes {count}: {name}(x{', y' * (most > 1)})", node)
        inputs = [self.value(argument) for argument in node.args]
        numbers = not any(isinstance(value, Variable) for value in inputs)
        inputs = [v if isinstance(v, Variable) else tensor(v, dtype=float64) for v in inputs]
        try:
            result = _function(name)(*inputs)
        except (ArithmeticError, ValueError, TypeError, RuntimeError) as error:
            raise self.error(f"this cannot be computed: {error}", node) from None
        return float(result.item()) if numbers else result

    def unknown(self, name: str) -> str:
        """What to do about something that is called and is not a function."""
        if name in self.values:
            return f"{name} is a value; write * between factors: {name} * (...)"
        near = difflib.get_close_matches(name, FUNCTIONS, 1, cutoff=0.5)
        guess = f"did you mean {near[0]}? " if near else ""
        known = ", ".join(sorted(FUNCTIONS))
        return f"there is no function {name}; {guess}the functions are {known}"


def _hint(text: str, error: SyntaxError) -> str:
    """What to do about a text that is not Python."""
    reason = error.msg.lower()
    if "was never closed" in reason or "unexpected eof" in reason:
        return "a parenthesis is not closed; add )"
    if "unmatched" in reason or "does not match" in reason:
        return "this parenthesis closes nothing; remove it, or open one before"
    if re.search(r"(\d|\))\s*[A-Za-z_(]", text) or "decimal literal" in reason:
        return "something is missing or too much here; between factors write *, as in 2 * x"
    return "something is missing or too much here; write it like (x + y) * z"
