"""Modules that hold other modules: in a row, in a list, in a dictionary; and a list of parameters.

A container registers its children under their position or key, which is what their names in the
`state_dict` begin with.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Self, overload

from tapegrad.autograd import Tensor

from ..parameter import Parameter
from .module import Module


def _position(index: int, length: int, owner: str) -> int:
    if not -length <= index < length:
        raise IndexError(f"{owner}: index {index} is out of range for {length} entries")
    return index % length


class _Row(Module):
    """Children in order, named "0", "1", ... unless they were given names."""

    def _key(self, index: int) -> str:
        return list(self._modules)[_position(index, len(self), type(self).__name__)]

    @overload
    def __getitem__(self, index: int) -> Module: ...

    @overload
    def __getitem__(self, index: slice) -> Self: ...

    def __getitem__(self, index: int | slice) -> Module | Self:
        if isinstance(index, slice):
            return self._made_of(list(self._modules.items())[index])
        return self._modules[self._key(index)]  # type: ignore[return-value]

    def __setitem__(self, index: int, module: Module) -> None:
        self.add_module(self._key(index), module)

    def __delitem__(self, index: int | slice) -> None:
        keys = list(self._modules)
        gone = keys[index] if isinstance(index, slice) else [self._key(index)]
        numbered = keys == [str(i) for i in range(len(keys))]
        kept = [(key, module) for key, module in self._modules.items() if key not in gone]
        self._modules.clear()
        for position, (key, module) in enumerate(kept):
            self._modules[str(position) if numbered else key] = module

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Module]:
        return iter(self._modules.values())  # type: ignore[arg-type]

    def append(self, module: Module) -> Self:
        """Add a module at the end."""
        self.add_module(str(len(self)), module)
        return self

    def extend(self, modules: Iterable[Module]) -> Self:
        """Add modules at the end."""
        for module in modules:
            self.append(module)
        return self

    def insert(self, index: int, module: Module) -> Self:
        """Put a module before position `index`; the later ones move up by one."""
        modules = list(self)
        modules.insert(index, module)
        self._modules.clear()
        return self.extend(modules)

    def _made_of(self, children: list[tuple[str, Any]]) -> Self:
        raise NotImplementedError


class Sequential(_Row):
    """Modules applied one after another.

    Args:
        modules: modules in order, or one OrderedDict of names and modules.

    >>> from collections import OrderedDict
    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    >>> model(tg.ones(5, 4)).shape
    (5, 2)
    >>> model[:2]
    Sequential(
      (0): Linear(in_features=4, out_features=3, bias=True)
      (1): ReLU()
    )
    >>> nn.Sequential(OrderedDict(score=nn.Linear(2, 1))).score
    Linear(in_features=2, out_features=1, bias=True)
    """

    def __init__(self, *modules: Module | Mapping[str, Module]) -> None:
        super().__init__()
        if len(modules) == 1 and isinstance(modules[0], Mapping):
            named: Iterable[tuple[str, Any]] = modules[0].items()
        else:
            named = ((str(position), module) for position, module in enumerate(modules))
        for name, module in named:
            self.add_module(name, module)

    def _made_of(self, children: list[tuple[str, Any]]) -> Self:
        return type(self)(OrderedDict(children))

    def forward(self, input: Any) -> Any:
        """The last module's output."""
        for module in self._modules.values():
            input = module(input)  # type: ignore[misc]
        return input


class ModuleList(_Row):
    """A list whose modules are registered.

    >>> from tapegrad import nn
    >>> layers = nn.ModuleList(nn.Linear(2, 2) for _ in range(3))
    >>> len(layers), len(list(layers.parameters()))
    (3, 6)
    """

    def __init__(self, modules: Iterable[Module] = ()) -> None:
        super().__init__()
        self.extend(modules)

    def _made_of(self, children: list[tuple[str, Any]]) -> Self:
        return type(self)(module for _, module in children)


class ModuleDict(Module):
    """A dictionary whose modules are registered.

    >>> from tapegrad import nn
    >>> heads = nn.ModuleDict({"digit": nn.Linear(8, 10), "parity": nn.Linear(8, 2)})
    >>> sorted(heads), heads["parity"].out_features
    (['digit', 'parity'], 2)
    """

    def __init__(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]] = ()) -> None:
        super().__init__()
        self.update(modules)

    def __getitem__(self, key: str) -> Module:
        return self._modules[key]  # type: ignore[return-value]

    def __setitem__(self, key: str, module: Module) -> None:
        self.add_module(key, module)

    def __delitem__(self, key: str) -> None:
        del self._modules[key]

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __contains__(self, key: object) -> bool:
        return key in self._modules

    def keys(self) -> Iterable[str]:
        """The names."""
        return self._modules.keys()

    def values(self) -> Iterable[Module]:
        """The modules."""
        return self._modules.values()  # type: ignore[return-value]

    def items(self) -> Iterable[tuple[str, Module]]:
        """The names with their modules."""
        return self._modules.items()  # type: ignore[return-value]

    def pop(self, key: str) -> Module:
        """Take a module out and return it."""
        return self._modules.pop(key)  # type: ignore[return-value]

    def update(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]]) -> None:
        """Add modules, replacing those of the same name."""
        for key, module in dict(modules).items():
            self.add_module(key, module)


class ParameterList(Module):
    """A list whose entries are parameters; a plain tensor becomes one.

    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> weights = nn.ParameterList([tg.zeros(2), tg.ones(3)])
    >>> len(weights), [name for name, _ in weights.named_parameters()]
    (2, ['0', '1'])
    """

    def __init__(self, values: Iterable[Tensor] = ()) -> None:
        super().__init__()
        self.extend(values)

    def __getitem__(self, index: int) -> Parameter:
        return self._parameters[str(_position(index, len(self), "ParameterList"))]  # type: ignore[return-value]

    def __setitem__(self, index: int, value: Tensor) -> None:
        key = str(_position(index, len(self), "ParameterList"))
        self._parameters[key] = value if isinstance(value, Parameter) else Parameter(value)

    def __len__(self) -> int:
        return len(self._parameters)

    def __iter__(self) -> Iterator[Parameter]:
        return iter(self._parameters.values())  # type: ignore[arg-type]

    def append(self, value: Tensor) -> Self:
        """Add a parameter at the end."""
        value = value if isinstance(value, Parameter) else Parameter(value)
        self.register_parameter(str(len(self)), value)
        return self

    def extend(self, values: Iterable[Tensor]) -> Self:
        """Add parameters at the end."""
        for value in values:
            self.append(value)
        return self

    def extra_repr(self) -> str:
        return "\n".join(
            f"({name}): Parameter of {parameter.dtype}, {tuple(parameter.shape)}"
            for name, parameter in self.named_parameters()
        )
