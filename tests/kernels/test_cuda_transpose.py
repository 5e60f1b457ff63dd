"""Copies of permuted arrays on a GPU: every element where it belongs, of any size and shape."""

import itertools

import numpy as np
import pytest
from recording import record

import tapegrad as tg
from tapegrad.autograd.arrays import bfloat16
from tapegrad.kernels import copies
from tapegrad.kernels.cuda.transpose import contiguous, copied

DTYPES = [np.bool_, bfloat16, np.float32, np.float64]


def numbered(xp, shape, dtype=np.int32):
    return xp.asarray(np.arange(np.prod(shape)).reshape(shape).astype(dtype))


def check(xp, view):
    """A view's copy, by the kernel."""
    with record() as found:
        out = contiguous(xp, view)
    assert [name.split("<")[0] for name in found.launches] == ["transpose"]
    assert out.flags.c_contiguous
    np.testing.assert_array_equal(out.get(), view.get())


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: np.dtype(d).name)
def test_matrices_of_any_size(emulated, dtype):
    for rows, columns in ((8, 8), (32, 32), (33, 9), (64, 65), (31, 100), (8, 130)):
        check(emulated, numbered(emulated, (rows, columns), dtype).T)


def test_images_to_channels_last_and_back(emulated):
    planes = numbered(emulated, (2, 40, 5, 7))
    check(emulated, planes.transpose(0, 2, 3, 1))
    last = numbered(emulated, (2, 5, 7, 40))
    check(emulated, last.transpose(0, 3, 1, 2))


def test_any_order_of_four_dimensions_that_swaps_the_innermost(emulated):
    x = numbered(emulated, (9, 2, 10, 11), np.int16)
    for order in itertools.permutations(range(4)):
        if order[3] in (0, 2):
            check(emulated, x.transpose(order))


def test_views_with_gaps_and_flipped_and_repeated(emulated):
    x = numbered(emulated, (3, 20, 24))
    for view in (
        x[:, 1:18, 2:19].swapaxes(1, 2),
        x[:, ::2].swapaxes(1, 2),
        x[::-1, ::-1].swapaxes(1, 2),
        x[:, None, :, :].transpose(3, 0, 2, 1),
        emulated.broadcast_to(x[:1], x.shape).swapaxes(1, 2),
    ):
        check(emulated, view)


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: np.dtype(d).name)
def test_lines_that_stay_whole_are_copied_by_words(emulated, dtype):
    size = np.dtype(dtype).itemsize
    for width, first, word in (
        (16, 0, 16),
        (16, 16 // size, 16),
        (8 // size + 16, 0, 8),
        (3, 1, 1),
    ):
        x = numbered(emulated, (3, 5, 4, 32), dtype)
        heads = x[..., first : first + width].transpose(0, 2, 1, 3)
        with record() as found:
            out = contiguous(emulated, heads)
        np.testing.assert_array_equal(out.get(), heads.get())
        names = {16: "Pack", 8: "unsigned long long"}
        (name,) = found.launches
        assert name.startswith(f"copy_lines<{names.get(word, '')}")


def test_lines_of_slices_and_of_what_is_flipped_or_repeated(emulated):
    x = numbered(emulated, (4, 6, 10))
    for view in (
        x[:, 1:4],
        x[::2, ::3, 2:7],
        x[::-1],
        emulated.broadcast_to(x[:1], x.shape),
        x[:, :, None, :].transpose(1, 0, 2, 3),
        numbered(emulated, (2,) * 7 + (3,)).transpose(0, 2, 4, 1, 3, 5, 6, 7),
    ):
        with record() as found:
            out = contiguous(emulated, view)
        assert [name.split("<")[0] for name in found.launches] == ["copy_lines"]
        np.testing.assert_array_equal(out.get(), view.get())


def test_what_is_no_transposition_is_left_to_cupy(emulated):
    x = numbered(emulated, (4, 6, 8, 16))
    for view in (
        x[..., :3].transpose(0, 1, 3, 2),  # too few columns for a tile
        x[:0].T,
        x.view(np.complex128).T,
        x[..., ::2].T,
    ):
        with record() as found:
            out = contiguous(emulated, view)
        assert not any(name.startswith(("transpose", "copy_lines")) for name in found.launches)
        np.testing.assert_array_equal(out.get(), view.get())


def test_an_array_in_order_is_not_copied(emulated):
    x = numbered(emulated, (8, 9))
    assert contiguous(emulated, x) is x
    assert copied(emulated, x) is not x


def test_a_reshape_copies_only_where_no_view_is_possible(emulated):
    x = numbered(emulated, (16, 2, 12)).transpose(2, 0, 1)
    for shape, copies_it in (
        ((12, 32), False),
        ((3, 4, 16, 2), False),
        ((12, 1, 32), False),
        ((384,), True),
        ((24, 16), True),
    ):
        with record() as found:
            out = copies.reshaped(emulated, x, shape)
        assert bool(found.launches) == copies_it
        np.testing.assert_array_equal(out.get(), x.get().reshape(shape))


def test_tensors_are_copied_by_the_kernel(recording):
    x = tg.arange(2 * 16 * 24, device="cuda").reshape(2, 16, 24)
    for arranged in (
        lambda: x.mT.contiguous(),
        lambda: x.mT.reshape(-1),
        lambda: x.reshape(1, 32, 2, 12).to(memory_format=tg.channels_last),
    ):
        recording.clear()
        arranged()
        assert [name.split("<")[0] for name in recording.launches] == ["transpose"]
