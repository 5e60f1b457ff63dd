"""Datasets, batches and shifts."""

from __future__ import annotations

import numpy as np
import pytest

import tapegrad as tg
from tapegrad.data import (
    DataLoader,
    Dataset,
    Subset,
    TensorDataset,
    default_collate,
    random_shift,
    random_split,
)


class Squares(Dataset):
    def __init__(self, count):
        self.count = count

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        return tg.tensor(float(index)), index**2


def pairs(count=10):
    return TensorDataset(tg.arange(count), tg.arange(count) * 10)


def generator(seed=0):
    return tg.Generator().manual_seed(seed)


def firsts(loader):
    return [batch[0].tolist() for batch in loader]


def test_a_tensor_dataset_has_the_rows_of_its_tensors():
    x, y = pairs()[3]
    assert (x.item(), y.item(), len(pairs())) == (3, 30, 10)
    assert [example[1].item() for example in (pairs()[-1], pairs()[0])] == [90, 0]


@pytest.mark.parametrize(
    "tensors", [(), (tg.tensor(1),), (tg.ones(2), tg.ones(3))], ids=["none", "scalar", "unequal"]
)
def test_tensors_of_different_lengths_are_refused(tensors):
    with pytest.raises(ValueError, match="the first sizes must agree"):
        TensorDataset(*tensors)


def test_an_unfinished_dataset_says_what_is_missing():
    with pytest.raises(NotImplementedError, match="Dataset does not define __getitem__"):
        _ = Dataset()[0]
    with pytest.raises(NotImplementedError, match="Dataset does not define __len__"):
        len(Dataset())


def test_batches_come_in_order_and_the_last_may_be_short():
    loader = DataLoader(pairs(), batch_size=4)
    assert firsts(loader) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert len(loader) == 3


def test_drop_last_leaves_out_what_is_not_full():
    loader = DataLoader(pairs(), batch_size=4, drop_last=True)
    assert firsts(loader) == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert len(loader) == 2


def test_shuffling_permutes_pairs_together_and_anew_each_pass():
    loader = DataLoader(pairs(50), batch_size=7, shuffle=True, generator=generator())
    passes = []
    for _ in range(2):
        x, y = (np.concatenate(c) for c in zip(*((a.data, b.data) for a, b in loader), strict=True))
        assert sorted(x) == list(range(50))
        assert (y == x * 10).all()
        passes.append(list(x))
    assert passes[0] != passes[1]
    assert passes[0] != sorted(passes[0])


def test_the_same_seed_gives_the_same_order():
    loaders = [DataLoader(pairs(), 3, True, generator=generator(5)) for _ in range(2)]
    assert firsts(loaders[0]) == firsts(loaders[1])
    tg.manual_seed(1)
    first = firsts(DataLoader(pairs(), 3, True))
    tg.manual_seed(1)
    assert firsts(DataLoader(pairs(), 3, True)) == first


def test_any_dataset_is_collated():
    x, y = next(iter(DataLoader(Squares(5), batch_size=3)))
    assert x.dtype == tg.float32
    assert (x.tolist(), y.tolist()) == ([0.0, 1.0, 2.0], [0, 1, 4])


def test_a_list_is_a_dataset():
    assert [b.tolist() for b in DataLoader([1.5, 2.5, 3.5], batch_size=2)] == [[1.5, 2.5], [3.5]]


def test_a_collate_function_takes_the_examples():
    loader = DataLoader(pairs(4), batch_size=2, collate_fn=len)
    assert list(loader) == [2, 2]


def test_collating_by_kind():
    batch = default_collate(
        [
            {"x": np.ones(2), "y": (1, True), "name": "a"},
            {"x": np.zeros(2), "y": (2, False), "name": "b"},
        ]
    )
    assert batch["x"].tolist() == [[1.0, 1.0], [0.0, 0.0]]
    assert [column.tolist() for column in batch["y"]] == [[1, 2], [True, False]]
    assert batch["name"] == ["a", "b"]


@pytest.mark.parametrize("size", [0, -1, 1.5, True])
def test_the_batch_size_is_a_positive_integer(size):
    with pytest.raises(ValueError, match="batch_size must be a positive integer"):
        DataLoader(pairs(), batch_size=size)


def test_a_subset_of_a_subset():
    inner = Subset(pairs(), [1, 3, 5, 7])
    outer = Subset(inner, [3, 0])
    assert [outer[i][0].item() for i in range(2)] == [7, 1]
    assert firsts(DataLoader(outer, batch_size=2)) == [[7, 1]]
    assert outer[-1][1].item() == 10


def test_a_subset_of_any_dataset():
    assert [b[1].tolist() for b in DataLoader(Subset(Squares(9), [8, 2]), 2)] == [[64, 4]]


def test_random_split_parts_do_not_overlap():
    parts = random_split(pairs(), [7, 3], generator())
    positions = [set(part.indices.tolist()) for part in parts]
    assert [len(part) for part in parts] == [7, 3]
    assert positions[0] | positions[1] == set(range(10))


def test_random_split_by_shares_gives_the_rest_to_the_first():
    assert [len(part) for part in random_split(pairs(11), [0.5, 0.25, 0.25])] == [6, 3, 2]


@pytest.mark.parametrize("lengths", [[5, 4], [0.5, 0.4], [1.5, -0.5], [12, -2]])
def test_lengths_that_do_not_add_up_are_refused(lengths):
    with pytest.raises(ValueError, match="do not add up"):
        random_split(pairs(), lengths)


def test_random_shift_moves_each_image_and_fills_with_zeros():
    image = np.zeros((200, 2, 5, 5), np.float32)
    image[:, :, 2, 2] = 1.0
    image[:, 1] *= 2
    shifted = random_shift(tg.tensor(image), 2, generator=generator()).numpy()
    assert shifted.shape == image.shape
    assert (shifted.sum((2, 3)) == [1.0, 2.0]).all()
    where = {tuple(np.argwhere(one[0])[0]) for one in shifted}
    assert where == {(row, column) for row in range(5) for column in range(5)}
    assert (shifted[:, 1] == 2 * shifted[:, 0]).all()


def test_random_shift_brings_in_zeros_at_the_edge():
    shifted = random_shift(tg.ones(100, 1, 3, 3), 1, generator=generator()).numpy()
    assert set(shifted.sum((1, 2, 3))) == {9.0, 6.0, 4.0}


def test_random_shift_leaves_a_share_where_it_is():
    images = tg.arange(9.0).reshape(1, 1, 3, 3).expand(1000, 1, 3, 3)
    assert random_shift(images, 1, p=0.0).tolist() == images.tolist()
    moved = (random_shift(images, 1, p=0.5, generator=generator()) != images).numpy()
    assert moved.any((1, 2, 3)).mean() == pytest.approx(0.5 * 8 / 9, abs=0.05)


def test_random_shift_wants_images():
    with pytest.raises(ValueError, match=r"\(N, C, H, W\)"):
        random_shift(tg.ones(3, 3), 1)
    with pytest.raises(ValueError, match="pixels >= 0"):
        random_shift(tg.ones(1, 1, 3, 3), -1)
