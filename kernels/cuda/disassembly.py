"""The machine instructions of compiled kernels, by NVIDIA's disassembler; it needs no GPU.

    python -m tapegrad.kernels.cuda.disassembly 'softmax_rows<float, 4>'       # for sm_90a
    python -m tapegrad.kernels.cuda.disassembly 'softmax_rows<float, 4>' sm_80

`nvdisasm` comes with the CUDA toolkit, and alone as `pip install nvidia-cuda-nvdisasm`.
"""

from __future__ import annotations

import argparse
import difflib
import functools
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from importlib import metadata

from tapegrad.kernels.cuda.compiling import compiled
from tapegrad.kernels.cuda.launching import Kernel

_FUNCTION = re.compile(r"^\.text\.(\S+):$", re.MULTILINE)
_INSTRUCTION = re.compile(r"^\s*/\*[0-9a-f]+\*/\s+(?:@!?U?P\w+\s+)?([A-Z][\w.]*)", re.MULTILINE)


def disassembled(kernels: Sequence[Kernel], arch: str) -> dict[str, str]:
    """The instructions of kernels, a line each, by the kernels' names.

    Args:
        kernels: of one text; they are compiled together for `arch` if they were not yet.
        arch: such as `"sm_90a"`.

    Raises:
        RuntimeError: if there is no `nvdisasm`, or no NVRTC to compile with.
        CompileError: if the text does not compile.
    """
    program, first = disassembler(), kernels[0]
    names = [kernel.name for kernel in kernels]
    binary = compiled(first.text, names, arch, first.filename)
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(binary.cubin + b"\0")  # CuPy takes the last byte off
        file.flush()
        command = [program, "-c", file.name]
        listing = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    parts = _FUNCTION.split(listing)
    by_symbol = dict(zip(parts[1::2], parts[2::2], strict=True))
    return {name: by_symbol[binary.lowered[name]] for name in names}


def opcodes(kernels: Sequence[Kernel], arch: str) -> dict[str, Counter[str]]:
    """How often each instruction stands in each of some kernels, with its modifiers.

    >>> found = opcodes([Kernel(text, "product")], "sm_80")  # doctest: +SKIP
    >>> found["product"]["HMMA.1688.F32.TF32"]  # doctest: +SKIP
    64
    """
    listings = disassembled(kernels, arch)
    return {name: Counter(_INSTRUCTION.findall(text)) for name, text in listings.items()}


@functools.cache
def disassembler() -> str:
    """The path of `nvdisasm`: on the PATH, or that of the wheel.

    Raises:
        RuntimeError: if it is in neither.
    """
    if found := shutil.which("nvdisasm"):
        return found
    try:
        files = metadata.files("nvidia-cuda-nvdisasm") or []
    except metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.name == "nvdisasm":
            return str(file.locate())
    raise RuntimeError("there is no nvdisasm: pip install nvidia-cuda-nvdisasm")


def main(argv: Sequence[str] | None = None) -> int:
    """The command line: prints a kernel's instructions; returns the exit status."""
    from tapegrad.kernels.cuda.inventory import variants

    parser = argparse.ArgumentParser(
        prog="python -m tapegrad.kernels.cuda.disassembly",
        description="Print the machine instructions of a kernel; it needs no GPU.",
    )
    parser.add_argument("kernel", help="its name, as in 'softmax_rows<float, 4>'")
    parser.add_argument("arch", nargs="?", default="sm_90a", help="what for (default: sm_90a)")
    options = parser.parse_args(argv)
    kernels = {kernel.name: kernel for kernel in variants()}
    if options.kernel not in kernels:
        near = difflib.get_close_matches(options.kernel, kernels, 1)
        guess = f"did you mean {near[0]!r}? " if near else ""
        parser.error(
            f"no kernel is called {options.kernel!r}; {guess}"
            "python -m tapegrad.kernels.cuda.inventory lists them"
        )
    try:
        print(disassembled([kernels[options.kernel]], options.arch)[options.kernel])
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
