"""From the text of a kernel to a binary for one kind of GPU: the only place that compiles CUDA.

`source` reads a `.cu` file with its includes pasted in; `compiled` hands a text to NVRTC, which
CuPy wraps, and keeps the binary on disk under a hash of everything that went into it. NVRTC needs
no GPU, so every kernel can be compiled, and its registers and spills read, on any machine.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tapegrad.kernels import cache

# Spelled out although most are NVRTC's defaults: results must not hang on a default, and CuPy, for
# one, flushes denormals to zero.
OPTIONS = (
    "--std=c++17",
    "--ftz=false",
    "--prec-div=true",
    "--prec-sqrt=true",
    "--fmad=true",
    "--device-as-default-execution-space",  # of lambdas; the default since NVRTC 13.1
    "--ptxas-options=-v",
)
OLDEST = (8, 0)
ARCHITECTURES = ("sm_80", "sm_90a")  # what every kernel is compiled for in the tests

_HERE = Path(__file__).parent
_INCLUDE = re.compile(r'\s*#include\s+"([^"]+)"\s*$')


class CompileError(RuntimeError):
    """A kernel that NVRTC refuses; the message is its log, with file and line."""


@functools.cache
def source(filename: str) -> str:
    """The text of a file of this folder, with the files that it includes pasted in.

    Args:
        filename: a `.cu` or `.cuh` file of `kernels/cuda`, such as `"softmax.cu"`.

    >>> '#include' in source("types.cuh")
    False
    """
    return expand((_HERE / filename).read_text(), filename)


def expand(text: str, filename: str) -> str:
    """`text` with each `#include "x.cuh"` of this folder pasted in, the first time it comes up.

    `#line` directives keep the file names and line numbers of error messages right.

    Args:
        text: CUDA C++, such as a generated kernel.
        filename: what messages call it.

    >>> print(expand('#include "types.cuh"\\nint last;', "mine.cu")[-29:-1])
    <BLANKLINE>
    #line 2 "mine.cu"
    int last;
    """
    return "\n".join(_expanded(text, filename, {filename})) + "\n"


def _expanded(text: str, filename: str, seen: set[str]) -> Iterator[str]:
    for number, line in enumerate(text.splitlines(), start=1):
        include = _INCLUDE.match(line)
        if include:
            name = include[1]
            if name not in seen:
                seen.add(name)
                yield f'#line 1 "{name}"'
                yield from _expanded((_HERE / name).read_text(), name, seen)
            yield f'#line {number + 1} "{filename}"'
        else:
            # The files are pasted once each, so that the pragma has nothing left to say.
            yield "" if line.strip() == "#pragma once" else line


class Binary(NamedTuple):
    """Kernels compiled for one architecture."""

    cubin: bytes
    lowered: dict[str, str]  # from the name that was asked for to the name in the binary
    log: str  # what ptxas says of registers, shared memory and spills


def compiled(text: str, names: Sequence[str], arch: str, filename: str = "kernel.cu") -> Binary:
    """`names` of `text` as a binary, from the cache on disk or else from NVRTC.

    Args:
        text: CUDA C++ with nothing left to include.
        names: the kernels wanted: template instances such as `"softmax_rows<float, 4>"`, or the
            names of `extern "C"` kernels.
        arch: such as `"sm_90a"`; see `architecture`.
        filename: what error messages call the text.

    Raises:
        CompileError: with NVRTC's messages, if it refuses the text or a name.
    """
    name = cache.key(text, tuple(names), arch, OPTIONS, nvrtc().getVersion()) + ".cubin"
    stored = cache.read(name)
    if stored is not None:
        header, _, cubin = stored.partition(b"\n")
        return Binary(cubin, **json.loads(header))
    binary = _compile(text, names, arch, filename)
    header = json.dumps({"lowered": binary.lowered, "log": binary.log}).encode()
    cache.write(name, header + b"\n" + binary.cubin)
    return binary


def _compile(text: str, names: Sequence[str], arch: str, filename: str) -> Binary:
    library = nvrtc()
    program = library.createProgram(text, filename, (), ())
    try:
        for name in names:
            library.addNameExpression(program, name)
        try:
            library.compileProgram(program, (f"--gpu-architecture={arch}", *OPTIONS))
        except library.NVRTCError as error:
            log = library.getProgramLog(program).strip() or str(error)
            raise CompileError(
                f"{', '.join(names)} does not compile for {arch}:\n{_clickable(log)}"
            ) from None
        lowered = {name: library.getLoweredName(program, name) for name in names}
        return Binary(library.getCUBIN(program), lowered, library.getProgramLog(program))
    finally:
        library.destroyProgram(program)


def _clickable(log: str) -> str:
    """NVRTC's `file.cu(12): error` as `file.cu:12: error`, which editors make a link of."""
    return re.sub(r"^(\S+)\((\d+)\)(: \w)", r"\1:\2\3", log, flags=re.MULTILINE)


def architecture(major: int, minor: int) -> str:
    """What to compile for on a GPU of compute capability `major.minor`.

    Raises:
        RuntimeError: if the GPU is older than the kernels allow, or newer than NVRTC knows.

    >>> architecture(8, 6)  # doctest: +SKIP
    'sm_86'
    >>> architecture(9, 0)  # with Hopper's own instructions  # doctest: +SKIP
    'sm_90a'
    """
    if (major, minor) < OLDEST:
        raise RuntimeError(
            f"this GPU has compute capability {major}.{minor}, and the kernels need "
            f"{OLDEST[0]}.{OLDEST[1]} (Ampere) or newer"
        )
    number = 10 * major + minor
    known = nvrtc().getSupportedArchs()
    if number not in known:
        version = ".".join(map(str, nvrtc().getVersion()))
        raise RuntimeError(
            f"this GPU has compute capability {major}.{minor}, which NVRTC {version} does not know "
            f"(its newest is {max(known) / 10}): install a newer CuPy with its CUDA libraries"
        )
    return "sm_90a" if number == 90 else f"sm_{number}"


@functools.cache
def nvrtc() -> Any:
    """CuPy's wrapper of NVRTC, imported at first use.

    Raises:
        RuntimeError: if CuPy or the NVRTC library is missing.
    """
    try:
        from cupy_backends.cuda.libs import nvrtc
    except ImportError:
        raise RuntimeError(
            "compiling kernels needs CuPy, which is not installed: pip install "
            "'tapegrad[cuda12]' or 'tapegrad[cuda13]' with a GPU, 'tapegrad[nvrtc]' without"
        ) from None
    try:
        nvrtc.getVersion()
    except RuntimeError as error:
        raise RuntimeError(
            f"compiling kernels needs the NVRTC library, which CuPy does not find ({error}): "
            "pip install nvidia-cuda-nvrtc, or CuPy with [ctk]"
        ) from None
    return nvrtc


class Resources(NamedTuple):
    """What one compiled kernel takes, as ptxas reports it."""

    registers: int
    shared: int  # bytes of static shared memory per block
    stack: int  # bytes of local memory per thread
    spills: int  # bytes spilled and read back


def resources(binary: Binary) -> dict[str, Resources]:
    """What each kernel of `binary` takes, by the name that was asked for."""
    found = {}
    for part in re.split(r"Compiling entry function ", binary.log)[1:]:
        stack, stores, loads = map(
            int,
            re.search(_FRAME, part).groups(),  # type: ignore[union-attr]
        )
        used = re.search(r"Used (\d+) registers", part)
        shared = re.search(r"(\d+) bytes smem", part)
        found[part.split("'")[1]] = Resources(
            int(used[1]) if used else 0, int(shared[1]) if shared else 0, stack, stores + loads
        )
    return {name: found[lowered] for name, lowered in binary.lowered.items()}


_FRAME = r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads"
