"""The precision of products of float32 matrices has PyTorch's words, with what they do there."""

import pytest

import tapegrad as tg

torch = pytest.importorskip("torch", reason="parity tests compare with PyTorch: tapegrad[parity]")


@pytest.fixture(params=[tg, torch], ids=["tapegrad", "PyTorch"])
def library(request):
    yield request.param
    request.param.set_float32_matmul_precision("highest")


def test_float32_is_multiplied_in_float32_unless_asked(library):
    assert library.get_float32_matmul_precision() == "highest"


@pytest.mark.parametrize("word", ["low", "HIGH", ""])
def test_another_word_warns_and_changes_nothing(library, word):
    library.set_float32_matmul_precision("high")
    with pytest.warns(UserWarning, match=f"{word} is not one of 'highest', 'high'"):
        library.set_float32_matmul_precision(word)
    assert library.get_float32_matmul_precision() == "high"


@pytest.mark.parametrize("value", [3, None, True])
def test_what_is_no_word_is_refused(library, value):
    with pytest.raises(RuntimeError, match=f"expects a str, but got {type(value).__name__}"):
        library.set_float32_matmul_precision(value)
