"""Datasets: anything with a length whose examples are found by position."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tapegrad.autograd import Generator, Tensor
from tapegrad.autograd import operations as ops


class Dataset:
    """The base class of datasets: `dataset[i]` is an example, `len(dataset)` how many there are.

    >>> from tapegrad.data import Dataset
    >>> class Squares(Dataset):
    ...     def __len__(self):
    ...         return 10
    ...
    ...     def __getitem__(self, index):
    ...         return index, index**2
    >>> Squares()[3]
    (3, 9)
    """

    def __getitem__(self, index: Any) -> Any:
        """One example."""
        raise NotImplementedError(f"{type(self).__name__} does not define __getitem__()")

    def __len__(self) -> int:
        """How many examples there are."""
        raise NotImplementedError(f"{type(self).__name__} does not define __len__()")


class TensorDataset(Dataset):
    """Tensors side by side: example i is the i-th row of each.

    Args:
        tensors: tensors whose first sizes agree.

    Raises:
        ValueError: if they do not, or there is none.

    >>> import tapegrad as tg
    >>> from tapegrad.data import TensorDataset
    >>> pairs = TensorDataset(tg.arange(6.0).reshape(3, 2), tg.tensor([0, 1, 0]))
    >>> pairs[1]
    (tensor([2., 3.]), tensor(1))
    """

    def __init__(self, *tensors: Tensor) -> None:
        sizes = {tensor.shape[:1] for tensor in tensors}
        if len(sizes) != 1 or () in sizes:
            shapes = ", ".join(str(tuple(tensor.shape)) for tensor in tensors)
            raise ValueError(f"TensorDataset: the first sizes must agree, not {shapes or 'none'}")
        self.tensors = tensors

    def __getitem__(self, index: Any) -> tuple[Tensor, ...]:
        """Example `index`; of several positions, the batch of them."""
        return tuple(tensor[index] for tensor in self.tensors)

    def __len__(self) -> int:
        return self.tensors[0].shape[0]


class Subset(Dataset):
    """Some examples of a dataset, by their positions.

    >>> import tapegrad as tg
    >>> from tapegrad.data import Subset, TensorDataset
    >>> odd = Subset(TensorDataset(tg.arange(6)), [1, 3, 5])
    >>> len(odd), odd[-1]
    (3, (tensor(5),))
    """

    def __init__(self, dataset: Any, indices: Sequence[int] | np.ndarray) -> None:
        self.dataset = dataset
        self.indices = np.asarray(indices, dtype=np.int64)

    def __getitem__(self, index: Any) -> Any:
        """Example `index` of the chosen ones."""
        chosen = self.indices[index]
        return self.dataset[chosen if chosen.ndim else int(chosen)]

    def __len__(self) -> int:
        return len(self.indices)


def random_split(
    dataset: Any, lengths: Sequence[int | float], generator: Generator | None = None
) -> list[Subset]:
    """Split a dataset at random into parts that do not overlap.

    Args:
        dataset: what to split.
        lengths: sizes that add up to the whole, or shares that add up to 1; what rounding down
            leaves over goes to the first parts, one each.
        generator: the source of the permutation. Default: the common one.

    Raises:
        ValueError: if the lengths do not add up.

    >>> import tapegrad as tg
    >>> from tapegrad.data import TensorDataset, random_split
    >>> parts = random_split(TensorDataset(tg.arange(10)), [0.75, 0.25])
    >>> [len(part) for part in parts]
    [8, 2]
    """
    count = len(dataset)
    if all(isinstance(length, int) for length in lengths):
        sizes = [int(length) for length in lengths]
    else:
        if any(length < 0 for length in lengths) or abs(sum(lengths) - 1) > 1e-9:
            raise ValueError(f"random_split: the shares {list(lengths)} do not add up to 1")
        sizes = [int(count * length) for length in lengths]
        for part in range(count - sum(sizes)):
            sizes[part % len(sizes)] += 1
    if sum(sizes) != count or min(sizes, default=0) < 0:
        raise ValueError(f"random_split: {sizes} do not add up to the {count} examples there are")
    order = ops.randperm(count, generator=generator).numpy()
    ends = np.cumsum(sizes)
    return [Subset(dataset, order[end - size : end]) for size, end in zip(sizes, ends, strict=True)]
