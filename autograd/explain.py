"""Why a gradient is what it is: the chain rule of one input, written out.

`explain` walks from the loss to one tensor, as backward does, and keeps what backward throws away:
the local derivative of every gate and the share that each way contributes. A graph with forks has
exponentially many paths, so ways that meet are added up where they meet: that node's own gradient
is shown once and referred to, as backward computes it once. What prints is in `explanation.py`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from heapq import heappop, heappush
from operator import add
from typing import Any

from . import engine
from .arrays import module_of
from .backward import reachable
from .engine import Leaf, describe
from .errors import PositionError
from .explanation import Explanation, Sum, Term, size_of
from .records import Node, Variable
from .shares import hand_back
from .tape import known_inputs, label_of, shown

MOST_FACTORS = 5_000  # in all terms together; past that they also start where ways part


def explain(
    loss: Variable, x: Variable, *, index: int | tuple[int, ...] | None = None, limit: int = 10
) -> Explanation:
    """The chain rule that gives d loss / d x: every way from `loss` to `x`, and what it adds.

    `loss` is a single element. Of a tensor `x` the contributions are arrays, or those to the one
    element at `index`. Names (`t.name = "x"`) are used where there are some, and the numbers of the
    tape elsewhere. At most `limit` terms of a sum, sums, and `paths` are listed. Best asked for
    before backward: afterwards only scalars still know their values, unless the graph was
    retained. Nothing is added to `.grad`, and hooks are not called: this is the derivative.

    Returns an `Explanation`. Raises RuntimeError if `loss` is not a single element, does not depend
    on `x`, or backward freed what a derivative needs.

    >>> import tapegrad as tg
    >>> x, y, z = (tg.tensor(v, requires_grad=True) for v in (-2.0, 5.0, -4.0))
    >>> x.name, y.name, z.name = "x", "y", "z"
    >>> q = x + y
    >>> f = q * z
    >>> q.name, f.name = "q", "f"
    >>> tg.explain(f, x)
    d f / d x = d f/d q * d q/d x = -4 * 1 = -4
      q = add(x, y) = 3
      f = mul(q, z) = -12
    >>> tg.explain(q * q, q).terms[0].product
    3.0
    """
    for name, value in (("loss", loss), ("x", x)):
        if not isinstance(value, Variable):
            raise TypeError(f"explain: {name} must be a tensor, not {type(value).__name__}")
    if loss._data.size != 1:
        raise RuntimeError(
            f"explain: the loss is {describe(loss)}; only a single element has a gradient of its "
            "own. Reduce it (.sum(), .mean()), or choose an element of it"
        )
    if x._node is None:
        raise RuntimeError(
            f"explain: x ({describe(x)}) does not require a gradient; set requires_grad before "
            "computing the loss"
        )
    if loss._node is None:
        raise RuntimeError(
            f"explain: the loss ({describe(loss)}) was not recorded: nothing it depends on "
            "requires a gradient, or it was computed under no_grad or detached"
        )
    position = _position(x, index)
    walk = _Walk(loss._node, x._node, position)
    walk.go(module_of(loss._data).ones(loss._data.shape, loss._data.dtype))
    return walk.explanation(index is not None, limit)


def _position(x: Variable, index: int | tuple[int, ...] | None) -> tuple[int, ...] | None:
    """The element to explain; None for all of several."""
    shape = tuple(x._data.shape)
    if index is None:
        return (0,) * len(shape) if x._data.size == 1 else None
    position = index if isinstance(index, tuple) else (index,)
    if len(position) != len(shape) or not all(
        -n <= i < n for i, n in zip(position, shape, strict=True)
    ):
        raise PositionError(
            f"explain: index {index} does not choose one element of x ({describe(x)}); give one "
            "position for each dimension"
        )
    return tuple(i % n for i, n in zip(position, shape, strict=True))


@dataclass(frozen=True, slots=True)
class _Edge:
    """From a node to one of its inputs: the local derivative, and the share it hands back."""

    above: int
    below: int
    twin: str  # which input it is, where the node takes the same one several times
    local: float | None
    share: Any
    size: str


class _Walk:
    """The part of the graph between a loss and x: its edges with their shares, and gradients."""

    def __init__(self, first: Node, last: Node, position: tuple[int, ...] | None) -> None:
        self.first, self.last, self.position = first.number, last.number, position
        self.way = {last.number: last}
        for node in reachable([first], last.number):
            if any(before is not None and before.number in self.way for before in node.inputs):
                self.way[node.number] = node
        if first.number not in self.way:
            raise RuntimeError(
                f"explain: {label_of(first)} does not depend on {label_of(last)}: no gate leads "
                "from the one to the other"
            )
        self.gradients: dict[int, Any] = {}
        self.into: dict[int, list[_Edge]] = {number: [] for number in self.way}
        self.counts = dict.fromkeys(self.way, 0) | {first.number: 1}  # of paths, exactly

    def go(self, one: Any) -> None:
        """Carry the gradient from the loss to x."""
        self.gradients[self.first] = one
        for number in sorted(self.way, reverse=True):
            gradient = self.gradients.get(number)
            if number == self.last and gradient is None:
                break
            if number == self.last or gradient is None:
                continue
            for edge in self.edges(number, gradient):
                known = self.gradients.get(edge.below)
                self.gradients[edge.below] = edge.share if known is None else known + edge.share
                self.into[edge.below].append(edge)
                self.counts[edge.below] += self.counts[number]
        else:
            return
        raise RuntimeError(
            f"explain: the gates between {label_of(self.way[self.first])} and "
            f"{label_of(self.way[self.last])} hand no gradient back"
        )

    def edges(self, number: int, gradient: Any) -> list[_Edge]:
        """What a node hands back of a gradient to those of its inputs that lead to x."""
        node = self.way[number]
        wanted = [
            (position, before)
            for position, before in enumerate(_step_of(node).inputs)
            if before is not None and before.number in self.way
        ]
        shares = _handed_back(node, gradient)
        slopes: list[Any] = [None] * len(shares)
        if gradient.size == 1 and any(math.prod(before.shape) == 1 for _, before in wanted):
            slopes = _handed_back(node, module_of(gradient).ones_like(gradient))
        numbers = [before.number for _, before in wanted]
        found = []
        for position, before in wanted:
            share, slope = shares[position], slopes[position]
            if share is None:
                continue
            twin = f" (input {position + 1})" if numbers.count(before.number) > 1 else ""
            local = float(slope.item()) if slope is not None and slope.size == 1 else None
            size = size_of(self.chosen(before.number, share))
            found.append(_Edge(number, before.number, twin, local, share, size))
        return found

    def chosen(self, number: int, gradient: Any) -> Any:
        """A gradient as it is shown: of x the chosen element, a single element as a number."""
        if number == self.last and self.position is not None:
            return float(gradient[self.position])
        return float(gradient.item()) if gradient.size == 1 else gradient

    def explanation(self, indexed: bool, limit: int) -> Explanation:
        """All terms, and some paths."""
        starts = {number for number, edges in self.into.items() if len(edges) > 1}
        starts = self.parted(starts | {self.first})
        whole = self.sum_at(self.last, starts)
        ordered = all(edge.local is not None for edges in self.into.values() for edge in edges)
        if whole.count <= min(len(whole.terms), limit):
            paths = list(whole.terms)
        elif ordered:
            paths = [self.term(path) for path in _largest(self.into, self.first, self.last, limit)]
        else:
            paths = [self.term(path) for path in self.in_order(limit)]
        position = str(list(self.position)) if indexed and self.position else ""
        explanation = Explanation(
            loss=label_of(self.way[self.first]),
            by=label_of(self.way[self.last]) + position,
            gradient=whole.gradient,
            total=reduce(add, (term.product for term in whole.terms)),
            terms=whole.terms,
            sums={
                number: self.sum_at(number, starts)
                for number in sorted(starts - {self.first, self.last})
                if self.into[number]
            },
            count=whole.count,
            paths=paths,
            largest_first=ordered,
            limit=limit,
        )
        for number in explanation.mentioned():
            if number != self.last and not isinstance(self.way[number], Leaf):
                explanation.nodes[number] = _described(self.way[number])
        return explanation

    def parted(self, starts: set[int]) -> set[int]:
        """Where terms start: where ways meet and, should they grow too long, also where ways part.

        Ways that part share what lies above, which each of their terms would repeat.
        """
        length = {self.first: 0}
        total, uses = 0, dict.fromkeys(self.way, 0)
        for number in sorted(self.way, reverse=True):
            for edge in self.into[number]:
                uses[edge.above] += 1
                length[number] = 1 + (0 if edge.above in starts else length[edge.above])
                if number in starts or number == self.last:
                    total += length[number]
        if total > MOST_FACTORS:
            starts = starts | {number for number, used in uses.items() if used > 1}
        return starts

    def sum_at(self, number: int, starts: set[int]) -> Sum:
        """The gradient of a node as a sum of terms, each from where it starts."""
        terms = []
        for edge in sorted(self.into[number], key=lambda edge: edge.above):
            chain = [edge]
            while chain[-1].above not in starts:
                chain.append(self.into[chain[-1].above][0])
            terms.append(self.term(chain[::-1]))
        gradient = self.chosen(number, self.gradients[number])
        terms = terms or [self.term([])]
        return Sum(label_of(self.way[number]), number, gradient, terms, self.counts[number])

    def term(self, chain: list[_Edge]) -> Term:
        """The product along edges that lead from one node down to another."""
        start = chain[0].above if chain else self.first
        numbers = (start, *(edge.below for edge in chain))
        upstream = self.chosen(start, self.gradients[start])
        slopes = tuple(edge.local for edge in chain)
        product = self.chosen(chain[-1].below, chain[-1].share) if chain else upstream
        numbers_alone = [slope for slope in slopes if slope is not None]
        if type(upstream) is float and len(numbers_alone) == len(slopes):
            product = math.prod(numbers_alone, start=upstream)
        return Term(
            labels=tuple(label_of(self.way[number]) for number in numbers),
            numbers=numbers,
            gates=tuple(_step_of(self.way[edge.above]).gate.name for edge in chain),
            derivatives=slopes,
            upstream=upstream,
            product=product,
            twins=tuple(edge.twin for edge in chain),
            sizes=(size_of(upstream), *(edge.size for edge in chain)),
        )

    def in_order(self, limit: int) -> Iterator[list[_Edge]]:
        """Whole paths in the order of recording, each with the shares of its own."""
        stack: list[tuple[int, Any, Any]] = [(self.first, self.gradients[self.first], None)]
        while stack and limit > 0:
            number, gradient, chain = stack.pop()
            if number == self.last:
                limit -= 1
                yield _unlinked(chain)[::-1]
                continue
            for edge in reversed(self.edges(number, gradient)):
                stack.append((edge.below, edge.share, (edge, chain)))


def _step_of(node: Node) -> Node:
    """The node itself, or the gate behind one of its several outputs."""
    return node.inputs[0] if node.gate is engine.output else node  # type: ignore[return-value]


def _handed_back(node: Node, gradient: Any) -> list[Any]:
    """The shares of the inputs; one of several outputs stands for the gate behind it."""
    step = _step_of(node)
    try:
        if step is node:
            return hand_back(node, gradient)
        parts = [None] * len(step.shape)
        parts[node.params["index"]] = gradient
        return hand_back(step, parts)
    except RuntimeError as error:
        raise type(error)(f"explain: {error}") from error


def _described(node: Node) -> str:
    """What a node computed of what: "q = add(x, y) = 3"."""
    step = _step_of(node)
    inputs = (
        label_of(before) if before is not None else shown(value)
        for before, value in zip(step.inputs, known_inputs(step), strict=True)
    )
    kind = f"{node.dtype}{list(node.shape)}"
    value = kind if node.value is None else f"{float(node.value):.6g}"
    return f"{label_of(node)} = {step.gate.name}({', '.join(inputs)}) = {value}"


def _unlinked(chain: Any) -> list[_Edge]:
    """The edges of a linked list, the last put in first."""
    edges = []
    while chain is not None:
        edge, chain = chain
        edges.append(edge)
    return edges


def _largest(into: dict[int, list[_Edge]], first: int, last: int, limit: int) -> list[list[_Edge]]:
    """The paths of the largest |product|, largest first.

    Best-first search from x up to the loss, by how far a path falls short of the best one; what is
    best from the loss to each node is known beforehand, so no path is followed in vain. Logarithms
    do not overflow.
    """
    best, short = {first: 0.0}, {}
    for number in sorted(into, reverse=True):
        ways = [_plus(best[edge.above], _size(edge.local)) for edge in into[number]]
        if ways:
            best[number] = top = max(ways)
            near = 1e-12 * (1 + abs(top)) if math.isfinite(top) else 0.0  # rounding breaks no tie
            short[number] = [0.0 if way >= top - near else top - way for way in ways]
    found: list[list[_Edge]] = []
    heap: list[tuple[float, int, int, Any]] = [(0.0, 0, last, None)]
    ticket = 0
    while heap and len(found) < limit:
        lost, _, number, chain = heappop(heap)
        if number == first:
            found.append(_unlinked(chain))
            continue
        for edge, more in zip(into[number], short[number], strict=True):
            ticket -= 1  # of equals the newest goes on: depth first
            heappush(heap, (lost + more, ticket, edge.above, (edge, chain)))
    return found


def _size(local: float | None) -> float:
    """log |local|, where NaN counts as large."""
    if local is None or math.isnan(local):
        return math.inf
    return math.log(abs(local)) if local else -math.inf


def _plus(a: float, b: float) -> float:
    """The logarithm of a product, in which a zero wins."""
    return -math.inf if -math.inf in (a, b) else a + b
