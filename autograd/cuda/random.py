"""Seeds and states of the GPUs' default generators."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tapegrad.autograd import arrays
from tapegrad.autograd.operations.generators import Generator, default_generator

from .devices import device_count, index_of


def manual_seed(seed: int) -> None:
    """Seed the default generator of the current GPU; does nothing where there is none.

    >>> import tapegrad as tg
    >>> tg.cuda.manual_seed(0)
    """
    if device_count():
        _of(None).manual_seed(seed)


def manual_seed_all(seed: int) -> None:
    """Seed the default generator of every GPU; does nothing where there is none."""
    for index in range(device_count()):
        _of(index).manual_seed(seed)


def seed() -> int:
    """Seed the current GPU's default generator with a number nobody knows, and return it."""
    return _of(None).seed()


def initial_seed() -> int:
    """The seed the current GPU's default generator was started with."""
    return _of(None).initial_seed()


def get_rng_state(device: Any = "cuda") -> Any:
    """Where a GPU's default generator is: a tensor of bytes on the CPU."""
    return _of(device).get_state()


def set_rng_state(new_state: Any, device: Any = "cuda") -> None:
    """Bring a GPU's default generator back to where it was at `get_rng_state`."""
    _of(device).set_state(new_state)


def get_rng_state_all() -> list[Any]:
    """The states of all GPUs' default generators."""
    return [get_rng_state(index) for index in range(device_count())]


def set_rng_state_all(new_states: Iterable[Any]) -> None:
    """Bring the default generators of all GPUs back to where they were."""
    for index, state in enumerate(new_states):
        set_rng_state(state, index)


def _of(device: Any) -> Generator:
    arrays.cuda_module()
    return default_generator(f"cuda:{index_of(device)}")
