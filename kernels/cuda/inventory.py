"""Every kernel there is, with what each takes of a GPU; on any machine, since NVRTC needs no GPU.

    python -m tapegrad.kernels.cuda.inventory            # a table, for sm_80 and sm_90a
    python -m tapegrad.kernels.cuda.inventory softmax    # of the kernels with "softmax" in the name

A file of this folder that launches kernels says which in a function `variants`; a test compiles
what is listed here and refuses spills.
"""

from __future__ import annotations

import argparse
import difflib
import importlib
import pkgutil
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from tapegrad.kernels import cuda
from tapegrad.kernels.cuda.compiling import ARCHITECTURES, Resources, compiled, resources
from tapegrad.kernels.cuda.launching import Kernel

_WORKERS = 2
_TOGETHER = 24  # instances of one text in one compilation: parsing it is most of a small one


class Report(NamedTuple):
    """One kernel, compiled for one architecture."""

    kernel: Kernel
    arch: str
    takes: Resources


def variants() -> list[Kernel]:
    """Each kernel and each instance of a template that any file of this folder can ask for."""
    found: dict[tuple[str, str], Kernel] = {}
    for module in pkgutil.iter_modules(cuda.__path__, cuda.__name__ + "."):
        if module.name != __name__:
            listed = getattr(importlib.import_module(module.name), "variants", tuple)
            for kernel in listed():
                found.setdefault((kernel.text, kernel.name), kernel)
    return list(found.values())


def compile_all(
    kernels: Iterable[Kernel], architectures: Iterable[str] = ARCHITECTURES
) -> Iterator[Report]:
    """Compile kernels for architectures, several at once, and say what each takes.

    Raises:
        CompileError: if one does not compile.
    """
    groups = together(kernels)
    jobs = [(group, arch) for arch in architectures for group in groups]
    with ThreadPoolExecutor(_WORKERS) as pool:  # NVRTC runs outside the interpreter's lock
        for reports in pool.map(_compile, jobs):
            yield from reports


def together(kernels: Iterable[Kernel]) -> list[list[Kernel]]:
    """Kernels in groups that are compiled at once, each of one text."""
    by_text: dict[str, list[Kernel]] = defaultdict(list)
    for kernel in kernels:
        by_text[kernel.text].append(kernel)
    return [
        group[start : start + _TOGETHER]
        for group in by_text.values()
        for start in range(0, len(group), _TOGETHER)
    ]


def _compile(job: tuple[list[Kernel], str]) -> list[Report]:
    group, arch = job
    first = group[0]
    binary = compiled(first.text, [kernel.name for kernel in group], arch, first.filename)
    takes = resources(binary)
    return [Report(kernel, arch, takes[kernel.name]) for kernel in group]


def table(reports: Iterable[Report]) -> str:
    """Reports as text, a line each, and a line of totals."""
    listed = sorted(reports, key=lambda report: (report.kernel.filename, report.kernel.name))
    width = max((len(report.kernel.name) for report in listed), default=6)
    lines = [f"{'kernel':{width}}  arch    registers  shared  stack  spills"]
    for kernel, arch, takes in listed:
        lines.append(
            f"{kernel.name:{width}}  {arch:6}  {takes.registers:9}  {takes.shared:6}  "
            f"{takes.stack:5}  {takes.spills:6}"
        )
    lines.append(totals(listed))
    return "\n".join(lines)


def totals(reports: Iterable[Report]) -> str:
    """How many kernels in how many variants, and of those how many spill."""
    listed = list(reports)
    kernels = {(kernel.filename, kernel.name.split("<")[0]) for kernel, _, _ in listed}
    names = {(kernel.text, kernel.name) for kernel, _, _ in listed}
    spilling = sum(takes.spills > 0 for _, _, takes in listed)
    return (
        f"{len(kernels)} kernels, {len(names)} variants, {len(listed)} compilations, "
        f"{spilling} with spills"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """The command line: prints the table, or a part of it; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tapegrad.kernels.cuda.inventory",
        description="Compile the kernels, and list what each takes of a GPU; it needs none.",
    )
    parser.add_argument(
        "words", nargs="*", help="only kernels with all of these in the name: softmax_rows float16"
    )
    words = parser.parse_args(argv).words
    known = variants()
    wanted = [kernel for kernel in known if all(word in kernel.name for word in words)]
    if not wanted:
        missing = [word for word in words if not any(word in kernel.name for kernel in known)]
        names = {kernel.name.partition("<")[0] for kernel in known}
        near = difflib.get_close_matches(missing[0], names, 1) if missing else []
        guess = f"; did you mean {near[0]!r}?" if near else "; without a word all are listed"
        parser.error(f"no kernel has {' and '.join(map(repr, words))} in its name{guess}")
    try:
        print(table(compile_all(wanted)))
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
