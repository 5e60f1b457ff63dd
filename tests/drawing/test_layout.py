"""The layered layout: edges lead forward, nothing overlaps, few lines cross."""

import itertools
import shutil
import subprocess

import graphs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapegrad.autograd.drawing.layout import layered

BOX = (40.0, 30.0)


@st.composite
def acyclic(draw):
    count = draw(st.integers(1, 25))
    edges = draw(st.lists(st.tuples(st.integers(0, 24), st.integers(0, 24)), max_size=60))
    return count, [(u, v) for u, v in edges if u < v < count]


@settings(derandomize=True, max_examples=60, deadline=None, database=None)
@given(graph=acyclic())
def test_edges_lead_forward_and_boxes_do_not_overlap(graph):
    count, edges = graph
    layout = layered([BOX] * count, edges, layer_gap=20, node_gap=10)
    for u, v in edges:
        assert layout.centres[v][0] - layout.centres[u][0] >= BOX[0] + 20 - 1e-6
    rows = {}
    for x, y in layout.centres:
        rows.setdefault(round(x, 3), []).append(y)
    for ys in rows.values():
        ys.sort()
        assert all(b - a >= BOX[1] + 10 - 1e-6 for a, b in itertools.pairwise(ys))
    assert all(0 <= y <= layout.height for _, y in layout.centres)


@settings(derandomize=True, max_examples=30, deadline=None, database=None)
@given(graph=acyclic())
def test_routes_go_from_node_to_node(graph):
    count, edges = graph
    layout = layered([BOX] * count, edges)
    for (u, v), route in zip(edges, layout.routes, strict=True):
        assert (route[0], route[-1]) == (layout.centres[u], layout.centres[v])
        assert all(a[0] < b[0] for a, b in itertools.pairwise(route))


def test_a_chain_is_a_straight_line():
    layout = layered([BOX] * 50, [(i, i + 1) for i in range(49)])
    assert len({y for _, y in layout.centres}) == 1


def test_a_tree_is_drawn_without_crossings():
    edges = [(child, (child - 1) // 2) for child in range(1, 63)]
    edges = [(62 - u, 62 - v) for u, v in edges]
    assert layered([BOX] * 63, edges).crossings == 0


def test_a_cycle_is_refused():
    with pytest.raises(ValueError, match="cycle"):
        layered([BOX] * 2, [(0, 1), (1, 0)])


def test_no_nodes_and_no_edges_are_fine():
    assert layered([], []).centres == []
    assert len(layered([BOX] * 3, []).centres) == 3


def test_the_same_graph_gives_the_same_places():
    count, edges = graphs.mlp()
    assert layered([BOX] * count, edges) == layered([BOX] * count, edges)


def test_five_thousand_nodes_are_laid_out_without_recursion():
    count, edges = graphs.resnet(380)
    assert count > 5000
    assert len(layered([BOX] * count, edges).centres) == count


def straight_crossings(routes):
    """How many pairs of straight pieces cross, those with an end in common left out."""
    pieces = [(a, b) for route in routes for a, b in itertools.pairwise(route)]
    pieces.sort(key=lambda piece: min(piece[0][0], piece[1][0]))

    def side(p, q, r):
        return (q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0])

    crossings = 0
    for i, (a, b) in enumerate(pieces):
        right = max(a[0], b[0])
        for p, q in pieces[i + 1 :]:
            if min(p[0], q[0]) > right:
                break
            if a in (p, q) or b in (p, q):
                continue
            crossings += side(a, b, p) * side(a, b, q) < 0 and side(p, q, a) * side(p, q, b) < 0
    return crossings


def routes_of_dot(count, edges):
    """The splines of Graphviz, each piece cut into six."""
    nodes = "".join(
        f'n{i}[shape=box,width=0.6,height=0.4,fixedsize=true,label=""];' for i in range(count)
    )
    arrows = "".join(f"n{u}->n{v}[arrowhead=none];" for u, v in edges)
    found = subprocess.run(
        ["dot", "-Tplain"], input=f"digraph{{rankdir=LR;{nodes}{arrows}}}",
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    routes = []
    for words in (line.split() for line in found.splitlines()):
        if words[0] != "edge":
            continue
        numbers = list(map(float, words[4 : 4 + 2 * int(words[3])]))
        points = list(zip(numbers[::2], numbers[1::2], strict=True))
        route = [points[0]]
        for s in range(0, len(points) - 1, 3):
            for t in (i / 6 for i in range(1, 7)):
                weights = ((1 - t) ** 3, 3 * (1 - t) ** 2 * t, 3 * (1 - t) * t * t, t**3)
                route.append(tuple(
                    sum(w * p[axis] for w, p in zip(weights, points[s : s + 4], strict=True))
                    for axis in (0, 1)
                ))  # fmt: skip
        routes.append(route)
    return routes


@pytest.mark.skipif(shutil.which("dot") is None, reason="compares with Graphviz's dot program")
@pytest.mark.parametrize(
    "graph", [graphs.small(), graphs.resnet(), graphs.mlp()], ids=["20", "resnet", "mlp"]
)
def test_crossings_are_at_most_one_and_a_half_times_those_of_dot(graph):
    count, edges = graph
    layout = layered([BOX] * count, edges)
    assert straight_crossings(layout.routes) <= 1.5 * straight_crossings(
        routes_of_dot(count, edges)
    )
