"""What `explain` found: terms and sums as data, and how they are printed."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, field
from functools import reduce
from operator import add
from typing import Any, NamedTuple

from .arrays import FLOATS, float64, module_of

WIDTH = 100
MOST_FACTORS = 12  # of a term, written out


class Term(NamedTuple):
    """One product of the chain rule, from the loss, or from where ways met, down to a node.

    labels, numbers   the nodes it passes, as they are named and numbered on the tape
    gates             the gates between them, one fewer
    derivatives       of each gate, d output / d input; None where these are not single numbers
    upstream          the gradient of the first node: 1.0 of the loss
    product           what the term adds: a number, or an array of the shape of the last node
    """

    labels: tuple[str, ...]
    numbers: tuple[int, ...]
    gates: tuple[str, ...]
    derivatives: tuple[float | None, ...]
    upstream: Any
    product: Any
    twins: tuple[str, ...]
    sizes: tuple[str, ...]


@dataclass(frozen=True)
class Sum:
    """The gradient of a node as a sum of terms; `count` paths lead to it."""

    label: str
    number: int
    gradient: Any
    terms: list[Term]
    count: int


@dataclass
class Explanation:
    """One gradient, explained. It prints as the chain rule written out.

    gradient        d loss / d x: a number, or an array of the shape of x
    terms, total    the terms that add up to it, and their sum, which differs by rounding alone
    sums            number -> `Sum` of the nodes that terms start from, where ways meet
    count           how many paths lead from the loss to x, exactly
    paths           some of them from end to end, as terms
    largest_first   whether these are the largest, sorted (so where all nodes are single numbers),
                    or simply the first that were recorded
    """

    loss: str
    by: str
    gradient: Any
    total: Any
    terms: list[Term]
    sums: dict[int, Sum]
    count: int
    paths: list[Term]
    largest_first: bool
    limit: int
    nodes: dict[int, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        whole = Sum(self.by, 0, self.gradient, self.terms, self.count)
        lines = self._lines(whole, "")
        followed, more = self._followed()
        if followed:
            lines.append("where")
        for found in followed:
            lines += self._lines(found, "  ")
        if more:
            lines.append(f"  and {more} more gradients, nearer to {self.loss}")
        described = list(self.nodes.values())
        most = 2 * self.limit
        lines += [f"  {text}" for text in described[:most]]
        if len(described) > most:
            lines.append(f"  and {len(described) - most} more steps")
        return "\n".join(lines)

    def mentioned(self) -> list[int]:
        """The numbers of the nodes in the terms that are printed, in order."""
        terms = list(_listed(self.terms, self.limit)[0])
        for found in self._followed()[0]:
            terms += _listed(found.terms, self.limit)[0]
        return sorted({number for term in terms for number in term.numbers})

    def _followed(self) -> tuple[list[Sum], int]:
        """The sums that printed terms start from, nearest to x first, and how many are left out."""
        found: dict[int, Sum] = {}
        terms, left = list(_listed(self.terms, self.limit)[0]), set()
        while terms:
            wanted = {t.numbers[0] for t in terms if t.numbers[0] in self.sums} - found.keys()
            terms = []
            for number in sorted(wanted):
                if len(found) == self.limit:
                    left.add(number)
                    continue
                found[number] = self.sums[number]
                terms += _listed(self.sums[number].terms, self.limit)[0]
        return list(found.values()), len(self.sums) - len(found) if left else 0

    def _lines(self, found: Sum, indent: str) -> list[str]:
        head = f"d {self.loss} / d {found.label}"
        over = f", over {found.count} paths" if found.count > len(found.terms) else ""
        if len(found.terms) == 1:
            written = self._written(found.terms[0])
            if len(found.terms[0].labels) <= 2 and written.count(" = ") == 1:
                written = written.partition(" = ")[2]  # of a single factor the name says it all
            return [_folded(f"{indent}{head} = {written}{over}", indent)]
        terms, more = _listed(found.terms, self.limit)
        kind = f"the sum of {len(found.terms)} terms{over}"
        colon = ", of which the largest:" if more else ":"
        lines = [f"{indent}{head} = {size_of(found.gradient)}, {kind}{colon}"]
        lines += [_folded(f"{indent}  {self._written(term)}", indent + "  ") for term in terms]
        if more:
            rest = reduce(add, (term.product for term in more))
            lines.append(f"{indent}  and {len(more)} more, which add up to {size_of(rest)}")
        return lines

    def _written(self, term: Term) -> str:
        """A term as factors, their values, and the product."""
        outer = [] if len(term.labels) > 1 and term.labels[0] == self.loss else term.labels[:1]
        factors = [f"d {self.loss}/d {label}" for label in outer]
        factors += [
            f"d {above}/d {below}{twin}"
            for above, below, twin in zip(term.labels, term.labels[1:], term.twins, strict=False)
        ]
        written = " * ".join(_some(factors)).replace("d ", "d\xa0").replace(" (i", "\xa0(i")
        if type(term.upstream) is not float or None in term.derivatives:
            return f"{written}: {' -> '.join(_some(list(term.sizes)))}"
        values = [size_of(term.upstream) for _ in outer]
        values += [size_of(slope) for slope in term.derivatives]
        if len(values) == 1:
            return f"{written} = {values[0]}"
        return f"{written} = {' * '.join(_some(values))} = {size_of(term.product)}"


def size_of(value: Any) -> str:
    """A number to six digits; of an array the shape and the Euclidean norm."""
    if isinstance(value, float) or value.size == 1:
        return f"{float(value if isinstance(value, float) else value.item()):.6g}"
    return f"{list(value.shape)} of norm {_norm(value):.6g}"


def _norm(value: Any) -> float:
    xp = module_of(value)
    wide = value.astype(float64) if value.dtype in FLOATS else value
    return float(xp.sqrt((wide * wide).sum()))


def _listed(terms: list[Term], limit: int) -> tuple[list[Term], list[Term]]:
    """The terms to print and those to sum up: all in order, or the largest first."""
    if len(terms) <= limit:
        return terms, []
    sizes = [abs(t.product) if isinstance(t.product, float) else _norm(t.product) for t in terms]
    order = sorted(range(len(terms)), key=lambda i: -sizes[i] if sizes[i] == sizes[i] else 0.0)
    return [terms[i] for i in order[:limit]], [terms[i] for i in order[limit:]]


def _some(parts: list[str]) -> list[str]:
    """The parts, of many the first and the last."""
    if len(parts) <= MOST_FACTORS:
        return parts
    half = MOST_FACTORS // 2
    return [*parts[:half], f"({len(parts) - 2 * half} more)", *parts[-half:]]


def _folded(line: str, indent: str) -> str:
    """A long line on several, broken between factors."""
    folded = textwrap.fill(
        line,
        WIDTH,
        subsequent_indent=indent + "    ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    return folded.replace("\xa0", " ")
