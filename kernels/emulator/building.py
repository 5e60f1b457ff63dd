"""Building kernels with g++: a kernel text becomes a shared library, kept on disk by its content.

Three things are built, each once: the header that every kernel sees (precompiled), the runtime that
runs the threads, and the kernels. Their names are digests of all that goes into them, so that
nothing on disk is ever out of date; each appears whole, by a rename, so that any number of processes
may build at once.
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

HEADERS = Path(__file__).parent

SANITIZERS = ("address", "thread")

_FLAGS = ("-std=c++17", "-fPIC", "-w", "-fno-strict-aliasing", "-ffp-contract=off")
_OPTIMIZED = ("-O1", "-g1", "-fno-omit-frame-pointer")
_DEBUG = ("-O0", "-g3")

# `extern __shared__ float tile[];`, which names the dynamic shared memory of the launch.
_DYNAMIC_SHARED = re.compile(
    r"extern\s+__shared__\s+((?:__align__|alignas)\s*\([^()]*\)\s*)?([^;()\[\]]+?)\s*(\w+)\s*\[\s*\]\s*;"
)


class EmulatorError(RuntimeError):
    """A kernel that cannot be compiled, or that made a mistake while it ran."""


def cache_folder() -> Path:
    """Where built kernels are kept: `$TAPEGRAD_CACHE_DIR`, or tapegrad's folder in the user's cache."""
    own = os.environ.get("TAPEGRAD_CACHE_DIR")
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(own) if own else Path(base) / "tapegrad"
    return folder / "emulator"


def build_kernels(
    text: str, names: Sequence[str], filename: str, sanitizer: str | None, debug: bool
) -> Path:
    """The shared library of the kernels `names` of a text; its entries are called `kernel_0`, ..."""
    compiler = _compiler()
    flags = _flags(sanitizer, debug)
    runtime = _runtime(compiler, sanitizer)
    header = _precompiled_header(compiler, flags)
    unit = _translation_unit(text, names, filename)

    def build(work: Path, target: Path) -> None:
        source = work / "kernel.cpp"
        source.write_text(unit)
        _run(compiler, *flags, "-include", header, "-shared", source, runtime, "-o", target)

    return _kept(".so", (compiler, *flags, str(runtime), str(header), unit), build)


def _translation_unit(text: str, names: Sequence[str], filename: str) -> str:
    text = _DYNAMIC_SHARED.sub(_pointer_to_dynamic_shared, text)
    entries = "\n".join(f"TAPEGRAD_ENTRY(kernel_{i}, {name})" for i, name in enumerate(names))
    # In an unnamed namespace unused functions are never compiled, and the shared arrays of templates
    # and of plain functions may lie in one section.
    return f'namespace {{\n#line 1 "{filename}"\n{text}\n}}\n#line 1 "entries of {filename}"\n{entries}\n'


def _pointer_to_dynamic_shared(found: re.Match[str]) -> str:
    kind, name = found[2], found[3]
    lines = "\n" * found[0].count("\n")
    return f"{kind}* {name} = reinterpret_cast<{kind}*>(emulator::dynamic_shared);{lines}"


def _flags(sanitizer: str | None, debug: bool) -> tuple[str, ...]:
    if sanitizer not in (None, *SANITIZERS):
        raise ValueError(f"a sanitizer is one of {SANITIZERS} or None, got {sanitizer!r}")
    flags = _FLAGS + (_DEBUG if debug else _OPTIMIZED)
    return flags if sanitizer is None else (*flags, f"-fsanitize={sanitizer}")


def _runtime(compiler: str, sanitizer: str | None) -> Path:
    parts = [(HEADERS / name).read_text() for name in ("keywords.hpp", "block.hpp", "runtime.cpp")]
    flags: tuple[str, ...] = (*_FLAGS, "-O2", "-g1", "-fno-tree-loop-distribute-patterns")
    if sanitizer:
        flags += (f"-DTAPEGRAD_{sanitizer.upper()}",)

    def build(work: Path, target: Path) -> None:
        _run(compiler, *flags, "-shared", HEADERS / "runtime.cpp", "-o", target)

    return _kept(".so", (compiler, *flags, *parts), build)


def _precompiled_header(compiler: str, flags: tuple[str, ...]) -> Path:
    """A header beside its precompiled form, which g++ takes when the flags are the same."""
    parts = [path.read_text() for path in sorted(HEADERS.glob("*.hpp"))]

    def build(work: Path, target: Path) -> None:
        target.mkdir()
        header = target / "cuda.hpp"
        header.write_text(f'#include "{HEADERS / "cuda.hpp"}"\n')
        _run(compiler, *flags, "-x", "c++-header", header, "-o", target / "cuda.hpp.gch")

    return _kept("", (compiler, *flags, *parts), build) / "cuda.hpp"


def _kept(suffix: str, parts: Sequence[str], build: object) -> Path:
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
    folder = cache_folder()
    target = folder / f"{digest}{suffix}"
    if target.exists():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as work:
        made = Path(work) / f"made{suffix}"
        build(Path(work), made)  # type: ignore[operator]
        try:
            made.rename(target)
        except OSError:
            if not target.exists():  # another process was quicker
                raise
    return target


@functools.cache
def _compiler() -> str:
    found = shutil.which("g++")
    if found is None:
        raise EmulatorError("the emulator compiles kernels with g++, which is not installed")
    version = subprocess.run([found, "--version"], capture_output=True, text=True, check=True)
    return f"{found}\0{version.stdout.splitlines()[0]}"


def _run(compiler: str, *arguments: object) -> None:
    command = [compiler.split("\0")[0], *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise EmulatorError(f"g++ rejects the kernel:\n{done.stderr}")
