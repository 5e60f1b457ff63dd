"""Runs one CUDA kernel on the CPU, for looking at what it does; see docs/emulator.md.

    python -m tapegrad.kernels.emulator row_sums.cu 'row_sums<float>' \
        x=float32:4x7:arange sums=float32:4:poison columns=7 --grid 4 --block 32

It prints the arrays that the kernel changed, and those that were to be written (`poison`); or what
the kernel did wrong and where.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tapegrad.kernels.cuda.compiling import expand
from tapegrad.kernels.emulator import arguments as words
from tapegrad.kernels.emulator.building import SANITIZERS, EmulatorError
from tapegrad.kernels.emulator.module import Dim3, EmulatedModule
from tapegrad.kernels.emulator.sanitizing import become

_ITSELF = (sys.executable, "-m", "tapegrad.kernels.emulator")
_BUILT_INS = {
    "threadIdx": "emulator::current->index",
    "blockIdx": "emulator::block_index",
    "blockDim": "emulator::block_size",
    "gridDim": "emulator::grid_size",
}


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    options = _parser().parse_args(argv)
    given = list(sys.argv[1:] if argv is None else argv)
    try:
        if options.debug:
            _debug(options, [word for word in given if word != "--debug"])
        if options.sanitize and os.environ.get("TAPEGRAD_SANITIZER") != options.sanitize:
            become(options.sanitize, [*_ITSELF, *given])
        _run(options)
    except (EmulatorError, ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _run(options: argparse.Namespace) -> None:
    text = expand(options.file.read_text(), str(options.file))
    values = [words.parse(word) for word in options.arguments]
    before = [np.array(value) for _, value in values]
    try:
        module = EmulatedModule(
            text, [options.kernel], filename=str(options.file), debug=options.inside_debugger
        )
    except EmulatorError:
        _definition(text, options.kernel)  # says so if it is the name that is wrong
        raise
    module.run(
        options.kernel,
        options.grid,
        options.block,
        *(value for _, value in values),
        shared=options.shared,
        order=options.order,
    )
    for word, (name, value), old in zip(options.arguments, values, before, strict=True):
        if value.tobytes() != old.tobytes() or word.endswith(":poison"):
            shape = "x".join(map(str, value.shape))
            print(f"{name} = {value.dtype}:{shape}\n{np.array2string(value, threshold=256)}")


def _debug(options: argparse.Namespace, given: list[str]) -> None:
    """Becomes gdb, which runs this command up to the first line of the kernel."""
    file = options.file.resolve()
    x, y, z = options.thread
    u, v, w = options.in_block
    here = (
        f"emulator::current->index.x == {x} && emulator::current->index.y == {y} && "
        f"emulator::current->index.z == {z} && emulator::block_index.x == {u} && "
        f"emulator::block_index.y == {v} && emulator::block_index.z == {w}"
    )
    start = [
        "set breakpoint pending on",
        *(f"macro define {name} ({meaning})" for name, meaning in _BUILT_INS.items()),
        f"break {file}:{_first_line(file.read_text(), options.kernel)} if {here}",
        "run",
    ]
    # The path that gdb sees has to be one that it finds from anywhere.
    given = [str(file) if word == str(options.file) else word for word in given]
    command = ["gdb", "-q", "-iex", "set debuginfod enabled off"]
    command += [word for line in start for word in ("-ex", line)]
    command += ["--args", *_ITSELF, *given, "--inside-debugger"]
    if shutil.which("gdb") is None:
        raise EmulatorError(
            f"stepping through a kernel takes gdb; with it, run\n{shlex.join(command)}"
        )
    os.execvp(command[0], command)


def _first_line(text: str, kernel: str) -> int:
    """The number of the line in which the body of a kernel begins."""
    return text.count("\n", 0, _definition(text, kernel).end()) + 1


def _definition(text: str, kernel: str) -> re.Match[str]:
    """Where a kernel is defined, up to the beginning of its body."""
    name, arguments, _ = kernel.partition("<")
    found = re.search(
        rf"(\btemplate\s*<[^;{{}}]*>\s*)?\b__global__\b[^;{{}}]*?\b{re.escape(name.strip())}"
        r"\s*\([^{;]*\{",
        text,
    )
    if found is None:
        raise EmulatorError(f"there is no __global__ function {name!r} in this file")
    if found[1] and not arguments:
        raise EmulatorError(f"{name} is a template: name its arguments, as in '{name}<float>'")
    return found


def _dim3(text: str) -> Dim3:
    sizes = [int(size) for size in text.split(",")]
    if not 1 <= len(sizes) <= 3:
        raise argparse.ArgumentTypeError(f"expected one to three numbers, got {text!r}")
    x, y, z = [*sizes, 1, 1][:3]
    return x, y, z


def _index(text: str) -> Dim3:
    x, y, z = (text + ",0,0").split(",")[:3]
    return int(x), int(y), int(z)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tapegrad.kernels.emulator",
        description="Run a CUDA kernel on the CPU, one fiber per CUDA thread.",
        epilog=f"arguments:\n{words.FORMS}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("file", type=Path, help="CUDA C++; it may include the .cuh files of kernels/cuda")
    add("kernel", help="its name, with the template arguments: 'scale<float, 4>'")
    add("arguments", nargs="*", help="what it is given, see below")
    add("--grid", type=_dim3, default=(1, 1, 1), metavar="X[,Y,Z]", help="blocks (default: 1)")
    add("--block", type=_dim3, default=(32, 1, 1), metavar="X[,Y,Z]", help="threads (default: 32)")
    add("--shared", type=int, default=0, metavar="BYTES", help="dynamic shared memory (default: 0)")
    add(
        "--order",
        type=int,
        default=0,
        help="of the threads: 0 ascending (default), 1 descending, 2 and more a shuffle each",
    )
    add("--sanitize", choices=SANITIZERS, help="watch for accesses out of bounds, or for races")
    add("--debug", action="store_true", help="stop in the kernel under gdb, compiled without -O")
    add("--thread", type=_index, default=(0, 0, 0), metavar="X[,Y,Z]", help="where --debug stops")
    add("--in-block", type=_index, default=(0, 0, 0), metavar="X[,Y,Z]", help="and in which block")
    add("--inside-debugger", action="store_true", help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    sys.exit(main())
