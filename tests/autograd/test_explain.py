"""One gradient as the chain rule written out: terms that add up to it, on any history."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tapegrad as tg
from tapegrad import autograd


def leaf(value, name=None, dtype=tg.float64):
    tensor = tg.tensor(value, dtype=dtype, requires_grad=True)
    tensor.name = name
    return tensor


def named(name, tensor):
    tensor.name = name
    return tensor


def circuit():
    x, y, z = leaf(-2.0, "x"), leaf(5.0, "y"), leaf(-4.0, "z")
    q = named("q", x + y)
    return x, y, z, q, named("f", q * z)


def gradient(loss, x):
    return autograd.grad(loss, x, retain_graph=True)[0].data


# What it says


def test_the_lecture_circuit_is_one_product():
    x, _, _, q, f = circuit()
    explanation = tg.explain(f, x)
    (term,) = explanation.terms
    assert term.labels == ("f", "q", "x")
    assert term.gates == ("mul", "add")
    assert term.derivatives == (-4.0, 1.0)
    assert term.numbers == (f.grad_fn.number, q.grad_fn.number, x._node.number)
    assert term.product == explanation.gradient == explanation.total == -4.0


def test_it_prints_the_chain_rule_and_the_steps():
    x, *_, f = circuit()
    assert str(tg.explain(f, x)).splitlines() == [
        "d f / d x = d f/d q * d q/d x = -4 * 1 = -4",
        "  q = add(x, y) = 3",
        "  f = mul(q, z) = -12",
    ]


def test_a_step_without_a_name_is_shown_by_its_number():
    x = leaf(3.0, "x")
    inner = x * 2
    f = named("f", inner.exp())
    assert str(tg.explain(f, x)).startswith(f"d f / d x = d f/d {'#'}{inner.grad_fn.number} * ")


def test_a_gate_that_takes_a_value_twice_has_two_terms():
    x = leaf(3.0, "x")
    f = named("f", x * x)
    explanation = tg.explain(f, x)
    assert [term.product for term in explanation.terms] == [3.0, 3.0]
    assert "d f/d x (input 1) = 3" in str(explanation)
    assert "d f/d x (input 2) = 3" in str(explanation)


def test_where_ways_meet_the_gradient_is_shown_once_and_referred_to():
    x = leaf(2.0, "x")
    q = named("q", x * 5)
    f = named("f", q * q)
    explanation = tg.explain(f, x)
    (term,) = explanation.terms
    assert (term.labels, term.upstream, term.product) == (("q", "x"), 20.0, 100.0)
    (met,) = explanation.sums.values()
    assert (met.label, met.gradient, [t.product for t in met.terms]) == ("q", 20.0, [10.0, 10.0])
    assert explanation.count == met.count == 2
    lines = str(explanation).splitlines()
    assert lines[0] == "d f / d x = d f/d q * d q/d x = 20 * 5 = 100, over 2 paths"
    assert "  d f / d q = 20, the sum of 2 terms:" in lines


def test_paths_are_counted_exactly_however_many():
    x = leaf(1.0, "x")
    y = x
    for _ in range(200):
        y = y + y
    explanation = tg.explain(y, x)
    assert explanation.count == 2**200
    assert explanation.gradient == explanation.total == 2.0**200
    assert len(explanation.paths) == 10
    assert all(path.product == 1.0 and len(path.gates) == 200 for path in explanation.paths)
    text = str(explanation)
    assert str(2**200) in text
    assert len(text.splitlines()) < 100
    assert "and 189 more gradients" in text


def test_the_largest_paths_come_first():
    x = leaf(1.0, "x")
    y, factors = x, []
    for pair in ((3.0, -0.5), (2.0, 5.0), (0.0, -1.0), (0.25, 4.0)):
        y = y * pair[0] + y * pair[1]
        factors.append(pair)
    explanation = tg.explain(y, x, limit=6)
    every = sorted((np.prod(choice) for choice in itertools.product(*factors)), key=abs)[::-1]
    assert explanation.count == 16
    assert explanation.largest_first
    assert [abs(path.product) for path in explanation.paths] == [abs(p) for p in every[:6]]
    assert len({path.numbers for path in explanation.paths}) == 6


def test_of_many_terms_the_largest_are_printed_and_the_rest_added_up():
    x = leaf(1.0, "x")
    f = named("f", sum((x * float(i) for i in range(1, 30)), x * 0.5))
    explanation = tg.explain(f, x, limit=2)
    assert len(explanation.terms) == 30
    text = str(explanation)
    assert "the sum of 30 terms, of which the largest:" in text
    assert "* 29 = 29\n" in text
    assert f"and 28 more, which add up to {435.5 - 29 - 28:g}" in text


def test_a_long_chain_is_shortened_on_paper_alone():
    x = leaf(1.0, "x")
    y = x
    for _ in range(3000):
        y = y * 1.001
    explanation = tg.explain(y, x)
    assert len(explanation.terms[0].derivatives) == 3000
    assert explanation.total == pytest.approx(1.001**3000)
    assert "(2988 more)" in str(explanation)
    assert max(map(len, str(explanation).splitlines())) <= 100


def test_a_long_sum_takes_time_and_room_in_proportion():
    x = leaf(1.0, "x")
    s = x * 1
    for i in range(1000):
        s = s + x * float(i)
    explanation = tg.explain(s, x, limit=3)
    assert sum(len(t.gates) for t in explanation.terms) < 10_000
    assert explanation.total == explanation.gradient == 1 + 999 * 500


def test_the_loss_by_itself_is_one():
    x = leaf(3.0, "x")
    explanation = tg.explain(x, x)
    assert (explanation.gradient, explanation.total, explanation.count) == (1.0, 1.0, 1)
    assert str(explanation) == "d x / d x = 1"


def test_an_intermediate_value_can_be_explained():
    _, _, _, q, f = circuit()
    assert tg.explain(f, q).gradient == -4.0


# The sum is the gradient

UNARY = (tg.sin, tg.tanh, tg.exp, tg.relu, tg.abs, lambda x: x * x, lambda x: 3 - x, tg.sigmoid)
BINARY = (tg.add, tg.sub, tg.mul, tg.maximum, lambda x, y: x / (y * y + 1))


def grow(draw, values):
    """A random graph on top of `values`, which are used again and again."""
    for _ in range(draw(st.integers(1, 12))):
        one, other = (values[draw(st.integers(0, len(values) - 1))] for _ in range(2))
        if draw(st.booleans()):
            values.append(draw(st.sampled_from(UNARY))(one).clamp(-4, 4))
        else:
            values.append(draw(st.sampled_from(BINARY))(one, other).clamp(-4, 4))
    return values[-1]


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_the_terms_of_a_random_scalar_graph_add_up(data):
    x, y = leaf(data.draw(st.floats(-2, 2))), leaf(data.draw(st.floats(-2, 2)))
    f = grow(data.draw, [x, y])
    (expected,) = autograd.grad(f, x, retain_graph=True, materialize_grads=True)
    try:
        explanation = tg.explain(f, x, limit=10_000)
    except RuntimeError as error:
        assert "does not depend" in str(error)  # noqa: PT017
        assert expected.item() == 0
        return
    assert explanation.gradient == pytest.approx(expected.item(), rel=1e-12, abs=1e-12)
    assert explanation.total == pytest.approx(expected.item(), rel=1e-9, abs=1e-9)
    if explanation.count <= 10_000:
        paths = explanation.paths
        assert len(paths) == explanation.count
        assert len({(p.numbers, p.twins) for p in paths}) == explanation.count
        total = sum(path.product for path in paths)
        assert total == pytest.approx(expected.item(), rel=1e-9, abs=1e-9)
        assert all(
            p.product == pytest.approx(np.prod(p.derivatives), rel=1e-9, abs=1e-12) for p in paths
        )
    for met in explanation.sums.values():
        assert sum(t.product for t in met.terms) == pytest.approx(met.gradient, rel=1e-9, abs=1e-9)


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_the_terms_of_a_random_tensor_graph_add_up(data):
    numbers = st.floats(-2, 2)
    x = leaf(data.draw(st.lists(st.lists(numbers, min_size=3, max_size=3), min_size=2, max_size=2)))
    y = leaf(data.draw(st.lists(numbers, min_size=3, max_size=3)))
    f = grow(data.draw, [x, y, x.sum(), (x @ y).softmax(0).max()]).sum() + (x[1] * y).sum()
    for wanted in (x, y):
        explanation = tg.explain(f, wanted, limit=5000)
        expected = gradient(f, wanted)
        np.testing.assert_allclose(explanation.gradient, expected, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(explanation.total, expected, rtol=1e-9, atol=1e-9)
        if explanation.count <= 5000:
            assert len(explanation.paths) == explanation.count
            paths = sum(path.product for path in explanation.paths)
            np.testing.assert_allclose(paths, expected, rtol=1e-9, atol=1e-9)


# Tensors


def test_of_a_tensor_the_contributions_are_arrays():
    w = leaf([[1.0, 2.0], [3.0, 4.0]], "w")
    loss = named("L", (w * w).sum() + 3 * w.mean())
    explanation = tg.explain(loss, w)
    assert all(term.product.shape == (2, 2) for term in explanation.terms)
    assert np.allclose(explanation.total, gradient(loss, w))
    assert str(explanation).startswith("d L / d w = [2, 2] of norm ")
    assert not explanation.largest_first or explanation.count == len(explanation.terms)


def test_one_element_of_a_tensor_can_be_explained():
    w = leaf([[1.0, 2.0], [3.0, 4.0]], "w")
    loss = named("L", (w * w).sum() + 3 * w.mean())
    explanation = tg.explain(loss, w, index=(1, -1))
    assert explanation.gradient == pytest.approx(8.75)
    assert explanation.total == pytest.approx(8.75)
    assert sorted(term.product for term in explanation.terms) == [0.75, 4.0, 4.0]
    assert str(explanation).startswith("d L / d w[1, 1] = 8.75, the sum of 3 terms:")


def test_numbers_through_tensors_stay_numbers():
    x = leaf(2.0, "x")
    f = (x * tg.tensor([1.0, 2.0, 3.0], dtype=tg.float64)).sum()
    explanation = tg.explain(f, x)
    assert explanation.gradient == explanation.total == 6.0
    assert explanation.terms[0].derivatives == (None, None)


def test_single_elements_with_dimensions_are_numbers():
    w = leaf([[3.0]], "w")
    explanation = tg.explain((w * w) * 2, w)
    assert explanation.gradient == explanation.total == 12.0


def test_several_outputs_each_lead_through_their_gate():
    w = leaf([[1.0, 2.0, 3.0]], "w")
    a, b, c = w.chunk(3, 1)
    loss = (a * b).sum() + c.max() * 5
    explanation = tg.explain(loss, w)
    assert [term.product.tolist() for term in explanation.terms] == [
        [[2.0, 0.0, 0.0]],
        [[0.0, 1.0, 0.0]],
        [[0.0, 0.0, 5.0]],
    ]
    assert "[0]" in str(explanation)


def test_a_function_of_ones_own_is_a_step_like_any():
    class Cube(autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x * x

        @staticmethod
        def backward(ctx, grad):
            (x,) = ctx.saved_tensors
            return grad * 3 * x * x

    x = leaf(2.0, "x")
    f = Cube.apply(x) * 2
    explanation = tg.explain(f, x)
    assert (explanation.gradient, explanation.terms[0].gates) == (24.0, ("mul", "Cube"))
    f.backward()
    with pytest.raises(RuntimeError, match=r"'Cube' .*consumed.*retain_graph=True"):
        tg.explain(f, x)


def test_float32_and_half_gradients_are_explained():
    for dtype in (tg.float32, tg.float16, tg.bfloat16):
        x = leaf(1.5, "x", dtype)
        assert tg.explain(x * x * x, x).gradient == pytest.approx(6.75)


def test_a_gradient_under_create_graph_can_be_explained():
    x = leaf(3.0, "x")
    (dx,) = autograd.grad(x**3, x, create_graph=True)
    assert tg.explain(dx, x).gradient == pytest.approx(18.0)


# Before and after backward


def test_scalars_can_be_explained_after_backward():
    x, y, z, _, f = circuit()
    before = [str(tg.explain(f, t)) for t in (x, y, z)]
    f.backward()
    assert [str(tg.explain(f, t)) for t in (x, y, z)] == before


def test_constants_are_still_known_after_backward():
    x = leaf(-1.0, "x")
    f = named("f", 1 / (1 + (-(2 * x - 3)).exp()))
    before = str(tg.explain(f, x))
    f.backward()
    assert str(tg.explain(f, x)) == before
    assert "add(1, " in before


def test_explaining_changes_nothing():
    w = leaf([1.0, 2.0])
    seen = []
    w.register_hook(seen.append)
    loss = (w.exp() * w).sum()
    tg.explain(loss, w)
    assert w.grad is None
    assert not seen
    loss.backward()
    assert len(seen) == 1


def test_what_backward_freed_is_named():
    w = leaf([1.0, 2.0])
    loss = (w * w).sum()
    number = (loss.grad_fn.number) - 1
    loss.backward()
    message = rf"explain: gate 'mul' \(#{number}\) was consumed.*before.*retain_graph=True"
    with pytest.raises(RuntimeError, match=message):
        tg.explain(loss, w)


def test_a_retained_graph_can_be_explained():
    w = leaf([1.0, 2.0])
    loss = (w * w).sum()
    loss.backward(retain_graph=True)
    assert tg.explain(loss, w).gradient.tolist() == [2.0, 4.0]


def test_a_leaf_that_has_moved_on_is_not_taken_for_what_it_was():
    x, y = leaf(2.0, "x"), leaf(3.0, "y")
    f = x * y
    f.backward()
    with tg.no_grad():
        y += 1
    with pytest.raises(RuntimeError, match="'mul'"):
        tg.explain(f, x)
    x, y = leaf(2.0, "x"), leaf(3.0, "y")
    f = x * y
    f.backward()
    y.data = tg.tensor(4.0, dtype=tg.float64)
    with pytest.raises(RuntimeError, match="'mul'"):
        tg.explain(f, x)


# What cannot be explained


def test_a_loss_of_several_elements_is_refused():
    w = leaf([1.0, 2.0])
    with pytest.raises(RuntimeError, match=r"float64\[2\]; only a single element.*\.sum\(\)"):
        tg.explain(w * 2, w)


def test_a_tensor_without_a_gradient_is_refused():
    x = leaf(1.0)
    with pytest.raises(RuntimeError, match=r"x \(float32\[\]\) does not require a gradient"):
        tg.explain(x * 2, tg.tensor(2.0))
    with pytest.raises(RuntimeError, match="was not recorded"):
        tg.explain(tg.tensor(2.0), x)


def test_a_tensor_that_is_not_on_the_way_is_refused():
    x, y = leaf(1.0, "x"), leaf(2.0, "y")
    f = named("f", x * 2)
    with pytest.raises(RuntimeError, match="f does not depend on y"):
        tg.explain(f, y)
    later = f * 3
    with pytest.raises(RuntimeError, match="f does not depend on"):
        tg.explain(f, later)


@pytest.mark.parametrize("index", [2, -3, (0, 0), ()])
def test_an_index_that_is_not_an_element_is_refused(index):
    w = leaf([1.0, 2.0])
    with pytest.raises(IndexError, match=r"explain: index .* does not choose one element"):
        tg.explain(w.sum(), w, index=index)


def test_what_is_not_a_tensor_is_refused():
    x = leaf(1.0)
    with pytest.raises(TypeError, match="loss must be a tensor, not float"):
        tg.explain(1.0, x)
    with pytest.raises(TypeError, match="x must be a tensor, not str"):
        tg.explain(x * 2, "x")


def test_tensors_on_a_gpu_are_explained(gpu):
    w = tg.tensor([1.0, 2.0], requires_grad=True, device="cuda")
    explanation = tg.explain((w * w).sum() + w.exp().mean(), w, index=1)
    assert explanation.gradient == pytest.approx(4 + np.exp(2.0) / 2)
    assert explanation.total == pytest.approx(explanation.gradient)
    assert "[2] of norm" in str(explanation)
