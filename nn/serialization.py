"""Saving and loading tensors as safetensors files.

The format holds names, dtypes, shapes and bytes, and no code: opening a file runs nothing. With
PyTorch's names for the keys, weights go back and forth between the two libraries.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as serialize

from tapegrad.autograd import Tensor, as_tensor
from tapegrad.autograd.arrays import DTYPES
from tapegrad.autograd.transfers import move

from .modules.module import Module

Target = str | os.PathLike[str]


def save(
    state: Module | Mapping[str, Any], path: Target, metadata: Mapping[str, str] | None = None
) -> None:
    """Write a module's state_dict, or any dictionary of tensors, to a safetensors file.

    The file appears complete or not at all: what was there before survives a failed save. Tensors
    that share memory are written once each.

    Args:
        state: a module, or tensors (or arrays) by name.
        path: the file; by custom it ends in `.safetensors`.
        metadata: strings by string, kept beside the tensors. Default: none.

    Raises:
        TypeError: if a name is not a string or a value not a tensor.
        OSError: if the file cannot be written; the message names it.

    >>> import os, tempfile
    >>> import tapegrad as tg
    >>> from tapegrad import nn
    >>> layer, twin = nn.Linear(3, 2), nn.Linear(3, 2)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "layer.safetensors")
    ...     tg.save(layer, path)
    ...     _ = twin.load_state_dict(tg.load(path))
    >>> bool((twin.weight == layer.weight).all())
    True
    """
    path = Path(path)
    named = state.state_dict() if isinstance(state, Module) else state
    arrays = {name: _plain(name, value) for name, value in named.items()}
    content = serialize(arrays, metadata=None if metadata is None else dict(metadata))
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())  # or a crash could leave the new name with nothing in it
        os.replace(part, path)
    except OSError as error:
        raise OSError(error.errno, f"cannot save {path}: {error.strerror}") from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink()


def _plain(name: Any, value: Any) -> np.ndarray:
    """The value as a contiguous array on the CPU, which is what the format's writer reads."""
    if not isinstance(name, str):
        raise TypeError(f"save: names must be strings, not {name!r}")
    if not isinstance(value, Tensor | np.ndarray):
        raise TypeError(f"save: {name!r} must be a tensor, not {type(value).__name__}")
    array = value.data if isinstance(value, Tensor) else value
    if array.dtype not in DTYPES:
        raise TypeError(f"save: {name!r} has the dtype {array.dtype}, which no tensor has")
    return np.asarray(move(array, "cpu"), order="C")


def load(path: Target) -> dict[str, Tensor]:
    """Read a safetensors file into tensors on the CPU, by name.

    Args:
        path: the file.

    Raises:
        OSError: if the file cannot be read (FileNotFoundError if there is none).
        ValueError: if it is not a safetensors file, or is cut short. Both messages name it.

    >>> import os, tempfile
    >>> import tapegrad as tg
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "numbers.safetensors")
    ...     tg.save({"steps": tg.tensor(3), "rates": tg.tensor([0.1, 0.2])}, path)
    ...     tg.load(path)["steps"]
    tensor(3)
    """
    path = Path(path)
    try:
        path.open("rb").close()
        with safe_open(path, framework="numpy") as file:
            return {name: as_tensor(file.get_tensor(name)) for name in file.keys()}  # noqa: SIM118
    except OSError as error:
        raise OSError(error.errno, f"cannot load {path}: {error.strerror}") from error
    except SafetensorError as error:
        raise ValueError(f"cannot load {path}: not a whole safetensors file ({error})") from error
