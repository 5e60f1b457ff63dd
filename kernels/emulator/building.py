"""From the text of a kernel to a shared library that runs it on the CPU, by g++.

Three things are built, each once: the header that every kernel sees (precompiled), the runtime that
runs the threads, and the kernels. They lie in the cache of `kernels/cache.py`, named by all that
went into them, and each appears whole, by a rename, so that several processes may build at once.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from tapegrad.kernels import cache

SANITIZERS = ("address", "thread")

_HERE = Path(__file__).parent
_FLAGS = (
    "-std=c++17",
    "-fPIC",
    "-w",
    "-fdata-sections",
    "-fno-strict-aliasing",
    "-ffp-contract=off",
)
# An access at an address that is not aligned as its type is stops the kernel, as on a GPU. What is
# called then is in runtime.cpp, so that no library of g++'s is linked for it.
_ALIGNED = ("-fsanitize=alignment", "-fno-sanitize-recover=alignment")
_OPTIMIZED = ("-O1", "-g1", "-fno-omit-frame-pointer")
_DEBUG = ("-O0", "-g")

# `extern __shared__ float tile[];`, which names the dynamic shared memory of the launch.
_DYNAMIC_SHARED = re.compile(
    r"extern\s+__shared__\s+(?:(?:__align__|alignas)\s*\([^()]*\)\s*)?"
    r"([^;()\[\]]+?)\s*\b(\w+)\s*\[\s*\]\s*;"
)
_LAUNCH_BOUNDS = re.compile(r"__launch_bounds__\s*\(")
_BODY = re.compile(r"\s*\{")


class EmulatorError(RuntimeError):
    """A kernel that cannot be compiled, or that made a mistake while it ran."""


class Build(NamedTuple):
    """What to build: the kernels `names` of a text."""

    text: str
    names: Sequence[str]
    filename: str = "kernel.cu"
    sanitizer: str | None = None
    debug: bool = False


def build(wanted: Build) -> Path:
    """The shared library of some kernels, whose entries are called `kernel_0`, `kernel_1`, ...

    Raises:
        EmulatorError: with g++'s messages, if it rejects the text; or if there is no g++.
    """
    flags = _FLAGS + (_DEBUG if wanted.debug else _OPTIMIZED)
    if wanted.sanitizer is not None:
        flags += (f"-fsanitize={wanted.sanitizer}",)
    runtime = _runtime(wanted.sanitizer)
    header = _precompiled_header((*flags, *_ALIGNED))
    unit = _translation_unit(wanted)

    def make(work: Path, target: Path) -> None:
        source, made = work / "kernel.cpp", work / "kernel.o"
        source.write_text(unit)
        compiled = _compile(*flags, *_ALIGNED, "-include", header, "-c", source, "-o", made)
        if compiled.returncode:
            raise EmulatorError(f"{wanted.filename} does not compile:\n{compiled.stderr}")
        script = "-Wl,-T," + str(_HERE / "shared.ld")
        _compile(*flags, "-shared", made, runtime, script, "-o", target).check_returncode()

    return _kept(".so", (flags, str(runtime), str(header), unit), make)


def build_library(filename: str) -> Path:
    """The shared library of a C++ file of this folder that stands in for one of NVIDIA's."""
    text = (_HERE / filename).read_text()

    def make(work: Path, target: Path) -> None:
        flags = "-std=c++17", "-fPIC", "-O2", "-shared"
        _compile(*flags, "-x", "c++", _HERE / filename, "-o", target).check_returncode()

    return _kept(".so", (filename, text), make)


def build_all(wanted: Iterable[Build]) -> list[Path]:
    """Builds many at a time, as many as there are processors."""
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        return list(pool.map(build, wanted))


def sanitizer_libraries(sanitizer: str) -> list[Path]:
    """What a process must preload for `"address"` or `"thread"`; empty if it is not installed."""
    name = {"address": "libasan.so", "thread": "libtsan.so"}[sanitizer]
    # Python is no C++ program: a sanitizer that starts before libstdc++ is there could not pass on
    # the exceptions that SciPy throws.
    found = [_library(name), _library("libstdc++.so.6")]
    return [path for path in found if path] if all(found) else []


def _library(name: str) -> Path | None:
    command = [_compiler()[0], f"-print-file-name={name}"]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    return Path(found).resolve() if os.path.isabs(found) else None


def _translation_unit(wanted: Build) -> str:
    text = _with_bounds_kept(wanted.text)
    text = _DYNAMIC_SHARED.sub(_pointer_to_dynamic_shared, text)
    entries = "".join(
        f"TAPEGRAD_ENTRY(kernel_{i}, {name})\n" for i, name in enumerate(wanted.names)
    )
    # In an unnamed namespace, what is not used is not compiled, and the shared arrays of templates
    # may lie in one section with those of plain functions.
    return (
        f'namespace {{\n#line 1 "{wanted.filename}"\n{text}\n}}\n'
        f'#line 1 "kernels asked for in {wanted.filename}"\n{entries}'
    )


def _pointer_to_dynamic_shared(found: re.Match[str]) -> str:
    kind, name = found.groups()
    lines = "\n" * found[0].count("\n")
    return f"{kind}* {name} = reinterpret_cast<{kind}*>(emulator::dynamic_shared);{lines}"


def _with_bounds_kept(text: str) -> str:
    """Each kernel with `__launch_bounds__` begins with a check of its block against them."""
    parts: list[str] = []
    done = 0
    for found in _LAUNCH_BOUNDS.finditer(text):
        end = _closing(text, found.end() - 1)
        bounds = text[found.end() : end]
        parameters = text.find("(", end)
        body = _BODY.match(text, _closing(text, parameters) + 1) if parameters > 0 else None
        if body:  # it is no mere declaration
            parts += [text[done : body.end()], f" emulator::keep_bounds({{{bounds}}});"]
            done = body.end()
    return "".join((*parts, text[done:]))


def _closing(text: str, opening: int) -> int:
    """Where the parenthesis closes that opens at a place of a text."""
    depth = 0
    for place in range(opening, len(text)):
        depth += {"(": 1, ")": -1}.get(text[place], 0)
        if depth == 0:
            return place
    return len(text)


def _runtime(sanitizer: str | None) -> Path:
    flags: tuple[str, ...] = (*_FLAGS, "-O2", "-g1", "-fno-tree-loop-distribute-patterns")
    if sanitizer is not None:
        flags += (f"-DTAPEGRAD_{sanitizer.upper()}",)

    def make(work: Path, target: Path) -> None:
        _compile(*flags, "-shared", *sorted(_HERE.glob("*.cpp")), "-o", target).check_returncode()

    return _kept(".so", ("runtime", flags), make)


def _precompiled_header(flags: tuple[str, ...]) -> Path:
    """A header with its precompiled form beside it, which g++ takes if the flags are the same."""

    def make(work: Path, target: Path) -> None:
        target.mkdir()
        header = target / "cuda.hpp"
        header.write_text(f'#include "{_HERE / "cuda.hpp"}"\n')
        _compile(*flags, "-x", "c++-header", header, "-o", f"{header}.gch").check_returncode()

    return _kept("", ("header", flags), make) / "cuda.hpp"


def _kept(suffix: str, parts: tuple[object, ...], make: Callable[[Path, Path], None]) -> Path:
    """The path of what `make(work, target)` makes of `parts`, made now if it was not yet."""
    name = cache.key(parts, _compiler(), _own_sources())
    target = _writable(cache.folder() / "emulator") / f"{name}{suffix}"
    if not target.exists():
        with tempfile.TemporaryDirectory(dir=target.parent) as work:
            made = Path(work) / f"made{suffix}"
            make(Path(work), made)
            try:
                made.rename(target)
            except OSError:
                if not target.exists():  # no other process was quicker
                    raise
    return target


@functools.cache
def _writable(folder: Path) -> Path:
    """`folder`, or where it cannot be written, one that lasts as long as the process."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return Path(_temporary().name)
    return folder


@functools.cache
def _temporary() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="tapegrad")


@functools.cache
def _own_sources() -> str:
    return cache.key([path.read_text() for path in sorted(_HERE.glob("*.[hcl][pd]*"))], str(_HERE))


@functools.cache
def _compiler() -> tuple[str, str]:
    """The path of g++ and its version."""
    found = shutil.which("g++")
    if found is None:
        raise EmulatorError("the emulator compiles kernels with g++, which is not installed")
    version = subprocess.run([found, "--version"], capture_output=True, text=True, check=True)
    return found, version.stdout.splitlines()[0]


def _compile(*arguments: object) -> subprocess.CompletedProcess[str]:
    # A sanitizer that is preloaded into this process would be into the compiler too.
    environment = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
    command = [_compiler()[0], *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=environment)
