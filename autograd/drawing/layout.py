"""Where boxes and wires go: a layered layout of an acyclic graph.

Four steps, after Sugiyama, Tagawa and Toda, "Methods for visual understanding of hierarchical
system structures" (1981): give each node a layer, so that edges lead forward; break long edges into
pieces of one layer; order each layer so that few edges cross, by medians (Gansner et al., "A
technique for drawing directed graphs", 1993, section 3) and exchanges of neighbours; place nodes
near their neighbours without overlap, which within one layer is an isotonic regression. Nothing
here recurses, and the same graph always gives the same picture.
"""

from __future__ import annotations

import itertools
import random
from bisect import bisect_right, insort
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

Point = tuple[float, float]
EFFORT = 60_000  # pieces of the graph looked at in all sweeps: bounds the time of large pictures
LARGE = 4000  # pieces; beyond, one beginning and no exchanges
MOST_PIECES = 30_000  # of long edges; past that the longest run straight, through whatever is there


@dataclass(frozen=True)
class Layout:
    """Centres of the nodes, the points each edge passes through, and the size of the whole.

    Layers follow each other along x; within a layer nodes follow each other along y.
    """

    centres: list[Point]
    routes: list[list[Point]]
    width: float
    height: float
    crossings: int


def layered(
    sizes: Sequence[tuple[float, float]],
    edges: Sequence[tuple[int, int]],
    *,
    layer_gap: float = 48.0,
    node_gap: float = 24.0,
) -> Layout:
    """Place nodes of the given (width, height) whose edges (from, to) have no cycle.

    Parallel edges are routed apart by whoever draws them: here they are one.
    """
    count = len(sizes)
    layer = _layers(count, edges)
    long = _Pieces(count, layer, edges)
    order = _ordered(long)
    heights = [h for _, h in sizes] + [4.0] * (len(long.layer) - count)
    y = _placed(order, long, heights, node_gap, count)
    x = _columns(sizes, layer, layer_gap)
    top = min((y[v] - heights[v] / 2 for v in range(len(y))), default=0.0)
    y = [value - top for value in y]
    centres = [(x[layer[v]], y[v]) for v in range(count)]
    routes = [[(x[long.layer[v]], y[v]) for v in chain] for chain in long.chains]
    width = max((x[layer[v]] + sizes[v][0] / 2 for v in range(count)), default=0.0)
    height = max((y[v] + heights[v] / 2 for v in range(len(y))), default=0.0)
    return Layout(centres, routes, width, height, _crossings(order, long.after))


# Layers


def _layers(count: int, edges: Sequence[tuple[int, int]]) -> list[int]:
    """The layers for which the edges are shortest in all, each leading at least one layer on.

    This linear program is the dual of a network flow, so a vertex of it is whole numbers (Gansner
    et al., section 2, solve it by a network simplex of their own; HiGHS is quicker).
    """
    from scipy.optimize import linprog  # slow to import, and only drawing needs it
    from scipy.sparse import csc_array

    different = sorted(set(edges))
    if not different:
        return [0] * count
    cost = np.zeros(count)
    for u, v in edges:
        cost[v] += 1
        cost[u] -= 1
    rows = np.arange(len(different))
    ends = np.asarray(different).T
    signs = np.concatenate([np.ones(len(different)), -np.ones(len(different))])
    leads = csc_array((signs, (np.concatenate([rows, rows]), ends.ravel())), (len(rows), count))
    found = linprog(cost, leads, -np.ones(len(rows)), bounds=(0, count), method="highs-ds")
    if found.x is None:
        raise ValueError("layout: the graph has a cycle")
    return [round(value) for value in found.x]


class _Pieces:
    """The graph with every edge of one layer: long ones broken by points on the way."""

    def __init__(self, count: int, layer: list[int], edges: Sequence[tuple[int, int]]) -> None:
        self.layer = list(layer)
        self.chains: list[list[int]] = []
        spans = sorted((layer[v] - layer[u] - 1, i) for i, (u, v) in enumerate(edges))
        room, straight = MOST_PIECES, set()
        for span, i in spans:
            room -= span
            if room < 0:
                straight.add(i)
        known: dict[tuple[int, int], list[int]] = {}
        for i, (u, v) in enumerate(edges):
            if (u, v) not in known:
                between = range(layer[u] + 1, layer[v]) if i not in straight else ()
                start = len(self.layer)
                self.layer.extend(between)
                known[u, v] = [u, *range(start, len(self.layer)), v]
            self.chains.append(known[u, v])
        size = len(self.layer)
        self.before: list[list[int]] = [[] for _ in range(size)]
        self.after: list[list[int]] = [[] for _ in range(size)]
        for chain in known.values():
            for u, v in itertools.pairwise(chain):
                if self.layer[v] - self.layer[u] == 1:
                    self.after[u].append(v)
                    self.before[v].append(u)


# Order within layers


def _ordered(graph: _Pieces) -> list[list[int]]:
    """An order of each layer with few crossings: the best of some sweeps to and fro."""
    sweeps = min(24, max(4, EFFORT // (len(graph.layer) + 1)))
    best: list[list[int]] = []
    fewest = -1
    for order in _beginnings(graph):
        stale = 0
        for sweep in range(sweeps):
            crossings = _crossings(order, graph.after)
            if fewest < 0 or crossings < fewest:
                best, fewest, stale = [list(row) for row in order], crossings, 0
            else:
                stale += 1
            if not fewest or stale > 6:
                break
            _by_medians(order, graph, forward=sweep % 2 == 0, flip=sweep % 4 > 1)
            if len(graph.layer) <= LARGE:
                _exchange(order, graph)
        if not fewest:
            break
    return best


def _beginnings(graph: _Pieces) -> Iterator[list[list[int]]]:
    """Orders to start from: walks in depth, and of small graphs some shuffles, always alike."""
    yield _by_depth(graph, graph.after)
    if len(graph.layer) > LARGE:
        return
    order = _by_depth(graph, graph.before)
    yield [list(row) for row in order]
    source = random.Random(0)
    for _ in range(min(20, 2000 // (len(graph.layer) + 1))):
        for row in order:
            source.shuffle(row)
        yield [list(row) for row in order]


def _by_depth(graph: _Pieces, follow: list[list[int]]) -> list[list[int]]:
    """Layers in the order of a walk in depth, which keeps what belongs together together."""
    rows: list[list[int]] = [[] for _ in range(max(graph.layer, default=-1) + 1)]
    other = graph.before if follow is graph.after else graph.after
    seen = [False] * len(graph.layer)
    for start in range(len(graph.layer)):
        if other[start]:
            continue
        stack = [start]
        while stack:
            v = stack.pop()
            if seen[v]:
                continue
            seen[v] = True
            rows[graph.layer[v]].append(v)
            stack.extend(reversed(follow[v]))
    return rows


def _by_medians(order: list[list[int]], graph: _Pieces, forward: bool, flip: bool) -> None:
    """Sort each layer by the median place of its neighbours in the one before (or after).

    `flip` turns equals round, which leads out of orders that are only locally best.
    """
    neighbours = graph.before if forward else graph.after
    place = [0] * len(graph.layer)
    rows = range(1, len(order)) if forward else range(len(order) - 2, -1, -1)
    for i, v in enumerate(order[0 if forward else -1] if order else ()):
        place[v] = i
    for r in rows:
        row = order[r]
        keys = {v: _median(sorted(place[u] for u in neighbours[v])) for v in row}
        moving = [v for v in (reversed(row) if flip else row) if keys[v] >= 0]
        free = iter(sorted(moving, key=keys.__getitem__))
        row[:] = [next(free) if keys[v] >= 0 else v for v in row]  # the others keep their places
        for i, v in enumerate(row):
            place[v] = i


def _median(places: list[int]) -> float:
    """The weighted median of Gansner et al.; -1 without neighbours."""
    count = len(places)
    if not count:
        return -1.0
    middle = count // 2
    if count % 2:
        return places[middle]
    if count == 2:
        return (places[0] + places[1]) / 2
    left, right = places[middle - 1] - places[0], places[-1] - places[middle]
    if left + right == 0:
        return (places[middle - 1] + places[middle]) / 2
    return (places[middle - 1] * right + places[middle] * left) / (left + right)


def _exchange(order: list[list[int]], graph: _Pieces) -> None:
    """Exchange neighbours as long as that takes crossings away."""
    place = [0] * len(graph.layer)
    for row in order:
        for i, v in enumerate(row):
            place[v] = i
    ends = [[sorted(place[u] for u in side[v]) for side in (graph.before, graph.after)]
            for v in range(len(graph.layer))]  # fmt: skip
    for _ in range(10):
        improved = False
        for row in order:
            for i in range(len(row) - 1):
                v, w = row[i], row[i + 1]
                now = sum(_inversions(a, b) for a, b in zip(ends[v], ends[w], strict=True))
                then = sum(_inversions(b, a) for a, b in zip(ends[v], ends[w], strict=True))
                if then < now:
                    row[i], row[i + 1] = w, v
                    place[v], place[w] = i + 1, i
                    for u in {*graph.before[v], *graph.before[w]}:
                        ends[u][1] = sorted(place[x] for x in graph.after[u])
                    for u in {*graph.after[v], *graph.after[w]}:
                        ends[u][0] = sorted(place[x] for x in graph.before[u])
                    improved = True
        if not improved:
            return


def _inversions(left: list[int], right: list[int]) -> int:
    """Crossings of the edges of two neighbours, the first with ends `left`; both sorted."""
    return sum(len(left) - bisect_right(left, end) for end in right) if left else 0


def _crossings(order: list[list[int]], after: list[list[int]]) -> int:
    """How many pairs of edges between neighbouring layers cross."""
    total = 0
    for upper, lower in itertools.pairwise(order):
        place = {v: i for i, v in enumerate(lower)}
        seen: list[int] = []
        for v in upper:
            ends = [place[w] for w in after[v] if w in place]
            for end in ends:
                total += len(seen) - bisect_right(seen, end)
            for end in ends:
                insort(seen, end)
    return total


# Coordinates


def _columns(
    sizes: Sequence[tuple[float, float]], layer: list[int], layer_gap: float
) -> list[float]:
    """The x of each layer's centre."""
    widths = [0.0] * (max(layer, default=-1) + 1)
    for (width, _), row in zip(sizes, layer, strict=True):
        widths[row] = max(widths[row], width)
    centres, edge = [], 0.0
    for width in widths:
        centres.append(edge + width / 2)
        edge += width + layer_gap
    return centres


def _placed(
    order: list[list[int]], graph: _Pieces, heights: list[float], gap: float, real: int
) -> list[float]:
    """The y of each node: near its neighbours, in order, at least `gap` apart."""
    y = [0.0] * len(graph.layer)
    for row in order:
        edge = 0.0
        for v in row:
            y[v] = edge + heights[v] / 2
            edge += heights[v] + gap
        for v in row:
            y[v] -= edge / 2
    rows = len(order)
    sweeps = 10 if len(graph.layer) <= LARGE else 4
    for sweep in range(sweeps):
        down = sweep % 2 == 0
        for r in range(rows) if down else range(rows - 1, -1, -1):
            row = order[r]
            wishes, weights = [], []
            for v in row:
                near = graph.before[v] if down else graph.after[v]
                if sweep > sweeps // 2:  # at last look both ways
                    near = graph.before[v] + graph.after[v]
                ends = sorted(y[u] for u in near)
                middle = len(ends) // 2
                wish = y[v]
                if ends:
                    wish = ends[middle] if len(ends) % 2 else (ends[middle - 1] + ends[middle]) / 2
                wishes.append(wish)
                # Points of long edges are straightened first, then nodes with many edges.
                weights.append(8.0 if v >= real else 1.0 + len(ends) if ends else 0.1)
            for v, value in zip(row, _apart(row, wishes, weights, heights, gap), strict=True):
                y[v] = value
    return y


def _apart(
    row: list[int], wishes: list[float], weights: list[float], heights: list[float], gap: float
) -> list[float]:
    """The places nearest the wishes, by weighted squares, in order and `gap` apart.

    With the least offsets taken off, "in order and apart" is "not decreasing": the regression is
    solved by pooling neighbours that are out of order.
    """
    offsets, edge = [], 0.0
    for v in row:
        offsets.append(edge + heights[v] / 2)
        edge += heights[v] + gap
    pools: list[list[float]] = []  # mean, weight, how many
    for wish, weight, offset in zip(wishes, weights, offsets, strict=True):
        pools.append([wish - offset, weight, 1])
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            mean, more, many = pools.pop()
            last = pools[-1]
            last[0] = (last[0] * last[1] + mean * more) / (last[1] + more)
            last[1] += more
            last[2] += many
    flat = [mean for mean, _, many in pools for _ in range(int(many))]
    return [mean + offset for mean, offset in zip(flat, offsets, strict=True)]
