"""The tensors a module learns.

A `Parameter` is a `Tensor` that a `Module` recognises: assigned as an attribute, it is listed by
`parameters()`, moved by `to()` and saved by `state_dict()`.
"""

from __future__ import annotations

from typing import Any

from tapegrad.autograd import Tensor


class Parameter(Tensor):
    """A tensor that is trained.

    Args:
        data: the initial value; a tensor's memory is shared, not copied.
        requires_grad: whether gradients are recorded for it. Default: True.

    Raises:
        RuntimeError: if `requires_grad` is asked of integer or boolean data.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> weight = nn.Parameter(tg.zeros(2, 3))
    >>> weight.requires_grad, isinstance(weight, tg.Tensor)
    (True, True)
    """

    __slots__ = ()

    def __init__(self, data: Any, requires_grad: bool = True) -> None:
        value = data.data if isinstance(data, Tensor) else data
        super().__init__(value, requires_grad=requires_grad)
