"""Writing in place: a new value while recording, a real write otherwise, never a wrong gradient."""

import random

import numpy as np
import pytest

import tapegrad as tg
from tapegrad.autograd import grad, gradcheck


def leaf(*values, dtype=tg.float64):
    data = values[0] if len(values) == 1 else list(values)
    return tg.tensor(data, dtype=dtype, requires_grad=True)


def error_of(function):
    """The message of the RuntimeError that `function` raises; empty if it raises none."""
    try:
        function()
    except RuntimeError as error:
        return str(error)
    return ""


AUGMENTED = {
    "+=": lambda t: t.__iadd__(2.0),
    "-=": lambda t: t.__isub__(2.0),
    "*=": lambda t: t.__imul__(2.0),
    "/=": lambda t: t.__itruediv__(2.0),
    "**=": lambda t: t.__ipow__(2.0),
}
METHODS = {
    "add_": lambda t: t.add_(2.0),
    "sub_": lambda t: t.sub_(2.0),
    "mul_": lambda t: t.mul_(2.0),
    "div_": lambda t: t.div_(2.0),
    "clamp_": lambda t: t.clamp_(0.0, 1.0),
    "relu_": lambda t: t.relu_(),
    "copy_": lambda t: t.copy_(tg.zeros(2)),
    "fill_": lambda t: t.fill_(7.0),
    "zero_": lambda t: t.zero_(),
    "uniform_": lambda t: t.uniform_(),
    "normal_": lambda t: t.normal_(),
}


def setitem(t):
    t[0] = 7.0


# While recording


def test_augmented_assignment_makes_a_new_value():
    x = leaf(1.0, 2.0)
    y = x * 2
    alias = y
    y += 1
    assert alias.tolist() == [2.0, 4.0]
    assert y.tolist() == [3.0, 5.0]
    (y * alias).sum().backward()
    assert x.grad.tolist() == [2 * 3 + 2 * 2.0, 2 * 5 + 2 * 4.0]


@pytest.mark.parametrize("name", AUGMENTED)
def test_augmented_assignment_is_differentiated(name):
    assert gradcheck(lambda x: AUGMENTED[name](x * 3), leaf(0.5, -1.5))


@pytest.mark.parametrize("name", METHODS)
def test_in_place_methods_are_differentiated(name):
    def function(x):
        tg.manual_seed(0)
        y = x * 3
        assert METHODS[name](y) is y
        return y

    assert gradcheck(function, leaf(0.2, -1.5))


@pytest.mark.parametrize("write", [*AUGMENTED.values(), *METHODS.values(), setitem])
def test_a_leaf_refuses_writes_while_recording(write):
    x = leaf(1.0, 2.0)
    with pytest.raises(RuntimeError, match="leaf"):
        write(x)
    assert x.tolist() == [1.0, 2.0]
    assert x.is_leaf


def test_a_plain_tensor_that_meets_a_recorded_one_is_recorded():
    x, total = leaf(1.0, 2.0), tg.zeros(2, dtype=tg.float64)
    total += x * 3
    assert total.requires_grad
    total.sum().backward()
    assert x.grad.tolist() == [3.0, 3.0]


def test_an_in_place_method_on_a_plain_tensor_records_what_it_adds():
    x, total = leaf(1.0, 2.0), tg.zeros(2, dtype=tg.float64)
    total.add_(x * 3)
    assert total.requires_grad
    total.sum().backward()
    assert x.grad.tolist() == [3.0, 3.0]


def test_a_recorded_write_changes_nothing_that_was_saved():
    x = leaf(1.0, 2.0)
    y = x.exp()
    z = y * y
    y.mul_(0)
    z.sum().backward()
    assert np.allclose(x.grad.data, 2 * np.exp([2.0, 4.0]))


def test_a_recorded_write_does_not_show_in_views_or_arrays():
    memory = np.zeros(3)
    buffer = tg.from_numpy(memory)
    view = buffer[:2]
    buffer[0] = leaf(5.0)
    assert buffer.tolist() == [5.0, 0.0, 0.0]
    assert view.tolist() == [0.0, 0.0]
    assert memory.tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("name", ["zero_", "fill_", "copy_"])
def test_a_recorded_value_that_is_overwritten_whole_sends_back_zero(name):
    x = leaf(1.0, 2.0)
    y = x * 2
    METHODS[name](y)
    assert y.requires_grad
    y.sum().backward()
    assert x.grad.tolist() == [0.0, 0.0]


@pytest.mark.parametrize("requires_grad", [False, True])
def test_copy_while_recording_shares_no_memory(requires_grad):
    y = leaf(1.0, 2.0) * 2
    source = tg.tensor([5.0, 6.0], dtype=tg.float64, requires_grad=requires_grad)
    y.copy_(source)
    with tg.no_grad():
        source.fill_(9.0)
    assert y.tolist() == [5.0, 6.0]


def test_a_recorded_write_keeps_the_dtype():
    y = leaf(1.0, 2.0, dtype=tg.float32) * 1
    y.add_(tg.ones(2, dtype=tg.float64))
    assert y.dtype == tg.float32
    y[0] = leaf(5.0)
    assert y.dtype == tg.float32


def test_a_gradient_never_enters_an_integer_tensor():
    counts = tg.zeros(2, dtype=tg.int64)
    counts[0] = leaf(5.5)
    assert counts.tolist() == [5, 0]
    assert not counts.requires_grad


def test_a_recorded_result_that_does_not_fit_is_refused():
    y = leaf(1.0, 2.0) * 1
    with pytest.raises(ValueError, match=r"add_.*\[3, 2\].*\[2\]"):
        y.add_(tg.ones(3, 2, dtype=tg.float64))


# Writing at positions while recording

KEYS = {
    "int": 1,
    "negative int": -1,
    "pair": (1, 2),
    "slice": slice(0, 2),
    "stepped": slice(None, None, 2),
    "reversed": slice(None, None, -1),
    "ellipsis": (..., 1),
    "everything": ...,
    "new axis": (None, 0),
    "row and slice": (0, slice(1, 3)),
    "list": [0, 2],
    "array": np.array([2, 0]),
    "tensor": tg.tensor([2, 0]),
    "0-d tensor": tg.tensor(1),
    "boolean array": np.array([True, False, True]),
    "boolean tensor": tg.tensor([True, False, True]),
    "full mask": np.arange(12).reshape(3, 4) % 3 == 0,
    "nothing": np.zeros((3, 4), bool),
    "two lists": ([0, 2], [1, 3]),
    "list and slice": ([0, 2], slice(1, 3)),
    "outer": (np.array([[0], [2]]), np.array([[1, 3]])),
    "numpy integer": np.int64(2),
}


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS.keys())
def test_assignment_at_positions_is_differentiated_by_both(key):
    grid = np.arange(12.0).reshape(3, 4)
    values = grid[key.data if isinstance(key, tg.Tensor) else key] * 0.5 + 1

    def function(x, v):
        y = x * 2
        y[key] = v * v
        return y * y

    expected = grid * 2
    expected[key.data if isinstance(key, tg.Tensor) else key] = values**2
    x, v = leaf(grid), leaf(values)
    assert np.allclose(function(x, v).detach().data, expected**2)
    assert gradcheck(function, (x, v))


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS.keys())
def test_reading_at_positions_is_differentiated(key):
    assert gradcheck(lambda x: x[key] * x[key], leaf(np.arange(12.0).reshape(3, 4)))


@pytest.mark.parametrize(
    ("shape", "key"),
    [((), slice(None)), ((1,), 0), ((4,), slice(0, 2)), ((2, 1), slice(0, 2)), ((1, 4), 0)],
)
def test_an_assigned_value_is_broadcast_and_its_gradient_summed(shape, key):
    def function(x, v):
        y = x * 2
        y[key] = v
        return y * y

    assert gradcheck(function, (leaf(np.ones((3, 4))), leaf(np.full(shape, 0.7))))


def test_repeated_positions_send_the_gradient_to_the_value_that_stayed():
    def function(x, v):
        y = x * 2
        y[[0, 0, 2]] = v
        return y * y

    x, v = leaf(1.0, 2.0, 3.0), leaf(5.0, 6.0, 7.0)
    assert function(x, v).tolist() == [36.0, 16.0, 49.0]
    assert gradcheck(function, (x, v))


def test_repeated_positions_add_their_gradients_when_read():
    x = leaf(1.0, 2.0, 3.0)
    x[[0, 0, -3, 2]].sum().backward()
    assert x.grad.tolist() == [3.0, 0.0, 1.0]


@pytest.mark.parametrize("value", [7, 7.0, True, np.float32(7), np.full(4, 7.0)])
def test_assigned_constants_cut_the_gradient(value):
    x = leaf(np.ones((3, 4)))
    y = x * 2
    y[1] = value
    y.sum().backward()
    assert x.grad.tolist() == [[2.0] * 4, [0.0] * 4, [2.0] * 4]


def test_assigning_a_recorded_value_into_a_plain_buffer():
    x = leaf(1.0, 2.0, 3.0)
    out = tg.zeros(3, dtype=tg.float64)
    for i in range(3):
        out[i] = x[i] * (i + 1)
    out.sum().backward()
    assert x.grad.tolist() == [1.0, 2.0, 3.0]


def test_assigning_to_itself_shifted():
    def function(x):
        y = x * 1
        y[1:] = y[:-1] * 2
        return y * y

    assert gradcheck(function, leaf(1.0, 2.0, 3.0))


def test_assignment_of_a_scalar_tensor():
    y = leaf(3.0) * 2
    y[...] = 5.0
    assert y.item() == 5.0


def test_an_assigned_value_that_does_not_fit_is_refused():
    y = leaf(np.ones((3, 4))) * 1
    with pytest.raises(ValueError, match=r"index_put|x\[\.\.\.\]"):
        y[0] = leaf(1.0, 2.0)


def test_an_index_out_of_range_is_an_index_error():
    y = leaf(1.0, 2.0) * 1
    with pytest.raises(IndexError, match="out of bounds"):
        y[5] = 1.0
    with pytest.raises(IndexError, match="out of bounds"):
        y[[5]]


# Real writes


@pytest.mark.parametrize("write", [*AUGMENTED.values(), *METHODS.values(), setitem])
def test_under_no_grad_a_leaf_is_written_where_it_is(write):
    x = leaf(0.5, -2.0)
    memory = x.data
    with tg.no_grad():
        write(x)
    assert x.data is memory
    assert x.is_leaf
    assert x.requires_grad
    assert memory.tolist() != [0.5, -2.0]


@pytest.mark.parametrize("write", [*AUGMENTED.values(), *METHODS.values(), setitem])
def test_plain_tensors_are_written_where_they_are(write):
    x = tg.tensor([0.5, -2.0])
    memory = x.data
    write(x)
    assert x.data is memory
    assert memory.tolist() != [0.5, -2.0]


def test_a_scalar_is_written_where_it_is():
    x = tg.tensor(2.0)
    alias = x.detach()
    x += 1
    x.mul_(2)
    assert (x.item(), alias.item()) == (6.0, 6.0)


def test_detach_shares_memory():
    x = leaf(1.0, 2.0)
    x.detach()[0] = 5.0
    assert x.tolist() == [5.0, 2.0]


def test_detach_of_a_scalar_shares_memory():
    x = leaf(1.0)
    x.detach().fill_(5.0)
    assert x.item() == 5.0


def test_views_share_memory():
    x = tg.zeros(2, 3)
    x[0].fill_(1.0)
    x.T[2] = 5.0
    x.reshape(6)[3] = 7.0
    assert x.tolist() == [[1.0, 1.0, 5.0], [7.0, 0.0, 5.0]]


def test_views_of_a_scalar_share_memory():
    x = tg.tensor(1.0)
    views = x.reshape(1), x.unsqueeze(0), x[None], x.expand(2)
    x.fill_(5.0)
    assert [view.tolist()[0] for view in views] == [5.0] * 4


def test_an_optimizer_step_leaves_the_leaf_in_place():
    w = leaf(1.0, -1.0)
    for _ in range(200):
        w.grad = None
        ((w - 3) * (w - 3)).sum().backward()
        with tg.no_grad():
            w -= 0.1 * w.grad
    assert w.is_leaf
    assert w.requires_grad
    assert np.allclose(w.data, 3.0)


@pytest.mark.parametrize("write", [lambda t: t.add_(0.5), lambda t: t.__iadd__(0.5)])
def test_a_float_result_does_not_fit_into_integers(write):
    with pytest.raises((RuntimeError, TypeError), match=r"add_|\+="):
        write(tg.tensor([1, 2]))


def test_a_wider_float_fits_into_a_half():
    for dtype in (tg.float16, tg.bfloat16):
        x = tg.ones(2, dtype=dtype)
        x.add_(tg.ones(2, dtype=tg.float32))
        assert x.dtype == dtype
        assert x.tolist() == [2.0, 2.0]


def test_an_expanded_tensor_refuses_writes_and_says_so():
    x = tg.zeros(1, 3).expand(2, 3)
    with pytest.raises(RuntimeError, match=r"expand|memory|clone"):
        x.add_(1.0)
    with pytest.raises(RuntimeError, match=r"expand|memory|clone"):
        x[0] = 1.0


def test_a_real_write_that_does_not_fit_is_refused():
    x = tg.zeros(2)
    with pytest.raises(ValueError, match="mul_"):
        x.mul_(tg.ones(3, 2))
    with pytest.raises(ValueError, match=r"x\[\.\.\.\]"):
        x[:] = tg.ones(3)


# Overwritten values


def overwritten(gate):
    return pytest.raises(RuntimeError, match=rf"'{gate}' \(#\d+\) needs .*overwritten")


def test_an_overwritten_input_stops_backward_with_the_number():
    x, scale = leaf(1.0, 2.0), tg.ones(2, dtype=tg.float64)
    y = x * scale
    scale.fill_(5.0)
    with pytest.raises(RuntimeError, match=rf"'mul' \(#{y.grad_fn.number}\) needs its input y"):
        y.sum().backward()


def test_an_overwritten_output_stops_backward():
    y = leaf(1.0, 2.0).exp()
    with tg.no_grad():
        y += 1
    with overwritten("exp"):
        y.sum().backward()


def test_an_overwritten_leaf_stops_backward():
    x = leaf(1.0, 2.0)
    y = (x * x).sum()
    with tg.no_grad():
        x.add_(1.0)
    with overwritten("mul"):
        y.backward()


def test_an_overwritten_scalar_leaf_stops_backward():
    x = leaf(2.0)
    y = x * x
    with tg.no_grad():
        x += 1
    with overwritten("mul"):
        y.backward()


def test_an_overwritten_scalar_output_stops_backward():
    y = leaf(2.0).exp()
    with tg.no_grad():
        y *= 2
    with overwritten("exp"):
        y.backward()


def test_a_write_through_a_view_counts_for_the_whole():
    x, whole = leaf(1.0, 2.0), tg.ones(2, dtype=tg.float64)
    y = x * whole
    whole[:1].fill_(9.0)
    with overwritten("mul"):
        y.sum().backward()


def test_a_write_to_the_whole_counts_for_a_saved_view():
    x, whole = leaf(1.0, 2.0), tg.ones(4, dtype=tg.float64)
    y = x * whole[1:3]
    whole.fill_(9.0)
    with overwritten("mul"):
        y.sum().backward()


def test_a_write_through_one_view_counts_for_another():
    x, whole = leaf([[1.0], [2.0]]), tg.ones(4, dtype=tg.float64)
    y = x * whole.reshape(2, 2).T
    whole[2:].zero_()
    with overwritten("mul"):
        y.sum().backward()


def test_a_write_through_detach_counts():
    x = leaf(1.0, 2.0)
    y = (x * x).sum()
    x.detach().zero_()
    with overwritten("mul"):
        y.backward()


def test_a_write_through_a_view_of_a_view_of_detach_counts():
    x = leaf(np.ones((2, 2)))
    y = (x * x).sum()
    x.detach().T[0][:1].zero_()
    with overwritten("mul"):
        y.backward()


def test_an_overwritten_index_tensor_is_never_silently_wrong():
    x, positions = leaf(1.0, 2.0, 3.0), tg.tensor([0, 1])
    y = (x[positions] * tg.tensor([1.0, 10.0])).sum()
    positions.fill_(2)
    assert "'index'" in error_of(y.backward) or x.grad.tolist() == [1.0, 10.0, 0.0]


def test_an_overwritten_mask_is_never_silently_wrong():
    x = leaf(1.0, -2.0, 3.0)
    mask = x.detach() > 0
    y = x[mask].sum() + tg.where(mask, x, 0.0).sum() + x.masked_fill(mask, 0.0).sum()
    mask.fill_(True)
    with pytest.raises(RuntimeError, match="overwritten"):
        y.backward()


def test_an_overwritten_gather_index_stops_backward():
    x, positions = leaf([[1.0, 2.0]]), tg.tensor([[0]])
    y = x.gather(1, positions).sum()
    positions.fill_(1)
    with overwritten("gather"):
        y.backward()


@pytest.mark.parametrize(
    "write",
    [
        lambda t: np.add(t, 1.0, out=t),
        lambda t: np.add.at(t, [0], 5.0),
        lambda t: np.copyto(t, 5.0),
        lambda t: np.put(t, [0], [5.0]),
        lambda t: np.putmask(t, np.array([True, False]), [5.0, 5.0]),
        lambda t: np.exp(np.ones(2), out=t),
        lambda t: np.clip(np.ones(2), 2, 3, out=t),
    ],
    ids=["ufunc out of itself", "at", "copyto", "put", "putmask", "ufunc out", "function out"],
)
def test_numpy_writes_into_a_tensor_are_never_silently_wrong(write):
    x, scale = leaf(1.0, 2.0), tg.ones(2, dtype=tg.float64)
    y = (x * scale).sum()
    try:
        write(scale)
    except (TypeError, ValueError):
        assert scale.tolist() == [1.0, 1.0]
    assert "overwritten" in error_of(y.backward) or x.grad.tolist() == [1.0, 1.0]


def test_gates_that_do_not_need_the_value_do_not_mind():
    x, shift = leaf(1.0, 2.0), tg.ones(2, dtype=tg.float64)
    y = x + shift
    shift.fill_(9.0)
    with tg.no_grad():
        x.add_(1)
    y.sum().backward()
    assert x.grad.tolist() == [1.0, 1.0]


def test_a_factor_whose_other_factor_needs_no_gradient_may_be_overwritten():
    x = leaf(1.0, 2.0)
    y = x * tg.tensor([3.0, 4.0])
    with tg.no_grad():
        x.zero_()
    y.sum().backward()
    assert x.grad.tolist() == [3.0, 4.0]


def test_a_write_before_the_gate_does_not_matter():
    x, scale = leaf(1.0, 2.0), tg.ones(2, dtype=tg.float64)
    scale.fill_(5.0)
    (x * scale).sum().backward()
    assert x.grad.tolist() == [5.0, 5.0]


def test_a_write_after_backward_does_not_matter():
    x = leaf(1.0, 2.0)
    for expected in ([2.0, 4.0], [4.0, 6.0]):
        x.grad = None
        (x * x).sum().backward()
        assert x.grad.tolist() == expected
        with tg.no_grad():
            x += 1


def test_a_write_between_two_backwards_stops_the_second():
    x = leaf(1.0, 2.0)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    with tg.no_grad():
        x += 1
    with overwritten("mul"):
        y.backward()


def test_a_write_into_a_clone_does_not_matter():
    x, scale = leaf(1.0, 2.0), tg.ones(2, dtype=tg.float64)
    y = (x * scale).sum()
    scale.clone().fill_(5.0)
    y.backward()
    assert x.grad.tolist() == [1.0, 1.0]


def test_memory_that_was_freed_does_not_raise_false_alarms():
    x = leaf(np.ones(100))
    for _ in range(50):
        tg.zeros(100, dtype=tg.float64).fill_(1.0)
        scale = tg.ones(100, dtype=tg.float64)
        y = (x * scale).sum()
        tg.zeros(100, dtype=tg.float64).fill_(1.0)
        y.backward()
    assert x.grad.tolist() == [50.0] * 100


def test_the_error_of_an_overwritten_value_in_second_order_names_the_gate():
    x = leaf(1.0, 2.0)
    (g,) = tg.autograd.grad((x**3).sum(), x, create_graph=True)
    with tg.no_grad():
        x.zero_()
    with overwritten("(mul|pow)"):
        g.sum().backward()


def test_zeroing_a_gradient_in_place_keeps_later_ones_right():
    x = leaf(1.0, 2.0)
    for _ in range(3):
        if x.grad is not None:
            x.grad.zero_()
        (x * x).sum().backward()
    assert x.grad.tolist() == [2.0, 4.0]


# Random programs


class Tracked:
    """A tensor beside what it should be: its value, and its derivative carried forwards."""

    def __init__(self, tensor, value, slope):
        self.tensor, self.value, self.slope = tensor, value, slope


def times(value, slope):
    return value[:, None] * slope


def random_program(choose, steps=12, n=3):
    """Leaves and the results of random operations, views and writes on them."""
    pool, leaves = [], 2
    for i in range(leaves + 2):
        value = np.array([choose.uniform(0.3, 1.2) for _ in range(n)])
        tensor = tg.tensor(value, requires_grad=i < leaves)
        pool.append(Tracked(tensor, value, np.eye(n, leaves * n, i * n)))
    for _ in range(steps):
        a, b = choose.choice(pool), choose.choice(pool)
        t, u, v, w, dv, dw = a.tensor, b.tensor, a.value, b.value, a.slope, b.slope
        at, real_key = choose.randrange(n), [choose.randrange(n) for _ in range(2)]
        kind = choose.randrange(14)
        if kind == 0:
            pool.append(Tracked(t + u, v + w, dv + dw))
        elif kind <= 2:
            pool.append(Tracked(t * u, v * w, times(w, dv) + times(v, dw)))
        elif kind == 3:
            pool.append(Tracked(t.sin(), np.sin(v), times(np.cos(v), dv)))
        elif kind == 4:
            pool.append(Tracked((t * 0.3).exp(), np.exp(0.3 * v), times(0.3 * np.exp(0.3 * v), dv)))
        elif kind == 5:
            pool.append(Tracked(t[::-1], v[::-1], dv[::-1]))
        elif kind == 6:
            pool.append(Tracked(t.detach(), v, dv * 0))
        elif kind == 7:
            mask = t > 0.6
            chosen = (v > 0.6)[:, None]
            slope = np.where(chosen, dv, dw)
            pool.append(Tracked(tg.where(mask, t, u), np.where(v > 0.6, v, w), slope))
            if choose.random() < 0.3:
                mask.fill_(True)
        elif kind == 8:
            index = tg.tensor([*real_key, at])
            pool.append(Tracked(t[index], v[[*real_key, at]], dv[[*real_key, at]]))
            if choose.random() < 0.3:
                index.fill_(0)
        elif kind == 9 and not (t.is_leaf and t.requires_grad) and not np.shares_memory(v, w):
            recorded = t.requires_grad or u.requires_grad
            t[real_key] = u[:2]
            if recorded:
                a.value, a.slope = v.copy(), dv.copy()
                a.slope[real_key] = dw[:2]
            a.value[real_key] = w[:2]
        elif kind == 10:
            with tg.no_grad():
                t.mul_(1.5)
            v *= 1.5
        elif kind == 11:
            with tg.no_grad():
                t[at] = 0.9
            v[at] = 0.9
        elif kind == 12:
            with tg.no_grad():
                t += 0.25
            v += 0.25
        elif kind == 13:
            pool.append(Tracked(t.clone(), v.copy(), dv))
    return [e.tensor for e in pool[:leaves]], pool


@pytest.mark.parametrize("seed", range(20))
def test_random_programs_of_views_and_writes_give_the_right_gradient_or_an_error(seed):
    right = 0
    for program in range(25):
        leaves, pool = random_program(random.Random(1000 * seed + program))
        for entry in pool:
            assert np.allclose(entry.tensor.detach().data, entry.value)
        results = [e for e in pool[2:] if e.tensor.requires_grad][-3:]
        if not results:
            continue
        loss = sum(e.tensor.sum() for e in results)
        try:
            found = grad(loss, leaves, materialize_grads=True)
        except RuntimeError as error:
            assert "overwritten" in str(error)  # noqa: PT017
            continue
        expected = sum(e.slope.sum(0) for e in results)
        assert np.allclose(np.concatenate([g.data for g in found]), expected)
        right += 1
    assert right > 5


def test_what_is_written_into_a_tensor_on_a_gpu(gpu):
    x = tg.zeros(3, device="cuda")
    x[:] = [1.0, 2.0, 3.0]
    x[0] = np.float32(7)
    x[1:] = (5, 6)
    assert x.tolist() == [7.0, 5.0, 6.0]
    for elsewhere in (np.ones(2, np.float32), tg.ones(2)):
        with pytest.raises(
            RuntimeError, match=r"on different devices.*input 1 float32\[2\] on cpu"
        ):
            x[:2] = elsewhere
