"""Channels in another order, and channels made into pixels and back."""

from __future__ import annotations

from tapegrad.autograd import Tensor
from tapegrad.autograd.engine import describe
from tapegrad.autograd.errors import ArgumentError, ShapeError
from tapegrad.autograd.operations.arguments import check_tensor

__all__ = [
    "channel_shuffle",
    "native_channel_shuffle",
    "pixel_shuffle",
    "pixel_unshuffle",
]


def pixel_shuffle(input: Tensor, upscale_factor: int) -> Tensor:
    """(..., C r^2, H, W) to (..., C, H r, W r): r^2 channels become a square (Shi et al., 2016).

    >>> import tapegrad as tg
    >>> tg.pixel_shuffle(tg.arange(4).reshape(4, 1, 1), 2)
    tensor([[[0, 1],
             [2, 3]]])
    """
    lead, (channels, height, width) = _image("pixel_shuffle", input, upscale_factor)
    r = upscale_factor
    if channels % (r * r):
        raise ShapeError(
            f"pixel_shuffle: the channels of {describe(input)} must be a multiple of {r * r}"
        )
    kept = channels // (r * r)
    split = input.reshape(*lead, kept, r, r, height, width)
    d = len(lead)
    spread = split.permute(*range(d + 1), d + 3, d + 1, d + 4, d + 2)
    return spread.reshape(*lead, kept, height * r, width * r)


def pixel_unshuffle(input: Tensor, downscale_factor: int) -> Tensor:
    """(..., C, H r, W r) to (..., C r^2, H, W): the way back from `pixel_shuffle`.

    >>> import tapegrad as tg
    >>> tg.pixel_unshuffle(tg.tensor([[[0, 1], [2, 3]]]), 2).flatten()
    tensor([0, 1, 2, 3])
    """
    lead, (channels, height, width) = _image("pixel_unshuffle", input, downscale_factor)
    r = downscale_factor
    if height % r or width % r:
        raise ShapeError(
            f"pixel_unshuffle: height and width of {describe(input)} must be multiples of {r}"
        )
    split = input.reshape(*lead, channels, height // r, r, width // r, r)
    d = len(lead)
    gathered = split.permute(*range(d + 1), d + 2, d + 4, d + 1, d + 3)
    return gathered.reshape(*lead, channels * r * r, height // r, width // r)


def _image(name: str, input: Tensor, factor: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    shape = check_tensor(name, input).shape
    if len(shape) < 3:
        raise ShapeError(f"{name}: expected at least (C, H, W), got {describe(input)}")
    if factor <= 0:
        raise ArgumentError(f"{name}: the factor must be positive, got {factor}")
    return shape[:-3], shape[-3:]


def channel_shuffle(input: Tensor, groups: int) -> Tensor:
    """The channels (N, C, ...) of several groups dealt out in turn (Zhang et al., 2018).

    >>> import tapegrad as tg
    >>> tg.channel_shuffle(tg.arange(4).reshape(1, 4, 1, 1), 2).flatten()
    tensor([0, 2, 1, 3])
    """
    return _dealt("channel_shuffle", input, groups)


def native_channel_shuffle(input: Tensor, groups: int) -> Tensor:
    """`channel_shuffle`, by another name that PyTorch has for it."""
    return _dealt("native_channel_shuffle", input, groups)


def _dealt(name: str, input: Tensor, groups: int) -> Tensor:
    shape = check_tensor(name, input).shape
    if len(shape) < 3:
        raise ShapeError(f"{name}: expected (N, C, ...) of 3 or more, got {describe(input)}")
    if groups <= 0 or shape[1] % groups:
        raise ArgumentError(
            f"{name}: the channels of {describe(input)} must be a multiple of groups, got {groups}"
        )
    split = input.reshape(shape[0], groups, shape[1] // groups, *shape[2:])
    return split.transpose(1, 2).reshape(*shape)
