"""Changes to images that leave their class as it is, so that a small data set teaches more."""

from __future__ import annotations

from tapegrad.autograd import Generator, Tensor
from tapegrad.autograd import operations as ops
from tapegrad.nn.functional import pad


def random_shift(
    images: Tensor, pixels: int, p: float = 1.0, generator: Generator | None = None
) -> Tensor:
    """Shift each image by up to `pixels` in each direction; zeros come in from the edge.

    Args:
        images: (N, C, H, W).
        pixels: the largest shift.
        p: the probability that an image is shifted at all. Default: 1.
        generator: the source of the shifts. Default: the common one.

    Returns:
        New images of the same shape.

    Raises:
        ValueError: if the images have not four dimensions, or `pixels` is negative.

    >>> import tapegrad as tg
    >>> from tapegrad.data import random_shift
    >>> image = tg.arange(9.0).reshape(1, 1, 3, 3)
    >>> random_shift(image, 0).tolist() == image.tolist()
    True
    """
    if images.ndim != 4 or pixels < 0:
        raise ValueError(
            f"random_shift: expected images (N, C, H, W) and pixels >= 0, "
            f"not the shape {tuple(images.shape)} and {pixels}"
        )
    count, channels, height, width = images.shape
    device = images.device
    shift = ops.randint(0, 2 * pixels + 1, (2, count), device=device, generator=generator)
    moved = ops.rand(count, device=device, generator=generator) < p
    down, right = ops.where(moved, shift, pixels).reshape(2, count, 1, 1, 1)
    padded = pad(images, (pixels, pixels, pixels, pixels))
    rows = down + ops.arange(height, device=device).reshape(height, 1)
    columns = right + ops.arange(width, device=device)
    example = ops.arange(count, device=device).reshape(count, 1, 1, 1)
    channel = ops.arange(channels, device=device).reshape(channels, 1, 1)
    return padded[example, channel, rows, columns]
