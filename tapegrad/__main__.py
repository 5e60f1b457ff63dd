"""`python -m tapegrad`: gradients of a formula drawn, played, checked and explained, without code.

Every command computes a formula at given values, runs backward, and shows what happened.
"""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Callable
from typing import Any

import tapegrad as tg
from tapegrad.autograd.expressions import ExpressionError, evaluate, leaf_values

CIRCUIT = '"(x + y) * z" x=-2 y=5 z=-4'
NAMED = '"q = x + y; f = q * z" x=-2 y=5 z=-4'
NEURON = '"1 / (1 + exp(-(w0*x0 + w1*x1 + w2)))" w0=2 x0=-1 w1=-3 x1=-2 w2=-3'
EXAMPLES = {
    "draw": (f"draw {CIRCUIT} -o graph.svg", f"draw {NEURON} -o neuron.svg"),
    "player": (f"player {NEURON} -o neuron.html",),
    "check": (f"check {NEURON}",),
    "explain": (f"explain {NAMED} --of x", f"explain {NEURON} --of w0"),
    "tape": (f"tape {CIRCUIT}", 'tape "sum((w - 1) ** 2)" "w=[1, 2, 3]"'),
}
FIGURES = """\
(x + y) * z at x=-2 y=5 z=-4 is -12, and its gradients are x -4, y -4, z 3. The sigmoid neuron with
w0=2 x0=-1 w1=-3 x1=-2 w2=-3 gives 0.7311, and the gradients w0 -0.197, x0 0.393, w1 -0.393,
x1 -0.590, w2 0.197."""


def draw(options: argparse.Namespace, leaves: dict[str, Any]) -> None:
    """Draw the circuit, with values and gradients, to a file."""
    result = _computed(options.expression, leaves)
    drawing = tg.draw(result, direction=options.direction, palette=options.palette)
    drawing.save(options.output)
    _report(result, leaves, options.output)


def player(options: argparse.Namespace, leaves: dict[str, Any]) -> None:
    """Write a page that plays forward and backward, step by step."""
    result = _computed(options.expression, leaves)
    tg.player(result).save(options.output)
    _report(result, leaves, options.output)


def check(options: argparse.Namespace, leaves: dict[str, Any]) -> None:
    """Compare the gradient of every gate with differences at these values."""
    with tg.Tape() as tape:
        _computed(options.expression, leaves)
    tape.check()
    print(tape)
    print(f"all {len(tape)} gates agree with finite differences")


def explain(options: argparse.Namespace, leaves: dict[str, Any]) -> None:
    """Write out the chain rule for one of the values."""
    if options.of not in leaves:
        raise ExpressionError(f"--of {options.of}: choose one of {', '.join(leaves) or 'none'}")
    result = _computed(options.expression, leaves)
    print(tg.explain(result, leaves[options.of], index=options.index))


def tape(options: argparse.Namespace, leaves: dict[str, Any]) -> None:
    """Print every step with its value and its gradient."""
    with tg.Tape() as recorded:
        _computed(options.expression, leaves)
    print(recorded)


MISTAKES = (
    ArithmeticError,
    ImportError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)
COMMANDS: dict[str, Callable[[argparse.Namespace, dict[str, Any]], None]] = {
    command.__name__: command for command in (draw, player, check, explain, tape)
}


def main(arguments: list[str] | None = None) -> int:
    """Run a command; 0 if it succeeded, 1 if a gradient is wrong, 2 if the input is."""
    given = sys.argv[1:] if arguments is None else arguments
    if not given or given[0] in ("-h", "--help"):
        print(_overview())
        return 0 if given else 2
    name = given[0]
    if name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, 1)
        guess = f"did you mean {near[0]}? " if near else ""
        known = ", ".join(COMMANDS)
        return _failed(f"there is no command {name!r}; {guess}the commands are {known}")
    options = _parser(name).parse_intermixed_args([_guarded(text) for text in given[1:]])
    try:
        COMMANDS[name](options, leaf_values(options.values))
    except tg.autograd.GradcheckError as error:
        _failed(str(error))
        return 1
    except ExpressionError as error:
        return _failed(str(error))
    except MISTAKES as error:
        return _failed(f"{name}: {str(error).removeprefix(f'{name}: ')}")
    return 0


def _failed(message: str) -> int:
    print(f"tapegrad: {message}", file=sys.stderr)
    return 2


def _computed(expression: str, leaves: dict[str, Any]) -> Any:
    """The result of the formula, with its gradients."""
    result = evaluate(expression, leaves)
    if getattr(result, "_node", None) is None:
        raise ExpressionError(
            f"{expression.strip()} depends on no value; use one, as in x * 2 with x=3"
        )
    if result.numel() != 1:
        raise ExpressionError(
            f"{expression.strip()} has shape {list(result.shape)}; only a single number has "
            "gradients: write sum(...) or mean(...) around it"
        )
    result.backward(retain_graph=True)
    return result


def _report(result: Any, leaves: dict[str, Any], path: str) -> None:
    gradients = [
        f"{name} {leaf.grad.item():.4g}" if leaf.numel() == 1 else f"{name} {leaf.grad.tolist()}"
        for name, leaf in leaves.items()
        if leaf.grad is not None
    ]
    print(f"{result.name or 'result'} = {result.item():.6g}; gradients {', '.join(gradients)}")
    print(f"wrote {path}")


def _parser(name: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        f"python -m tapegrad {name}",
        description=COMMANDS[name].__doc__,
        epilog="for example\n" + _listed(EXAMPLES[name]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("expression", help='a formula, or several: "q = x + y; f = q * z"')
    parser.add_argument(
        "values", nargs="*", metavar="name=value", help='x=-2, x=1e-3, "w=[1, 2, 3]"'
    )
    if name in ("draw", "player"):
        default = "graph.svg" if name == "draw" else "player.html"
        parser.add_argument("-o", "--output", default=default, help=f"the file ({default})")
    if name == "draw":
        parser.add_argument("--direction", choices=("LR", "TB"), default="LR")
        parser.add_argument("--palette", choices=("lecture", "colour-blind"), default="lecture")
    if name == "explain":
        parser.add_argument("--of", required=True, metavar="name", help="the value to explain")
        parser.add_argument(
            "--index",
            type=_index,
            default=None,
            help="one element of it: 0 or 1,2",
        )
    return parser


def _index(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


def _guarded(text: str) -> str:
    """A formula that begins with a minus is no option: a blank before it says so."""
    option = text.startswith("--") or text in ("-o", "-h", "-")
    return f" {text}" if text.startswith("-") and not option else text


def _listed(examples: tuple[str, ...]) -> str:
    return "\n".join(f"  python -m tapegrad {example}" for example in examples)


def _overview() -> str:
    commands = "\n".join(f"  {name:8} {command.__doc__}" for name, command in COMMANDS.items())
    examples = "\n".join(_listed(found) for found in EXAMPLES.values())
    return (
        "usage: python -m tapegrad COMMAND EXPRESSION name=value ...\n\n"
        f"{__doc__.partition(': ')[2].partition(chr(10))[0]}\n\n{commands}\n\n"
        f"for example\n{examples}\n\n{FIGURES}\n\n"
        "python -m tapegrad COMMAND --help says more."
    )


if __name__ == "__main__":
    sys.exit(main())
