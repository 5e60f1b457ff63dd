"""Batches of a dataset, in order or shuffled."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from tapegrad.autograd import Generator, Tensor, as_tensor
from tapegrad.autograd import operations as ops

from .dataset import Subset, TensorDataset


class DataLoader:
    """Iterates over a dataset in batches; each `for` goes through it once.

    Batches of a `TensorDataset`, or of a `Subset` of one, are cut out in one go; of any other
    dataset the examples are fetched one by one and collated.

    Args:
        dataset: what has a length and examples by position.
        batch_size: examples in a batch. Default: 1.
        shuffle: whether each pass has a new order. Default: False.
        drop_last: whether a last batch that is not full is left out. Default: False.
        generator: the source of the orders. Default: the common one.
        collate_fn: makes a batch of a list of examples. Default: `default_collate`.

    Raises:
        ValueError: if the batch size is not a positive integer.

    >>> import tapegrad as tg
    >>> from tapegrad.data import DataLoader, TensorDataset
    >>> loader = DataLoader(TensorDataset(tg.arange(5), tg.arange(5) * 10), batch_size=2)
    >>> [(x.tolist(), y.tolist()) for x, y in loader]
    [([0, 1], [0, 10]), ([2, 3], [20, 30]), ([4], [40])]
    >>> len(loader)
    3
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int = 1,
        shuffle: bool = False,
        *,
        drop_last: bool = False,
        generator: Generator | None = None,
        collate_fn: Callable[[list[Any]], Any] | None = None,
    ) -> None:
        if not isinstance(batch_size, int) or isinstance(batch_size, bool) or batch_size < 1:
            raise ValueError(f"DataLoader: batch_size must be a positive integer, not {batch_size}")
        self.dataset = dataset
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.drop_last = drop_last
        self.generator = generator
        self.collate_fn = collate_fn

    def __len__(self) -> int:
        """How many batches a pass has."""
        full, rest = divmod(len(self.dataset), self.batch_size)
        return full + (rest > 0 and not self.drop_last)

    def __iter__(self) -> Iterator[Any]:
        count = len(self.dataset)
        order = (
            ops.randperm(count, generator=self.generator).numpy()
            if self.shuffle
            else np.arange(count)
        )
        for number in range(len(self)):
            yield self._batch(order[number * self.batch_size : (number + 1) * self.batch_size])

    def _batch(self, indices: np.ndarray) -> Any:
        if self.collate_fn is None and _cuts_out_batches(self.dataset):
            return list(self.dataset[indices])
        examples = [self.dataset[int(index)] for index in indices]
        return (self.collate_fn or default_collate)(examples)


def _cuts_out_batches(dataset: Any) -> bool:
    while type(dataset) is Subset:
        dataset = dataset.dataset
    return type(dataset) is TensorDataset


def default_collate(examples: list[Any]) -> Any:
    """Stack examples into a batch: tensors, arrays and numbers along a new first dimension.

    Tuples and lists become a list of batches, dictionaries a dictionary of them; what cannot be a
    tensor, such as strings, stays a list.

    >>> from tapegrad.data import default_collate
    >>> default_collate([(1, "one"), (2, "two")])
    [tensor([1, 2]), ['one', 'two']]
    """
    first = examples[0]
    if isinstance(first, Tensor):
        return ops.stack(examples)
    if isinstance(first, np.ndarray | np.generic):
        return as_tensor(np.stack(examples))
    if isinstance(first, bool | int | float):
        return as_tensor(examples)
    if isinstance(first, tuple | list):
        return [default_collate(list(column)) for column in zip(*examples, strict=True)]
    if isinstance(first, Mapping):
        return {key: default_collate([example[key] for example in examples]) for key in first}
    return examples
