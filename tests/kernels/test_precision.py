"""The precision of products of float32 matrices, which a GPU follows and a CPU does not."""

import numpy as np
import pytest

import tapegrad as tg
from tapegrad.kernels import precision


@pytest.fixture(autouse=True)
def restored():
    yield
    tg.set_float32_matmul_precision("highest")


def test_float32_is_multiplied_in_float32_unless_asked():
    assert tg.get_float32_matmul_precision() == "highest"
    assert not precision.tensor_float32()


@pytest.mark.parametrize("word", ["high", "medium"])
def test_both_other_words_allow_tf32(word):
    tg.set_float32_matmul_precision(word)
    assert tg.get_float32_matmul_precision() == word
    assert precision.tensor_float32()
    tg.set_float32_matmul_precision("highest")
    assert not precision.tensor_float32()


@pytest.mark.parametrize("word", ["low", "HIGH", ""])
def test_another_word_warns_and_changes_nothing(word):
    tg.set_float32_matmul_precision("high")
    with pytest.warns(UserWarning, match=f"{word} is not one of 'highest', 'high'"):
        tg.set_float32_matmul_precision(word)
    assert tg.get_float32_matmul_precision() == "high"


@pytest.mark.parametrize("value", [3, None, True])
def test_what_is_no_word_is_refused(value):
    with pytest.raises(RuntimeError, match=f"expects a str, but got {type(value).__name__}"):
        tg.set_float32_matmul_precision(value)


def test_a_cpu_multiplies_as_before():
    x = tg.tensor(np.random.default_rng(0).standard_normal((37, 53)).astype(np.float32))
    before = (x @ x.T).numpy()
    tg.set_float32_matmul_precision("medium")
    np.testing.assert_array_equal((x @ x.T).numpy(), before)
