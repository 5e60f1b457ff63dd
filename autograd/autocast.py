"""Mixed precision: inside `autocast` matrix products take halves, and what is delicate float32.

The dtype that an operation computes in is decided where a person calls it, by the lists of
`autocast_lists`. One place acts on them: when the modules of the operations have been imported,
`behind_casts` puts every listed function behind a look at the region that holds, which casts the
tensors it is given. So a loss made of ten gates is cast as a whole, and neither a gate nor an
operation that is not listed knows about any of this. Inside a listed operation the region is off.

A cast is a gate like any other, so gradients arrive in the dtype of the parameter. A parameter is
cast once in a region, however often it is used.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextvars import ContextVar
from types import ModuleType
from typing import Any, TypeVar

import numpy as np

from .arrays import (
    DEVICE_TYPES,
    FLOATS,
    HALVES,
    MODULES,
    as_dtype,
    bfloat16,
    device,
    float16,
    float32,
    float64,
)
from .autocast_lists import POLICIES
from .engine import Leaf, cast
from .modes import Switch
from .records import Variable, get_mode, next_number
from .versions import written_since

F = TypeVar("F", bound=Callable[..., Any])

DEFAULTS = {"cuda": float16, "cpu": bfloat16}
_PLACES = {"cuda": "GPU", "cpu": "CPU"}
_SUPPORTED = {"cuda": FLOATS, "cpu": HALVES}  # PyTorch's; float32 on a GPU casts halves up
_CAST = FLOATS - {float64}
_REFUSED = (
    "{}: probabilities in a half type are unsafe to take logarithms of, so this loss does not run "
    "under autocast on a GPU. Use binary_cross_entropy_with_logits, or nn.BCEWithLogitsLoss, "
    "which take what the last sigmoid is given; or leave autocast for it, with float32 inputs"
)


class Region:
    """What holds inside an `autocast`: a dtype for each kind of device, None where it is off.

    `cache` has the casts of parameters, shared by regions within each other; None keeps none.
    `outer` is the region that leaving this one returns to.
    """

    __slots__ = ("cache", "chosen", "dtypes", "outer")

    def __init__(
        self,
        dtypes: dict[str, np.dtype | None],
        chosen: dict[str, np.dtype],
        cache: dict[Any, Any] | None,
        outer: Region | None = None,
    ) -> None:
        self.dtypes = dtypes
        self.chosen = chosen
        self.cache = cache
        self.outer = outer


_region: ContextVar[Region | None] = ContextVar("tapegrad.autocast", default=None)
_get_region = _region.get


class autocast(Switch):
    """Operations inside run in the dtype that suits them, by PyTorch's lists.

    Matrix products, convolutions and attention take `dtype`; losses, exponentials, norms and sums
    take float32; a few that need one dtype take the widest of their tensors'; all others compute
    with what they are given. float64 and whole numbers are left alone, and so is what names a
    dtype itself or works in place. Leave the region before `backward`, which uses the same dtypes.

    A context manager and a decorator, per thread and async task like `no_grad`; regions nest, and
    one with `enabled=False` switches its kind of device off inside another.

    As PyTorch's, it warns and stays off where it cannot work: on "cuda" without a GPU, and with a
    dtype that is no half (on a GPU float32 and float64 are taken). A script with a dtype from its
    settings so runs everywhere.

    Args:
        device_type: "cuda" or "cpu": tensors there are cast.
        dtype: float16 or bfloat16. Default: that of the region around this
            one, else float16 on a GPU, bfloat16 on a CPU.
        enabled: whether to cast at all. Default: True.
        cache_enabled: whether a float32 parameter is cast once in the region. Default: as in the
            region around this one, else True.

    >>> import tapegrad as tg
    >>> x, w = tg.ones(2, 3), tg.ones(3, 4, requires_grad=True)
    >>> with tg.autocast("cpu"):
    ...     y = x @ w
    >>> y.sum().backward()
    >>> y.dtype, w.grad.dtype
    (dtype(bfloat16), dtype('float32'))
    """

    def __init__(
        self,
        device_type: str,
        dtype: Any = None,
        enabled: bool = True,
        cache_enabled: bool | None = None,
    ) -> None:
        self.device_type = kind = check_kind("autocast", device_type)
        self.dtype = get_autocast_dtype(kind) if dtype is None else as_dtype(dtype)
        self.cache_enabled = (
            is_autocast_cache_enabled() if cache_enabled is None else bool(cache_enabled)
        )
        missing = _what_is_missing(kind, self.dtype) if enabled else None
        if missing is not None:
            warnings.warn(f"autocast: {missing}; it is disabled", stacklevel=2)
        self.enabled = bool(enabled) and missing is None

    def __enter__(self) -> Any:
        found = _get_region()
        kept = None if found is None else found.cache
        cache = ({} if kept is None else kept) if self.cache_enabled else None
        _region.set(_changed(self.device_type, self.dtype, self.enabled, cache, found))
        return self

    def __exit__(self, *exception: object) -> None:
        found = _get_region()
        assert found is not None, "an autocast is left that was not entered"
        _region.set(found.outer)


def is_autocast_enabled(device_type: str = "cuda") -> bool:
    """Whether operations on that kind of device are being cast in this thread or task.

    >>> import tapegrad as tg
    >>> with tg.autocast("cpu"):
    ...     tg.is_autocast_enabled("cpu"), tg.is_autocast_enabled("cuda")
    (True, False)
    """
    return lower_dtype(check_kind("is_autocast_enabled", device_type)) is not None


def lower_dtype(kind: str) -> np.dtype | None:
    """What products on that kind of device are cast to here and now, if they are."""
    found = _get_region()
    return None if found is None else found.dtypes.get(kind)


def get_autocast_dtype(device_type: str) -> np.dtype:
    """What an `autocast` of that kind of device casts products to, here and now."""
    kind, found = check_kind("get_autocast_dtype", device_type), _get_region()
    return (DEFAULTS if found is None else found.chosen)[kind]


def is_autocast_available(device_type: str) -> bool:
    """Whether there are lists for that kind of device: True for "cpu" and "cuda", GPU or not.

    Raises:
        TypeError: if it is not a string.

    >>> import tapegrad as tg
    >>> tg.amp.is_autocast_available("cuda"), tg.amp.is_autocast_available("mps")
    (True, False)
    """
    if not isinstance(device_type, str):
        raise TypeError(f"is_autocast_available: device_type must be a string, not {device_type!r}")
    return device_type.partition(":")[0] in DEFAULTS


def is_autocast_cache_enabled() -> bool:
    """Whether an `autocast` casts a parameter once, here and now; True outside of all regions.

    >>> import tapegrad as tg
    >>> with tg.autocast("cpu", cache_enabled=False):
    ...     tg.is_autocast_cache_enabled()
    False
    """
    found = _get_region()
    return found is None or found.cache is not None


def clear_autocast_cache() -> None:
    """Forget the casts of parameters that the regions around have kept.

    >>> import tapegrad as tg
    >>> tg.clear_autocast_cache()
    """
    found = _get_region()
    if found is not None and found.cache is not None:
        found.cache.clear()


def set_autocast_enabled(device_type: str, enabled: bool) -> None:
    """Cast on that kind of device or not, from here to the end of the region around, if any.

    `with autocast(...)` is better: nothing is checked here, and outside of all regions the casts of
    parameters are kept until `clear_autocast_cache`.

    >>> import tapegrad as tg
    >>> with tg.autocast("cpu"):
    ...     tg.set_autocast_enabled("cpu", False)
    ...     (tg.ones(2, 2) @ tg.ones(2, 2)).dtype
    dtype('float32')
    """
    kind = check_kind("set_autocast_enabled", device_type)
    _switch(kind, get_autocast_dtype(kind), bool(enabled))


def set_autocast_dtype(device_type: str, dtype: Any) -> None:
    """Cast products on that kind of device to another dtype, to the end of the region around.

    >>> import tapegrad as tg
    >>> with tg.autocast("cpu"):
    ...     tg.set_autocast_dtype("cpu", tg.float16)
    ...     (tg.ones(2, 2) @ tg.ones(2, 2)).dtype
    dtype('float16')
    """
    kind = check_kind("set_autocast_dtype", device_type)
    _switch(kind, as_dtype(dtype), is_autocast_enabled(kind))


def _switch(kind: str, dtype: np.dtype, enabled: bool) -> None:
    """Put a changed region in the place of the one that holds; leaving it leads to the same one."""
    found = _get_region()
    cache, outer = ({}, None) if found is None else (found.cache, found.outer)
    changed = _changed(kind, dtype, enabled, cache, found)
    changed.outer = outer
    _region.set(changed)


def _changed(
    kind: str,
    dtype: np.dtype,
    enabled: bool,
    cache: dict[Any, Any] | None,
    found: Region | None,
) -> Region:
    """A region inside of another that differs for one kind of device."""
    dtypes = {} if found is None else found.dtypes
    chosen = DEFAULTS if found is None else found.chosen
    return Region(
        {**dtypes, kind: dtype if enabled else None}, {**chosen, kind: dtype}, cache, found
    )


def _what_is_missing(kind: str, dtype: np.dtype) -> str | None:
    """Why a region of that kind cannot cast to a dtype, in words; None if it can."""
    from .cuda import is_available  # which is made of this package

    if kind == "cuda" and not is_available():
        return "CUDA is not available (tapegrad.cuda.why_unavailable() says why)"
    if dtype not in _SUPPORTED[kind]:
        return f"on a {_PLACES[kind]} dtype is float16 or bfloat16, not {dtype}"
    return None


def check_kind(name: str, device_type: str) -> str:
    """The kind of device that a name means, for the function `name`."""
    if not isinstance(device_type, str):
        raise ValueError(f"{name}: device_type must be 'cuda' or 'cpu', not {device_type!r}")
    return device(device_type).type


# Where the lists act


def behind_casts(owner: ModuleType | type, public: Mapping[str, Any]) -> None:
    """Put what is listed of `public` behind its casts, under every name it has.

    Outside of all regions a listed function so costs one look at a variable more, and others
    nothing.

    Args:
        owner: a class, or a package: there and in its modules the functions are replaced.
        public: functions by the names of the lists.
    """
    casting = {}
    for name, function in public.items():
        policies = {kind: found[name] for kind, found in POLICIES.items() if name in found}
        if policies:
            casting[id(function)] = _casting(name, function, policies)
    modules = [value for value in vars(owner).values() if isinstance(value, ModuleType)]
    for module in (owner, *modules):
        for name, value in list(vars(module).items()):
            if id(value) in casting:
                setattr(module, name, casting[id(value)])


def _casting(name: str, function: F, policies: Mapping[str, str]) -> F:
    @functools.wraps(function)
    def operation(*args: Any, **kwargs: Any) -> Any:
        region = _get_region()
        if region is None:
            return function(*args, **kwargs)
        return _cast_and_run(region, name, function, policies, args, kwargs)

    operation.without_casts = function  # type: ignore[attr-defined]
    return operation  # type: ignore[return-value]


def without_casts(function: F) -> F:
    """The function itself, where it is one behind casts: what works in place is not cast."""
    return getattr(function, "without_casts", function)


def _cast_and_run(
    region: Region,
    name: str,
    function: Callable[..., Any],
    policies: Mapping[str, str],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:
    found = list(_castable((*args, *kwargs.values())))
    kind = "cuda" if any(kind == "cuda" for kind, _ in found) else "cpu"
    lower, policy = region.dtypes.get(kind), policies.get(kind)
    if not found or lower is None or policy is None:
        return function(*args, **kwargs)
    if policy == "refused":
        raise RuntimeError(_REFUSED.format(name))
    if kwargs.get("dtype") is None:
        narrow = policy == "lower" or (
            policy == "widest" and all(dtype == lower for _, dtype in found)
        )
        dtype = lower if narrow else float32
        args = tuple([_converted(value, kind, dtype, region.cache) for value in args])
        kwargs = {key: _converted(v, kind, dtype, region.cache) for key, v in kwargs.items()}
    token = _region.set(None)
    try:
        return function(*args, **kwargs)
    finally:
        _region.reset(token)


def _castable(values: Iterable[Any]) -> Iterator[tuple[str, np.dtype]]:
    """The kind of device and the dtype of the tensors that may be cast, also of those in lists."""
    for value in values:
        if isinstance(value, Variable):
            data = value._data
            if data.dtype in _CAST:
                yield _kind_of(data), data.dtype
        elif isinstance(value, (list, tuple)):
            yield from _castable(value)


def _kind_of(data: Any) -> str:
    """The kind of device of an array, or of those that it stands for in a trace."""
    if type(data) in DEVICE_TYPES:
        return "cuda"
    return "cpu" if MODULES[type(data)] is np or data.device.id is None else "cuda"


def _converted(value: Any, kind: str, dtype: np.dtype, cache: dict[Any, Any] | None) -> Any:
    """An argument with its tensors on that kind of device in another dtype."""
    if isinstance(value, Variable):
        data = value._data
        if data.dtype == dtype or data.dtype not in _CAST or _kind_of(data) != kind:
            return value
        if cache is None or data.dtype != float32 or not isinstance(value._node, Leaf):
            return cast(value, dtype=dtype)
        return _kept(cache, value, dtype)
    if isinstance(value, (list, tuple)) and any(True for _ in _castable(value)):
        parts = [_converted(part, kind, dtype, cache) for part in value]
        return parts if isinstance(value, list) else tuple(parts)
    return value


def _kept(cache: dict[Any, Any], parameter: Variable, dtype: np.dtype) -> Any:
    """The cast of a parameter: made once, unless its values change or recording is switched."""
    key = id(parameter), dtype, get_mode().recording
    entry = cache.get(key)
    if entry is not None:
        owner, data, number, found = entry
        if owner is parameter and data is parameter._data and not written_since(data, None, number):
            return found
    found = cast(parameter, dtype=dtype)
    cache[key] = parameter, parameter._data, next_number(), found
    return found


# For a Function


def custom_fwd(
    fwd: Callable[..., Any] | None = None, *, device_type: str, cast_inputs: Any = None
) -> Callable[..., Any]:
    """A decorator for the `forward` of a `Function`: how it behaves under autocast.

    Args:
        fwd: the forward; if it is left out, a decorator is returned.
        device_type: "cuda" or "cpu".
        cast_inputs: a dtype for the tensors of floats among the arguments, of that kind of device,
            other than float64; the forward then runs without autocast. Default: none, and the
            forward runs as the region around it says.

    >>> import tapegrad as tg
    >>> class Product(tg.autograd.Function):
    ...     @staticmethod
    ...     @tg.amp.custom_fwd(device_type="cpu")
    ...     def forward(ctx, x, y):
    ...         ctx.save_for_backward(x, y)
    ...         return x @ y
    ...
    ...     @staticmethod
    ...     @tg.amp.custom_bwd(device_type="cpu")
    ...     def backward(ctx, grad):
    ...         x, y = ctx.saved_tensors
    ...         return grad @ y.T, x.T @ grad
    >>> x = tg.ones(2, 2, requires_grad=True)
    >>> with tg.autocast("cpu"):
    ...     y = Product.apply(x, x)
    >>> y.sum().backward()  # its products are of bfloat16, as in the forward
    >>> y.dtype, x.grad.dtype
    (dtype(bfloat16), dtype('float32'))
    """
    kind = check_kind("custom_fwd", device_type)
    if fwd is None:
        return functools.partial(custom_fwd, device_type=kind, cast_inputs=cast_inputs)
    inputs = None if cast_inputs is None else as_dtype(cast_inputs)

    @functools.wraps(fwd)
    def forward(ctx: Any, *args: Any, **kwargs: Any) -> Any:
        ctx._autocast = get_autocast_dtype(kind), inputs is None and is_autocast_enabled(kind)
        if inputs is None or not is_autocast_enabled(kind):
            return fwd(ctx, *args, **kwargs)
        args = tuple([_converted(value, kind, inputs, None) for value in args])
        kwargs = {key: _converted(value, kind, inputs, None) for key, value in kwargs.items()}
        with autocast(kind, enabled=False):
            return fwd(ctx, *args, **kwargs)

    return forward


def custom_bwd(bwd: Callable[..., Any] | None = None, *, device_type: str) -> Callable[..., Any]:
    """A decorator for the `backward` of a `Function`: autocast as it was in `custom_fwd`.

    Args:
        bwd: the backward; if it is left out, a decorator is returned.
        device_type: "cuda" or "cpu".
    """
    kind = check_kind("custom_bwd", device_type)
    if bwd is None:
        return functools.partial(custom_bwd, device_type=kind)

    @functools.wraps(bwd)
    def backward(ctx: Any, *args: Any, **kwargs: Any) -> Any:
        dtype, enabled = ctx._autocast
        with autocast(kind, dtype=dtype, enabled=enabled):
            return bwd(ctx, *args, **kwargs)

    return backward
