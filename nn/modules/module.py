"""`Module`, the base class of every layer and model.

A module owns parameters (trained), buffers (saved and moved, not trained) and child modules, each
under the attribute name it was assigned to. Everything else, such as moving, saving, listing and
printing, is a walk over that tree. The names a module gives its tensors are the keys of its
`state_dict`, and they are PyTorch's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, Self

from tapegrad.autograd import Tensor, as_tensor, no_grad, records
from tapegrad.autograd.arrays import FLOATS, as_dtype, bfloat16, float16, float32, float64
from tapegrad.autograd.drawing.calls import note_call
from tapegrad.autograd.memory_formats import preserve_format
from tapegrad.autograd.tensor import RemovableHandle

from ..parameter import Parameter

# Where a module keeps what it registers, and what one entry is called.
_KINDS = {"_parameters": "parameter", "_modules": "module", "_buffers": "buffer"}


class IncompatibleKeys(NamedTuple):
    """What `load_state_dict` found on one side only."""

    missing_keys: list[str]
    unexpected_keys: list[str]


class Module:
    """The base class of layers and models.

    A subclass calls `super().__init__()`, assigns its parameters and layers as attributes, and
    defines `forward`; calling the module calls `forward`.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> class TwoLayers(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.hidden = nn.Linear(4, 3)
    ...         self.output = nn.Linear(3, 2, bias=False)
    ...
    ...     def forward(self, x):
    ...         return self.output(self.hidden(x).tanh())
    >>> model = TwoLayers()
    >>> model(tg.ones(5, 4)).shape
    (5, 2)
    >>> [name for name, _ in model.named_parameters()]
    ['hidden.weight', 'hidden.bias', 'output.weight']
    >>> model
    TwoLayers(
      (hidden): Linear(in_features=4, out_features=3, bias=True)
      (output): Linear(in_features=3, out_features=2, bias=False)
    )
    """

    training: bool
    _parameters: dict[str, Parameter | None]
    _buffers: dict[str, Tensor | None]
    _modules: dict[str, Module | None]

    def __init__(self) -> None:
        # Straight into __dict__: __setattr__ below looks these up.
        self.__dict__.update(
            training=True,
            _parameters={},
            _buffers={},
            _non_persistent_buffers=set(),
            _modules={},
            _forward_hooks={},
            _forward_pre_hooks={},
        )

    # Calling

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the output; every subclass defines its own."""
        raise NotImplementedError(f"{type(self).__name__} does not define forward()")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        start = records.next_number() if records.get_mode().recording else None
        if self._forward_hooks or self._forward_pre_hooks:
            output = self._call_with_hooks(args, kwargs)
        else:
            output = self.forward(*args, **kwargs)
        if start is not None:
            note_call(self, start, output)
        return output

    def _call_with_hooks(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        for pre_hook in tuple(self._forward_pre_hooks.values()):
            changed = pre_hook(self, args)
            if changed is not None:
                args = changed if isinstance(changed, tuple) else (changed,)
        output = self.forward(*args, **kwargs)
        for hook in tuple(self._forward_hooks.values()):
            changed = hook(self, args, output)
            if changed is not None:
                output = changed
        return output

    def register_forward_pre_hook(self, hook: Callable[[Module, Any], Any]) -> RemovableHandle:
        """Call `hook(module, args)` before every `forward`.

        What the hook returns, unless None, replaces the positional arguments.

        Returns:
            A handle whose `remove()` takes the hook away.
        """
        return RemovableHandle(self._forward_pre_hooks, hook)

    def register_forward_hook(self, hook: Callable[[Module, Any, Any], Any]) -> RemovableHandle:
        """Call `hook(module, args, output)` after every `forward`.

        What the hook returns, unless None, replaces the output.

        Returns:
            A handle whose `remove()` takes the hook away.

        >>> import tapegrad as tg
        >>> from tapegrad import nn
        >>> layer, seen = nn.ReLU(), []
        >>> handle = layer.register_forward_hook(
        ...     lambda module, args, output: seen.append(output.shape)
        ... )
        >>> _ = layer(tg.ones(2, 3))
        >>> handle.remove()
        >>> _ = layer(tg.ones(4))
        >>> seen
        [(2, 3)]
        """
        return RemovableHandle(self._forward_hooks, hook)

    # Attributes

    def __setattr__(self, name: str, value: Any) -> None:
        kind = _kind_of(value)
        if kind is not None:
            self._require_init(kind)
            registered = self.__dict__[kind]
            if name not in registered:  # or its place in the state_dict would change
                self._forget(name)
                self.__dict__.pop(name, None)
            registered[name] = value
            return
        # A registered name keeps its registration: None and, for a buffer, another tensor may be
        # put there; anything else would silently drop out of the state_dict.
        for kind in _KINDS:
            registered = self.__dict__.get(kind, ())
            if name in registered:
                fits = value is None or (kind == "_buffers" and isinstance(value, Tensor))
                if not fits:
                    raise TypeError(
                        f"cannot assign {type(value).__name__} to the {_KINDS[kind]} {name!r}: "
                        f"assign a {_KINDS[kind]} or None, or delete the attribute first"
                    )
                registered[name] = value
                return
        object.__setattr__(self, name, value)

    def __getattr__(self, name: str) -> Any:
        # Reached only when the ordinary look-up fails.
        attributes = self.__dict__
        for kind in _KINDS:
            registered = attributes.get(kind, ())
            if name in registered:
                return registered[name]
        if "_parameters" not in attributes:
            raise AttributeError(
                f"{type(self).__name__!r} object has no attribute {name!r}: "
                f"{type(self).__name__}.__init__ must call super().__init__() first"
            )
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __delattr__(self, name: str) -> None:
        if not self._forget(name):
            object.__delattr__(self, name)

    def __dir__(self) -> list[str]:
        registered = [*self._parameters, *self._buffers, *self._modules]
        return sorted({*super().__dir__(), *(name for name in registered if name.isidentifier())})

    def _require_init(self, kind: str) -> None:
        if kind not in self.__dict__:
            raise AttributeError(
                f"cannot assign a {_KINDS[kind]} before {type(self).__name__}.__init__ "
                "has called super().__init__()"
            )

    def _forget(self, name: str) -> bool:
        """Drop what is registered under `name`; say whether anything was."""
        self._non_persistent_buffers.discard(name)
        found = [self.__dict__[kind] for kind in _KINDS if name in self.__dict__[kind]]
        for registered in found:
            del registered[name]
        return bool(found)

    def _check_name(self, kind: str, name: str) -> None:
        self._require_init(kind)
        if not isinstance(name, str):
            raise TypeError(f"the name must be a string, not {type(name).__name__}")
        if name == "" or "." in name:
            raise KeyError(f"the name must not be empty or contain '.': {name!r}")
        if hasattr(self, name) and name not in getattr(self, kind):
            raise KeyError(f"attribute {name!r} already exists")

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Register a parameter, or None for one that this configuration does not have."""
        self._check_name("_parameters", name)
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(f"{name!r} must be a Parameter or None, not {type(param).__name__}")
        self._parameters[name] = param

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Register a tensor that moves with the module but is not trained.

        Args:
            name: the attribute, and the key in the state_dict.
            tensor: the value, or None.
            persistent: whether the state_dict holds it. Default: True.
        """
        self._check_name("_buffers", name)
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(f"{name!r} must be a Tensor or None, not {type(tensor).__name__}")
        self._buffers[name] = tensor
        if persistent:
            self._non_persistent_buffers.discard(name)
        else:
            self._non_persistent_buffers.add(name)

    def add_module(self, name: str, module: Module | None) -> None:
        """Register a child module under a name that need not be an identifier, such as "0"."""
        self._check_name("_modules", name)
        if module is not None and not isinstance(module, Module):
            raise TypeError(f"{name!r} must be a Module or None, not {type(module).__name__}")
        self._modules[name] = module

    register_module = add_module

    # Listing

    def named_modules(
        self, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """Yield (dotted name, module) for this module and everything below it, parents first."""
        seen: set[Module] = set()

        def walk(module: Module, prefix: str) -> Iterator[tuple[str, Module]]:
            if remove_duplicate:
                if module in seen:
                    return
                seen.add(module)
            yield prefix, module
            for name, child in module._modules.items():
                if child is not None:
                    yield from walk(child, f"{prefix}.{name}" if prefix else name)

        yield from walk(self, prefix)

    def modules(self) -> Iterator[Module]:
        """Yield this module and everything below it, each once."""
        for _, module in self.named_modules():
            yield module

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """Yield (name, module) for the modules directly below this one, each once."""
        seen: set[Module] = set()
        for name, child in self._modules.items():
            if child is not None and child not in seen:
                seen.add(child)
                yield name, child

    def children(self) -> Iterator[Module]:
        """Yield the modules directly below this one, each once."""
        for _, child in self.named_children():
            yield child

    def _named_tensors(
        self, kind: str, prefix: str, recurse: bool, remove_duplicate: bool
    ) -> Iterator[tuple[str, Any]]:
        seen: set[int] = set()
        owners = self.named_modules(prefix, remove_duplicate) if recurse else [(prefix, self)]
        for owner_name, owner in owners:
            for name, tensor in getattr(owner, kind).items():
                if tensor is None or (remove_duplicate and id(tensor) in seen):
                    continue
                seen.add(id(tensor))
                yield (f"{owner_name}.{name}" if owner_name else name), tensor

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """Yield (dotted name, parameter); a parameter that is shared counts once."""
        return self._named_tensors("_parameters", prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """Yield every parameter once; this is what an optimizer takes."""
        for _, parameter in self.named_parameters(recurse=recurse):
            yield parameter

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """Yield (dotted name, buffer)."""
        return self._named_tensors("_buffers", prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """Yield every buffer once."""
        for _, buffer in self.named_buffers(recurse=recurse):
            yield buffer

    # Modes

    def train(self, mode: bool = True) -> Self:
        """Switch this module and everything below it to training (or evaluation) mode."""
        if not isinstance(mode, bool):
            raise ValueError(f"training mode must be a bool, not {mode!r}")
        for module in self.modules():
            module.training = mode
        return self

    def eval(self) -> Self:
        """Switch to evaluation mode: dropout passes its input through, for example."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Say whether gradients are recorded for every parameter; False freezes the module."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget every parameter's gradient, or fill it with zeros if `set_to_none` is False."""
        for parameter in self.parameters():
            if set_to_none:
                parameter.grad = None
            elif parameter.grad is not None:
                parameter.grad = parameter.grad.detach().zero_()

    def apply(self, fn: Callable[[Module], None]) -> Self:
        """Call `fn` on everything below this module, then on the module itself.

        >>> from tapegrad import nn
        >>> def start_at_one(module):
        ...     if isinstance(module, nn.Linear):
        ...         nn.init.ones_(module.weight)
        >>> model = nn.Sequential(nn.Linear(2, 2), nn.ReLU()).apply(start_at_one)
        >>> model[0].weight.sum().item()
        4.0
        """
        for child in self.children():
            child.apply(fn)
        fn(self)
        return self

    # Moving

    def _convert(self, change: Callable[[Tensor], Tensor]) -> Self:
        # A parameter stays the same object, because an optimizer may hold it already.
        with no_grad():
            for module in self.modules():
                for parameter in module._parameters.values():
                    if parameter is not None:
                        gradient, parameter.grad = parameter.grad, None
                        parameter.data = change(parameter.detach())
                        if gradient is not None:
                            parameter.grad = change(gradient)
                for name, buffer in module._buffers.items():
                    if buffer is not None:
                        module._buffers[name] = change(buffer)
        return self

    def to(
        self,
        device: Any = None,
        dtype: Any = None,
        *,
        memory_format: Any = preserve_format,
    ) -> Self:
        """Move every parameter and buffer to a device, a floating dtype, a layout, or several.

        Integer buffers keep their dtype. Parameters stay the same objects.

        Args:
            device: "cpu", "cuda" or "cuda:1"; or a dtype, alone; or a tensor to be like.
            dtype: a floating dtype.
            memory_format: of parameters and buffers of 4 or 5 dimensions, such as
                `tapegrad.channels_last`. Default: as they are.

        Raises:
            TypeError: if the dtype is not a floating one.
            RuntimeError: if the device is unknown or not there.

        >>> import tapegrad as tg
        >>> from tapegrad import nn
        >>> nn.Linear(2, 1).to(tg.float64).weight.dtype
        dtype('float64')
        """
        if isinstance(device, Tensor):
            device, dtype = device.device, device.dtype
        elif device is not None and not isinstance(device, str):
            device, dtype = None, device
        if dtype is not None:
            dtype = as_dtype(dtype)
            if dtype not in FLOATS:
                raise TypeError(f"{type(self).__name__}.to: {dtype} is not a floating dtype")

        def change(tensor: Tensor) -> Tensor:
            if device is not None:
                tensor = tensor.to(device)
            if memory_format is not preserve_format and tensor.ndim in (4, 5):
                tensor = tensor.to(memory_format=memory_format)
            return tensor.to(dtype) if dtype is not None and tensor.dtype in FLOATS else tensor

        return self._convert(change)

    def cpu(self) -> Self:
        """Move to the CPU."""
        return self.to("cpu")

    def cuda(self, device: int | None = None) -> Self:
        """Move to a GPU, the first by default."""
        return self.to("cuda" if device is None else f"cuda:{device}")

    def float(self) -> Self:
        """Convert floating parameters and buffers to float32."""
        return self.to(dtype=float32)

    def double(self) -> Self:
        """Convert floating parameters and buffers to float64."""
        return self.to(dtype=float64)

    def half(self) -> Self:
        """Convert floating parameters and buffers to float16."""
        return self.to(dtype=float16)

    def bfloat16(self) -> Self:
        """Convert floating parameters and buffers to bfloat16."""
        return self.to(dtype=bfloat16)

    # Saving

    def state_dict(self, prefix: str = "", keep_vars: bool = False) -> dict[str, Tensor]:
        """Every parameter and persistent buffer by its dotted name.

        The tensors share the module's memory; with `keep_vars` they are the parameters themselves.

        >>> from tapegrad import nn
        >>> {name: value.shape for name, value in nn.Linear(3, 2).state_dict().items()}
        {'weight': (2, 3), 'bias': (2,)}
        """
        state: dict[str, Tensor] = {}
        for owner_name, owner in self.named_modules(prefix.rstrip("."), remove_duplicate=False):
            for name, tensor in (*owner._parameters.items(), *owner._buffers.items()):
                if tensor is not None and name not in owner._non_persistent_buffers:
                    key = f"{owner_name}.{name}" if owner_name else name
                    state[key] = tensor if keep_vars else tensor.detach()
        return state

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True
    ) -> IncompatibleKeys:
        """Copy values into this module's parameters and buffers, all of them or none.

        Args:
            state_dict: tensors or arrays by dotted name; dtype and device may differ.
            strict: whether the names must be exactly this module's. Default: True.

        Returns:
            The names missing from `state_dict` and those this module does not know.

        Raises:
            RuntimeError: listing every missing and unexpected name (if `strict`) and every shape
                that does not fit; nothing has been changed then.
        """
        own = self.state_dict(keep_vars=True)
        missing = [name for name in own if name not in state_dict]
        unexpected = [name for name in state_dict if name not in own]
        values = {name: as_tensor(state_dict[name]) for name in own if name in state_dict}
        problems = []
        if strict and missing:
            problems.append(f"missing: {', '.join(missing)}")
        if strict and unexpected:
            problems.append(f"unexpected: {', '.join(unexpected)}")
        problems += [
            f"{name}: the shape is {tuple(value.shape)} in the state_dict "
            f"and {tuple(own[name].shape)} in the module"
            for name, value in values.items()
            if tuple(value.shape) != tuple(own[name].shape)
        ]
        if problems:
            raise RuntimeError(
                f"cannot load the state_dict into {type(self).__name__}:\n    "
                + "\n    ".join(problems)
            )
        with no_grad():
            for name, value in values.items():
                own[name].copy_(value)
        return IncompatibleKeys(missing, unexpected)

    # Printing

    def extra_repr(self) -> str:
        """What stands between the brackets of the printed module; subclasses say their settings."""
        return ""

    def __repr__(self) -> str:
        lines = self.extra_repr().splitlines()
        children = [
            f"({name}): " + repr(child).replace("\n", "\n  ")
            for name, child in self._modules.items()
        ]
        if not children and len(lines) <= 1:
            return f"{type(self).__name__}({''.join(lines)})"
        body = "".join(f"  {line}\n" for line in (*lines, *children))
        return f"{type(self).__name__}(\n{body})"


def _kind_of(value: object) -> str | None:
    if isinstance(value, Parameter):
        return "_parameters"
    return "_modules" if isinstance(value, Module) else None
