"""Layers that normalise: over the batch, within an example, over groups of channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tapegrad.autograd import Tensor
from tapegrad.autograd import operations as ops

from .. import functional as F
from ..functional.normalization import counted_batch_norm
from ..init import ones_, zeros_
from ..parameter import Parameter
from .module import Module


class _Scaled(Module):
    """A layer that scales what it has normalised by a weight and shifts it by a bias."""

    weight: Parameter | None
    bias: Parameter | None

    def _make(
        self, shape: Any, affine: bool, bias: bool, device: Any = None, dtype: Any = None
    ) -> None:
        for name, wanted in (("weight", affine), ("bias", affine and bias)):
            value = Parameter(ops.empty(shape, dtype=dtype, device=device)) if wanted else None
            self.register_parameter(name, value)

    def reset_parameters(self) -> None:
        """A weight of 1 and a bias of 0."""
        if self.weight is not None:
            ones_(self.weight)
        if self.bias is not None:
            zeros_(self.bias)


class _Tracking(_Scaled):
    """Normalisation of channels that may keep running statistics for evaluation."""

    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None
    ranks: tuple[int, ...]

    def __init__(
        self,
        num_features: int,
        eps: float,
        momentum: float | None,
        affine: bool,
        track_running_stats: bool,
        device: Any,
        dtype: Any,
        bias: bool,
    ) -> None:
        super().__init__()
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats
        self._make(num_features, affine, bias, device, dtype)
        made = {"dtype": dtype, "device": device}
        for name in ("running_mean", "running_var"):
            self.register_buffer(
                name, ops.empty(num_features, **made) if track_running_stats else None
            )
        count = ops.zeros((), dtype=int, device=device) if track_running_stats else None
        self.register_buffer("num_batches_tracked", count)
        self.reset_parameters()

    def reset_running_stats(self) -> None:
        """A mean of 0 and a variance of 1, from no batches."""
        if self.running_mean is not None:
            self.running_mean.zero_()
            self.running_var.fill_(1.0)  # type: ignore[union-attr]
            self.num_batches_tracked.zero_()  # type: ignore[union-attr]

    def reset_parameters(self) -> None:
        """A weight of 1 and a bias of 0, and no statistics."""
        self.reset_running_stats()
        super().reset_parameters()

    def _check(self, input: Tensor) -> None:
        if input.ndim not in self.ranks:
            expected = " or ".join(str(rank) for rank in self.ranks)
            raise ValueError(
                f"{type(self).__name__}: expected {expected} dimensions, got shape "
                f"{tuple(input.shape)}"
            )

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, "
            f"affine={self.affine}, bias={self.bias is not None}, "
            f"track_running_stats={self.track_running_stats}"
        )


class _BatchNorm(_Tracking):
    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(
            num_features, eps, momentum, affine, track_running_stats, device, dtype, bias
        )

    def forward(self, input: Tensor) -> Tensor:
        """Each channel normalised; the same shape."""
        self._check(input)
        momentum = 0.0 if self.momentum is None else self.momentum
        batches = self.num_batches_tracked if self.training else None
        if batches is not None and self.momentum is None:  # the plain average over all batches
            batches.add_(1)
            momentum, batches = 1 / batches.item(), None
        of_batch = self.training or self.running_mean is None
        kept = not self.training or self.track_running_stats
        return counted_batch_norm(
            input,
            self.running_mean if kept else None,
            self.running_var if kept else None,
            self.weight,
            self.bias,
            of_batch,
            momentum,
            self.eps,
            batches if kept else None,
        )


class BatchNorm1d(_BatchNorm):
    """`(x - mean) / sqrt(var + eps) * weight + bias` for each channel (Ioffe and Szegedy, 2015).

    In training the mean and the variance are the batch's, and running ones move towards them; in
    evaluation the running ones are taken.

    Args:
        num_features: how many channels.
        eps: Default: 1e-5.
        momentum: the weight of a batch in the running statistics; None weighs all batches equally.
            Default: 0.1.
        affine: whether there are a weight and a bias. Default: True.
        track_running_stats: False takes the batch's statistics in evaluation too. Default: True.
        device, dtype: where the parameters live and what they are.
        bias: False leaves the bias out. Default: True.

    Shape:
        (N, C) or (N, C, L), in and out.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> layer = nn.BatchNorm1d(1)
    >>> layer(tg.tensor([[1.0], [3.0]])).detach()
    tensor([[-1.0000],
            [ 1.0000]])
    >>> layer.running_mean.tolist()
    [0.20000000298023224]
    """

    ranks = (2, 3)


class BatchNorm2d(_BatchNorm):
    """`BatchNorm1d` for images.

    Shape:
        (N, C, H, W), in and out.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> y = nn.BatchNorm2d(2)(tg.randn(8, 2, 4, 4))
    >>> bool((y.mean((0, 2, 3)).abs() < 1e-5).all())
    True
    """

    ranks = (4,)


class BatchNorm3d(_BatchNorm):
    """`BatchNorm1d` for volumes.

    Shape:
        (N, C, D, H, W), in and out.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.BatchNorm3d(2)(tg.randn(3, 2, 4, 4, 4)).shape
    (3, 2, 4, 4, 4)
    """

    ranks = (5,)


class _InstanceNorm(_Tracking):
    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(
            num_features, eps, momentum, affine, track_running_stats, device, dtype, bias
        )

    def forward(self, input: Tensor) -> Tensor:
        """Each channel of each example normalised; the same shape."""
        self._check(input)
        whole = input.ndim == max(self.ranks)
        out = F.instance_norm(
            input if whole else input.unsqueeze(0),
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training or not self.track_running_stats,
            0.0 if self.momentum is None else self.momentum,
            self.eps,
        )
        return out if whole else out.squeeze(0)


class InstanceNorm1d(_InstanceNorm):
    """Batch norm with statistics of each channel of each example (Ulyanov et al., 2016).

    Args:
        num_features: how many channels.
        eps: Default: 1e-5.
        momentum: the weight of a batch in the running statistics. Default: 0.1.
        affine: whether there are a weight and a bias. Default: False.
        track_running_stats: whether running statistics are kept and, in evaluation, taken.
            Default: False.
        device, dtype: where the parameters live and what they are.
        bias: False leaves the bias out. Default: True.

    Shape:
        (N, C, L) or (C, L), in and out.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.InstanceNorm1d(2)(tg.tensor([[1.0, 3.0], [10.0, 30.0]]))
    tensor([[-1.0000,  1.0000],
            [-1.0000,  1.0000]])
    """

    ranks = (2, 3)


class InstanceNorm2d(_InstanceNorm):
    """`InstanceNorm1d` for images.

    Shape:
        (N, C, H, W) or (C, H, W), in and out.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.InstanceNorm2d(2, affine=True)(tg.randn(3, 2, 4, 4)).shape
    (3, 2, 4, 4)
    """

    ranks = (3, 4)


class InstanceNorm3d(_InstanceNorm):
    """`InstanceNorm1d` for volumes.

    Shape:
        (N, C, D, H, W) or (C, D, H, W), in and out.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.InstanceNorm3d(2)(tg.randn(2, 4, 4, 4)).shape
    (2, 4, 4, 4)
    """

    ranks = (4, 5)


class LayerNorm(_Scaled):
    """`(x - mean) / sqrt(var + eps) * weight + bias` over the last dimensions (Ba et al., 2016).

    Args:
        normalized_shape: the sizes of those dimensions, or the size of the last.
        eps: Default: 1e-5.
        elementwise_affine: whether there are a weight and a bias. Default: True.
        bias: False leaves the bias out. Default: True.
        device, dtype: where the parameters live and what they are.

    Shape:
        (..., *normalized_shape), in and out.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.LayerNorm(2)(tg.tensor([[1.0, 3.0], [10.0, 30.0]])).detach()
    tensor([[-1.0000,  1.0000],
            [-1.0000,  1.0000]])
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.normalized_shape = _sizes(normalized_shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        self._make(self.normalized_shape, elementwise_affine, bias, device, dtype)
        self.reset_parameters()

    def forward(self, input: Tensor) -> Tensor:
        """Normalised; the same shape."""
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.normalized_shape}, eps={self.eps}, "
            f"elementwise_affine={self.elementwise_affine}, bias={self.bias is not None}"
        )


class RMSNorm(_Scaled):
    """`x / sqrt(mean(x^2) + eps) * weight` over the last dimensions (Zhang and Sennrich, 2019).

    Args:
        normalized_shape: the sizes of those dimensions, or the size of the last.
        eps: Default: None, the distance from 1 to the next number of the input's dtype.
        elementwise_affine: whether there is a weight. Default: True.
        device, dtype: where the weight lives and what it is.

    Shape:
        (..., *normalized_shape), in and out.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.RMSNorm(2, elementwise_affine=False)(tg.tensor([[3.0, 3.0], [-5.0, 5.0]]))
    tensor([[ 1.,  1.],
            [-1.,  1.]])
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.normalized_shape = _sizes(normalized_shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        weight = ops.ones(self.normalized_shape, dtype=dtype, device=device)
        self.register_parameter("weight", Parameter(weight) if elementwise_affine else None)

    def reset_parameters(self) -> None:
        """A weight of 1."""
        if self.weight is not None:
            ones_(self.weight)

    def forward(self, input: Tensor) -> Tensor:
        """Normalised; the same shape."""
        return F.rms_norm(input, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"
        )


class GroupNorm(_Scaled):
    """Each group of channels of each example normalised (Wu and He, 2018).

    Args:
        num_groups: how many groups; it divides `num_channels`.
        num_channels: how many channels, the second dimension.
        eps: Default: 1e-5.
        affine: whether each channel has a weight and a bias. Default: True.
        device, dtype: where the parameters live and what they are.
        bias: False leaves the bias out. Default: True.

    Shape:
        (N, C, ...), in and out.

    Raises:
        ValueError: if the groups do not divide the channels.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.GroupNorm(2, 4, affine=False)(tg.tensor([[1.0, 3.0, 10.0, 30.0]]))
    tensor([[-1.0000,  1.0000, -1.0000,  1.0000]])
    """

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        if num_groups < 1 or num_channels % num_groups:
            raise ValueError(
                f"GroupNorm: num_groups {num_groups} must be positive and divide num_channels "
                f"{num_channels}"
            )
        self.num_groups = num_groups
        self.num_channels = num_channels
        self.eps = eps
        self.affine = affine
        self._make(num_channels, affine, bias, device, dtype)
        self.reset_parameters()

    def forward(self, input: Tensor) -> Tensor:
        """Normalised; the same shape."""
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}, "
            f"bias={self.bias is not None}"
        )


class LocalResponseNorm(Module):
    """`x / (k + alpha * mean of x^2 over channels around)^beta` (Krizhevsky et al., 2012).

    Args:
        size: over how many channels.
        alpha, beta, k: Default: 1e-4, 0.75 and 1.

    Shape:
        (N, C, ...), in and out.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> nn.LocalResponseNorm(2, alpha=2.0, beta=1.0)(tg.ones(1, 2, 1)).flatten()
    tensor([0.5000, 0.3333])
    """

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> None:
        super().__init__()
        self.size = size
        self.alpha = alpha
        self.beta = beta
        self.k = k

    def forward(self, input: Tensor) -> Tensor:
        """Normalised; the same shape."""
        return F.local_response_norm(input, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"


def _sizes(shape: int | Sequence[int]) -> tuple[int, ...]:
    return (shape,) if isinstance(shape, int) else tuple(shape)
