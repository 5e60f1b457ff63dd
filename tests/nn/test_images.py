"""Images padded, resized and sampled: what is exact, what is adjoint, what happens at the edges."""

from __future__ import annotations

import numpy as np
import pytest

import tapegrad as tg
from tapegrad.autograd import gradcheck, gradgradcheck
from tapegrad.nn import functional as F

MODES = ("bilinear", "nearest", "bicubic")
BORDERS = ("zeros", "border", "reflection")


def doubles(*shape, low=-1.0, high=1.0, seed=0):
    values = np.random.default_rng(seed).uniform(low, high, shape)
    return tg.tensor(values, requires_grad=True)


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_padding_is_numpys(mode):
    theirs = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}[mode]
    x = np.random.default_rng(0).random((2, 3, 4, 5))
    widths = ((0, 0), (0, 0), (2, 1), (0, 4))
    np.testing.assert_array_equal(
        F.pad(tg.tensor(x), (0, 4, 2, 1), mode=mode).numpy(), np.pad(x, widths, mode=theirs)
    )


def test_a_border_read_many_times_receives_the_sum_of_its_gradients():
    x = tg.ones(1, 3, requires_grad=True)
    F.pad(x, (2, 4), mode="replicate").sum().backward()
    assert x.grad.tolist() == [[3.0, 1.0, 5.0]]


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize("size", [(2, 3), (7, 5), (40, 1)])
def test_a_resized_constant_stays_what_it_is(mode, size):
    resized = F.interpolate(tg.ones(1, 1, 4, 5, dtype=tg.float64), size, mode=mode)
    np.testing.assert_allclose(resized.numpy(), 1, rtol=1e-12)


def test_aligned_corners_keep_a_line_straight():
    line = tg.linspace(0, 1, 4, dtype=tg.float64).reshape(1, 1, 4)
    resized = F.interpolate(line, 9, mode="linear", align_corners=True)
    np.testing.assert_allclose(resized.numpy()[0, 0], np.linspace(0, 1, 9), atol=1e-12)


def test_resizing_by_very_much_takes_the_matrix_product_and_agrees():
    x, size = np.random.default_rng(0).random((2, 3, 2)), 300
    resized = F.interpolate(tg.tensor(x), size, mode="linear")
    places = np.clip((np.arange(size) + 0.5) * 2 / size - 0.5, 0, 1)
    np.testing.assert_allclose(
        resized.numpy(), x[..., :1] * (1 - places) + x[..., 1:] * places, rtol=1e-12
    )


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_antialiasing_is_the_mean_where_one_pixel_is_left(mode):
    x = doubles(1, 1, 8, 8).detach()
    symmetric = (x + x.flip(2)) * 0.5
    symmetric = (symmetric + symmetric.flip(3)) * 0.5
    one = F.interpolate(symmetric, 1, mode=mode, antialias=True).item()
    assert F.interpolate(x, 1, mode=mode, antialias=True).item() == pytest.approx(one)


@pytest.mark.parametrize("padding_mode", BORDERS)
@pytest.mark.parametrize("mode", MODES)
def test_samples_differentiate_to_second_order(mode, padding_mode):
    image, grid = doubles(1, 2, 3, 4), doubles(1, 2, 3, 2, low=-1.4, high=1.4, seed=1)

    def sample(image, grid):
        return F.grid_sample(image, grid, mode, padding_mode, align_corners=False)

    assert gradcheck(sample, (image, grid))
    assert gradgradcheck(sample, (image, grid))


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("mode", MODES)
def test_the_identity_grid_reads_the_image(mode, aligned):
    image = doubles(2, 3, 4, 5).detach()
    same = tg.tensor([[[1.0, 0, 0], [0, 1, 0]]] * 2, dtype=tg.float64)
    grid = F.affine_grid(same, (2, 3, 4, 5), align_corners=aligned)
    found = F.grid_sample(image, grid, mode, align_corners=aligned)
    np.testing.assert_allclose(found.numpy(), image.numpy(), atol=1e-12)


@pytest.mark.parametrize("padding_mode", BORDERS)
@pytest.mark.parametrize("mode", MODES)
def test_positions_far_out_or_not_a_number_read_no_other_memory(mode, padding_mode):
    far = tg.tensor([[[[1e30, 0.0], [-np.inf, 0.0], [np.nan, np.nan]]]], requires_grad=True)
    found = F.grid_sample(tg.ones(1, 1, 3, 4), far, mode, padding_mode, align_corners=False)
    found.sum().backward()
    assert found.shape == (1, 1, 1, 3)


def test_shuffled_pixels_come_back():
    x = tg.tensor(np.arange(2 * 8 * 3 * 2.0).reshape(2, 8, 3, 2))
    np.testing.assert_array_equal(F.pixel_unshuffle(F.pixel_shuffle(x, 2), 2).numpy(), x.numpy())
    dealt = F.channel_shuffle(F.channel_shuffle(x, 2), 4)
    np.testing.assert_array_equal(dealt.numpy(), x.numpy())


IMAGE, GRID = np.ones((1, 4, 3, 3)), np.zeros((1, 2, 2, 2))
MISTAKES = {
    "reflect: too wide": lambda m, f, x, g: f.pad(x, (3, 0, 0, 0), mode="reflect"),
    "circular: too wide": lambda m, f, x, g: f.pad(x, (4, 0, 0, 0), mode="circular"),
    "pad: odd": lambda m, f, x, g: f.pad(x, (1,)),
    "pad: mode": lambda m, f, x, g: f.pad(x, (1, 1), mode="mirror"),
    "pad: dimensions": lambda m, f, x, g: f.pad(x, (1, 1), mode="reflect"),
    "pad: value": lambda m, f, x, g: f.pad(x[0], (1, 1), mode="reflect", value=1.0),
    "pad: cropped away": lambda m, f, x, g: f.pad(x, (-2, -2, 0, 0)),
    "interpolate: no size": lambda m, f, x, g: f.interpolate(x),
    "interpolate: both": lambda m, f, x, g: f.interpolate(x, size=2, scale_factor=2),
    "interpolate: sizes": lambda m, f, x, g: f.interpolate(x, size=(2,)),
    "interpolate: nothing": lambda m, f, x, g: f.interpolate(x, size=0),
    "interpolate: mode": lambda m, f, x, g: f.interpolate(x, size=2, mode="linear"),
    "interpolate: corners": lambda m, f, x, g: f.interpolate(x, size=2, align_corners=True),
    "interpolate: whole": lambda m, f, x, g: f.interpolate(x, size=2.5),
    "interpolate: antialias": lambda m, f, x, g: f.interpolate(x, size=2, antialias=True),
    "grid: mode": lambda m, f, x, g: f.grid_sample(x, g, "linear"),
    "grid: border": lambda m, f, x, g: f.grid_sample(x, g, padding_mode="wrap"),
    "grid: shape": lambda m, f, x, g: f.grid_sample(x, g[..., :1]),
    "grid: batch": lambda m, f, x, g: f.grid_sample(x, m.cat([g, g])),
    "affine: theta": lambda m, f, x, g: f.affine_grid(x[0], (1, 1, 2, 2)),
    "affine: size": lambda m, f, x, g: f.affine_grid(x[0, :1, :2], (1, 2)),
    "pixel_shuffle: channels": lambda m, f, x, g: f.pixel_shuffle(x, 3),
    "pixel_unshuffle: size": lambda m, f, x, g: f.pixel_unshuffle(x, 2),
    "channel_shuffle: groups": lambda m, f, x, g: f.channel_shuffle(x, 3),
}


@pytest.mark.parametrize("name", MISTAKES)
@pytest.mark.filterwarnings("ignore")
def test_mistakes_are_the_kinds_of_exception_pytorch_has(name):
    torch = pytest.importorskip("torch")
    call = MISTAKES[name]
    with pytest.raises(Exception) as theirs:  # noqa: PT011 - whichever it is
        call(torch, torch.nn.functional, torch.tensor(IMAGE), torch.tensor(GRID))
    with pytest.raises(theirs.type):
        call(tg, F, tg.tensor(IMAGE), tg.tensor(GRID))
