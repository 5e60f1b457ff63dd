"""Layers, losses and files agree with PyTorch's: values, gradients, names, printed form."""

from __future__ import annotations

import numpy as np
import pytest

import tapegrad as tg
from tapegrad import nn
from tapegrad.nn import functional as F
from tapegrad.nn import load, save

torch = pytest.importorskip(
    "torch", reason="parity tests compare with PyTorch: pip install tapegrad[parity]"
)
TF = torch.nn.functional

STREAM = np.random.default_rng(0)
FAR = np.array([-1e3, -30.0, -1.5, -0.2, 0.0, 0.3, 2.0, 30.0, 1e3])
SCORES = STREAM.standard_normal((6, 4)) * 2
LABELS = np.array([0, 3, 1, 2, 2, 0])
WEIGHT = np.array([0.5, 1.0, 2.0, 0.1])
TRUTH = STREAM.uniform(0, 1, (6, 4))
SIGNS = np.sign(STREAM.standard_normal((6, 4)))


def agree(ours, theirs, *values, rtol=1e-10):
    """Equal outputs, and equal gradients of a weighted sum of them for every floating input."""
    mine = [tg.tensor(v, requires_grad=v.dtype.kind == "f") for v in values]
    yours = [torch.tensor(v, requires_grad=v.dtype.kind == "f") for v in values]
    out, expected = ours(*mine), theirs(*yours)
    assert tuple(out.shape) == tuple(expected.shape)
    np.testing.assert_allclose(
        out.detach().numpy(), expected.detach().numpy(), rtol=rtol, atol=1e-12
    )
    weights = np.random.default_rng(1).standard_normal(out.shape)
    (out * tg.tensor(weights)).sum().backward()
    (expected * torch.tensor(weights)).sum().backward()
    for a, b in zip(mine, yours, strict=True):
        if b.grad is not None:
            np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), rtol=rtol, atol=1e-12)


ACTIVATIONS = {
    "relu": (F.relu, TF.relu),
    "leaky_relu": (lambda x: F.leaky_relu(x, 0.2), lambda x: TF.leaky_relu(x, 0.2)),
    "sigmoid": (F.sigmoid, torch.sigmoid),
    "tanh": (F.tanh, torch.tanh),
    "softmax": (lambda x: F.softmax(x, 0), lambda x: TF.softmax(x, 0)),
    "log_softmax": (lambda x: F.log_softmax(x, 0), lambda x: TF.log_softmax(x, 0)),
    "softplus": (F.softplus, TF.softplus),
    "softplus sharp": (lambda x: F.softplus(x, 3.0, 5.0), lambda x: TF.softplus(x, 3.0, 5.0)),
    "elu": (lambda x: F.elu(x, 0.7), lambda x: TF.elu(x, 0.7)),
    "gelu": (F.gelu, TF.gelu),
    "gelu tanh": (lambda x: F.gelu(x, "tanh"), lambda x: TF.gelu(x, approximate="tanh")),
    "silu": (F.silu, TF.silu),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations(name):
    agree(*ACTIVATIONS[name], FAR)


LOSSES = {
    "mse_loss": [{}],
    "l1_loss": [{}],
    "binary_cross_entropy_with_logits": [{}, {"pos_weight": WEIGHT}, {"weight": WEIGHT}],
}


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize(
    ("name", "settings"), [(name, s) for name, every in LOSSES.items() for s in every]
)
def test_losses_of_targets_of_the_same_shape(name, settings, reduction):
    def call(module, tensor):
        made = {key: tensor(value) for key, value in settings.items()}
        return lambda x: getattr(module, name)(x, tensor(TRUTH), reduction=reduction, **made)

    agree(call(F, tg.tensor), call(TF, torch.tensor), SCORES)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_binary_cross_entropy(reduction):
    p = 1 / (1 + np.exp(-SCORES))
    agree(
        lambda x: F.binary_cross_entropy(x, tg.tensor(TRUTH), tg.tensor(WEIGHT), reduction),
        lambda x: TF.binary_cross_entropy(
            x, torch.tensor(TRUTH), torch.tensor(WEIGHT), reduction=reduction
        ),
        p,
    )


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["plain", "weighted"])
@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("cross_entropy", {}),
        ("cross_entropy", {"label_smoothing": 0.2, "ignore_index": 2}),
        ("nll_loss", {"ignore_index": 2}),
        ("multi_margin_loss", {}),
        ("multi_margin_loss", {"p": 2, "margin": 0.3}),
    ],
)
def test_losses_of_classes(name, settings, weight, reduction):
    def call(module, tensor):
        made = dict(settings, reduction=reduction)
        if weight is not None:
            made["weight"] = tensor(weight)
        return lambda x: getattr(module, name)(x, tensor(LABELS), **made)

    agree(call(F, tg.tensor), call(TF, torch.tensor), SCORES)


LISTED = np.where(np.argsort(STREAM.random((6, 4))) < 3, np.argsort(STREAM.random((6, 4))), -1)
LOSS_LAYERS = {
    "smooth l1": (lambda m: m.SmoothL1Loss(reduction="sum", beta=0.5), TRUTH),
    "huber": (lambda m: m.HuberLoss("sum", 0.5), TRUTH),
    "divergence": (lambda m: m.KLDivLoss(reduction="batchmean", log_target=True), TRUTH),
    "poisson": (lambda m: m.PoissonNLLLoss(full=True, eps=0.1), TRUTH * 5),
    "gaussian": (lambda m: m.GaussianNLLLoss(full=True, eps=0.3), TRUTH, TRUTH * 2),
    "hinge": (lambda m: m.HingeEmbeddingLoss(0.7), SIGNS),
    "ranking": (lambda m: m.MarginRankingLoss(0.3), TRUTH, SIGNS),
    "cosine": (lambda m: m.CosineEmbeddingLoss(0.1), TRUTH, SIGNS[:, 0]),
    "soft margin": (lambda m: m.SoftMarginLoss(reduction="none"), SIGNS),
    "labels": (lambda m: m.MultiLabelMarginLoss(reduction="none"), LISTED),
    "soft labels": (lambda m: m.MultiLabelSoftMarginLoss(reduction="sum"), TRUTH),
    "triplets": (lambda m: m.TripletMarginLoss(0.5, p=3.0, swap=True), TRUTH, TRUTH[::-1]),
    "triplets by a distance": (
        lambda m: m.TripletMarginWithDistanceLoss(
            distance_function=m.PairwiseDistance(1.0), margin=0.5, swap=True
        ),
        TRUTH,
        TRUTH[::-1],
    ),
    "sequences": (
        lambda m: lambda x, *args: m.CTCLoss(1, "sum")(x.log_softmax(1), *args),
        np.array([0, 2, 3]),
        np.array(6),
        np.array(3),
    ),
    "distance": (lambda m: m.PairwiseDistance(3.0, 1e-3, keepdim=True), TRUTH),
    "similarity": (lambda m: m.CosineSimilarity(dim=0, eps=0.1), TRUTH),
}


@pytest.mark.parametrize("name", LOSS_LAYERS)
def test_losses_as_layers(name):
    make, *others = LOSS_LAYERS[name]

    def call(module, tensor):
        given = [tensor(np.ascontiguousarray(value)) for value in others]
        return lambda x: make(module)(x, *given)

    agree(call(nn, tg.tensor), call(torch.nn, torch.tensor), SCORES)


LAYERS = {
    "linear": (lambda m: m.Linear(4, 3), (5, 4)),
    "linear without bias": (lambda m: m.Linear(4, 3, bias=False), (2, 5, 4)),
    "conv": (lambda m: m.Conv2d(4, 6, 3, stride=2, padding=1, groups=2), (2, 4, 7, 8)),
    "conv same": (lambda m: m.Conv2d(2, 3, 3, padding="same", dilation=2), (2, 2, 7, 8)),
    "conv oblong": (lambda m: m.Conv2d(2, 3, (2, 3), (1, 2), (1, 0), bias=False), (2, 2, 6, 7)),
    "conv of lines": (lambda m: m.Conv1d(4, 6, 3, 2, "valid", 2, 2), (2, 4, 9)),
    "conv of volumes": (lambda m: m.Conv3d(2, 3, (1, 2, 3), padding=(0, 1, 2)), (2, 2, 3, 4, 3)),
    "conv reflecting": (
        lambda m: m.Conv2d(2, 3, 3, padding=(1, 2), padding_mode="reflect"),
        (2, 2, 4, 5),
    ),
    "conv replicating": (
        lambda m: m.Conv1d(2, 3, 4, padding="same", padding_mode="replicate"),
        (2, 2, 6),
    ),
    "conv going round": (
        lambda m: m.Conv3d(1, 2, 2, padding=1, padding_mode="circular"),
        (2, 1, 3, 4, 2),
    ),
    "conv valid, reflecting": (
        lambda m: m.Conv2d(1, 1, 2, padding="valid", padding_mode="reflect"),
        (1, 1, 3, 3),
    ),
    "transposed conv": (
        lambda m: m.ConvTranspose2d(4, 6, 3, 2, 1, (1, 0), groups=2, dilation=(2, 1)),
        (2, 4, 3, 4),
    ),
    "transposed conv of lines": (lambda m: m.ConvTranspose1d(2, 3, 4, 3, bias=False), (2, 2, 5)),
    "transposed conv of volumes": (lambda m: m.ConvTranspose3d(2, 1, 2, 2), (1, 2, 2, 3, 2)),
    "unfold": (lambda m: m.Unfold((2, 3), 1, 1, 2), (2, 2, 5, 6)),
    "fold": (lambda m: m.Fold((4, 5), 2, stride=(2, 1)), (2, 8, 8)),
    "max pool of lines": (lambda m: m.MaxPool1d(3, 2, 1), (2, 2, 8)),
    "max pool of volumes": (lambda m: m.MaxPool3d((1, 2, 3), dilation=(1, 2, 1)), (1, 2, 3, 5, 6)),
    "avg pool of lines": (lambda m: m.AvgPool1d(3, 2, 1, True, False), (2, 2, 8)),
    "avg pool of volumes": (lambda m: m.AvgPool3d(2, 1, divisor_override=3), (2, 1, 3, 4, 2)),
    "adaptive means of lines": (lambda m: m.AdaptiveAvgPool1d(3), (2, 2, 7)),
    "adaptive means": (lambda m: m.AdaptiveAvgPool2d((2, None)), (2, 2, 7, 5)),
    "adaptive means of volumes": (lambda m: m.AdaptiveAvgPool3d((3, 1, 2)), (2, 2, 4, 5, 3)),
    "adaptive maxima of lines": (lambda m: m.AdaptiveMaxPool1d(3), (2, 2, 7)),
    "adaptive maxima": (lambda m: m.AdaptiveMaxPool2d((2, None)), (2, 2, 7, 5)),
    "adaptive maxima of volumes": (lambda m: m.AdaptiveMaxPool3d((3, 1, 2)), (2, 2, 4, 5, 3)),
    "norms of lines": (lambda m: m.LPPool1d(2, 3, ceil_mode=True), (2, 2, 8)),
    "norms": (lambda m: m.LPPool2d(2, (2, 3), 1), (2, 2, 4, 5)),
    "norms of volumes": (lambda m: m.LPPool3d(4, 2), (1, 1, 4, 5, 2)),
    "max pool": (lambda m: m.MaxPool2d(3, 2, 1), (2, 2, 7, 8)),
    "max pool ceil": (lambda m: m.MaxPool2d(2, ceil_mode=True), (1, 2, 5, 7)),
    "avg pool": (lambda m: m.AvgPool2d(3, 2, 1, count_include_pad=False), (2, 2, 7, 8)),
    "mirrored": (lambda m: m.ReflectionPad2d((1, 2, 0, 1)), (2, 1, 3, 4)),
    "repeated": (lambda m: m.ReplicationPad1d(3), (2, 3, 4)),
    "circular": (lambda m: m.CircularPad3d(1), (1, 2, 2, 3)),
    "framed": (lambda m: m.ConstantPad2d((1, -1, 2, 0), 3.5), (2, 3, 4)),
    "framed by 0": (lambda m: m.ZeroPad1d((1, 2)), (2, 3)),
    "upsampled": (lambda m: m.Upsample(scale_factor=2.3, mode="bicubic"), (1, 2, 4, 5)),
    "upsampled nearest": (lambda m: m.UpsamplingNearest2d(scale_factor=(2, 1.5)), (1, 2, 4, 5)),
    "upsampled bilinear": (lambda m: m.UpsamplingBilinear2d((3, 9)), (1, 2, 4, 5)),
    "shuffled": (lambda m: m.PixelShuffle(2), (1, 8, 2, 3)),
    "unshuffled": (lambda m: m.PixelUnshuffle(2), (1, 2, 4, 6)),
    "channels shuffled": (lambda m: m.ChannelShuffle(2), (1, 6, 2, 3)),
    "flatten": (lambda m: m.Flatten(), (2, 3, 4)),
    "prelu": (lambda m: m.PReLU(), (5, 4)),
    "prelu of channels": (lambda m: m.PReLU(4, init=0.1), (5, 4, 3)),
    "batch norm": (lambda m: m.BatchNorm1d(4), (5, 4)),
    "batch norm evaluated": (lambda m: m.BatchNorm2d(3, 1e-2).eval(), (2, 3, 4, 5)),
    "batch norm of images": (lambda m: m.BatchNorm2d(3, momentum=None), (2, 3, 4, 5)),
    "batch norm without bias": (lambda m: m.BatchNorm3d(3, bias=False), (2, 3, 2, 3, 2)),
    "batch norm, plain": (lambda m: m.BatchNorm1d(3, 1e-2, 0.5, False, False), (2, 3, 4)),
    "layer norm": (lambda m: m.LayerNorm((3, 4)), (5, 3, 4)),
    "layer norm without bias": (lambda m: m.LayerNorm(4, bias=False), (5, 4)),
    "rms norm": (lambda m: m.RMSNorm(4), (5, 3, 4)),
    "group norm": (lambda m: m.GroupNorm(2, 6), (2, 6, 3, 4)),
    "instance norm": (lambda m: m.InstanceNorm1d(3), (2, 3, 5)),
    "instance norm tracked": (
        lambda m: m.InstanceNorm2d(3, affine=True, track_running_stats=True), (2, 3, 4, 5)
    ),
    "instance norm evaluated": (
        lambda m: m.InstanceNorm2d(3, track_running_stats=True).eval(), (2, 3, 4, 5)
    ),
    "instance norm of one": (lambda m: m.InstanceNorm3d(3), (3, 2, 4, 5)),
    "local response norm": (lambda m: m.LocalResponseNorm(3, 0.5), (2, 5, 3, 4)),
    "softmax of channels": (lambda m: m.Softmax2d(), (2, 3, 4, 5)),
    "network": (
        lambda m: m.Sequential(
            m.Conv2d(1, 4, 3, padding=1), m.ReLU(), m.MaxPool2d(2), m.Flatten(),
            m.Linear(64, 8), m.Tanh(), m.Linear(8, 3), m.LogSoftmax(dim=1),
        ),
        (3, 1, 8, 8),
    ),
}  # fmt: skip


def layers(name):
    """The same layer twice, with the same weights."""
    make, shape = LAYERS[name]
    mine, yours = make(nn).double(), make(torch.nn).double()
    mine.load_state_dict({key: value.numpy() for key, value in yours.state_dict().items()})
    return mine, yours, np.random.default_rng(2).standard_normal(shape)


@pytest.mark.parametrize("name", LAYERS)
def test_layers_with_the_same_weights(name):
    mine, yours, x = layers(name)
    agree(mine, yours, x)
    for a, b in zip(mine.parameters(), yours.parameters(), strict=True):
        np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", [name for name in LAYERS if "norm" in name])
def test_running_statistics_after_three_batches(name):
    mine, yours, x = layers(name)
    for step in range(3):
        mine(tg.tensor(x + step))
        yours(torch.tensor(x + step))
    theirs = yours.state_dict()
    for key, value in mine.state_dict().items():
        np.testing.assert_allclose(value.numpy(), theirs[key].numpy(), rtol=1e-10)


def test_bilinear_with_the_same_weights():
    yours = torch.nn.Bilinear(2, 3, 4).double()
    mine = nn.Bilinear(2, 3, 4).double()
    mine.load_state_dict({key: value.numpy() for key, value in yours.state_dict().items()})
    agree(mine, yours, STREAM.standard_normal((5, 2)), STREAM.standard_normal((5, 3)))


HEADS = {
    "plain": ({}, {}),
    "masked": ({"bias": False}, {"attn_mask": np.triu(np.ones((3, 5), bool), 2)}),
    "padded": ({"add_zero_attn": True}, {"key_padding_mask": np.arange(5) > np.array([[1], [4]])}),
    "wider": ({"kdim": 3, "vdim": 2, "add_bias_kv": True}, {"average_attn_weights": False}),
    "no weights": ({"batch_first": True}, {"need_weights": False}),
}


@pytest.mark.parametrize("name", HEADS)
def test_multihead_attention_with_the_same_weights(name):
    settings, call = HEADS[name]
    yours = torch.nn.MultiheadAttention(4, 2, dtype=torch.float64, **settings)
    mine = nn.MultiheadAttention(4, 2, dtype=tg.float64, **settings)
    mine.load_state_dict({key: value.numpy() for key, value in yours.state_dict().items()})
    q, k, v = (
        STREAM.standard_normal((n, 2, w)) for n, w in ((3, 4), (5, mine.kdim), (5, mine.vdim))
    )
    if mine.batch_first:
        q, k, v = (x.swapaxes(0, 1) for x in (q, k, v))

    def made(tensor):
        return {key: tensor(v) if isinstance(v, np.ndarray) else v for key, v in call.items()}

    agree(
        lambda *x: mine(*x, **made(tg.tensor))[0], lambda *x: yours(*x, **made(torch.tensor))[0],
        q, k, v,
    )  # fmt: skip
    _, ours = mine(*map(tg.tensor, (q, k, v)), **made(tg.tensor))
    _, theirs = yours(*map(torch.tensor, (q, k, v)), **made(torch.tensor))
    assert (ours is None) == (theirs is None)
    if theirs is not None:
        np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), rtol=1e-10)


EMBEDDINGS = [{}, {"padding_idx": -2}, {"scale_grad_by_freq": True}, {"max_norm": 1.0}]


@pytest.mark.parametrize("settings", EMBEDDINGS, ids=str)
def test_embedding_with_the_same_table(settings):
    yours = torch.nn.Embedding(6, 3, dtype=torch.float64, **settings)
    mine = nn.Embedding(6, 3, dtype=tg.float64, **settings)
    mine.load_state_dict({key: value.numpy() for key, value in yours.state_dict().items()})
    agree_on = np.array([[1, 4, 1], [0, 4, 4]])
    (mine(tg.tensor(agree_on)) ** 2).sum().backward()
    (yours(torch.tensor(agree_on)) ** 2).sum().backward()
    for ours, theirs in ((mine.weight, yours.weight), (mine.weight.grad, yours.weight.grad)):
        np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), rtol=1e-10)


BAGS = [
    {}, {"mode": "sum"}, {"mode": "max"}, {"padding_idx": -2}, {"mode": "max", "padding_idx": 4},
    {"max_norm": 1.0, "mode": "sum"}, {"max_norm": 0.5, "norm_type": 1.0},
    {"include_last_offset": True}, {"include_last_offset": True, "mode": "sum", "padding_idx": 4},
]  # fmt: skip


@pytest.mark.parametrize("settings", BAGS, ids=str)
def test_bags_of_embeddings_with_the_same_table(settings):
    yours = torch.nn.EmbeddingBag(6, 3, dtype=torch.float64, **settings)
    mine = nn.EmbeddingBag(6, 3, dtype=tg.float64, **settings)
    assert list(mine.state_dict()) == list(yours.state_dict()) == ["weight"]
    mine.load_state_dict({key: value.numpy() for key, value in yours.state_dict().items()})
    lines, flat = np.array([[1, 4, 1], [0, 4, 4]]), np.array([1, 4, 1, 0, 4, 4, 5])
    offsets = np.array([0, 2, 2, 7])
    weights = np.linspace(-1, 1, flat.size) if settings.get("mode") == "sum" else None
    for given in ((lines,), (flat, offsets), (flat, offsets, weights)):
        ours, theirs = (
            layer(*(x if x is None else tensor(x) for x in given))
            for layer, tensor in ((mine, tg.tensor), (yours, torch.tensor))
        )
        (ours**2).sum().backward()
        (theirs**2).sum().backward()
        for a, b in ((ours, theirs), (mine.weight, yours.weight)):
            np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-10)
        np.testing.assert_allclose(
            mine.weight.grad.numpy(), yours.weight.grad.numpy(), rtol=1e-10, atol=1e-12
        )


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
@pytest.mark.parametrize("ends", [[0, 1, 3], [0, 2, 2], [0, 4], [0, 0, 0]], ids=str)
def test_the_last_offset_ends_the_last_bag(mode, ends):
    positions, table = np.array([0, 1, 2, 1, 3]), STREAM.standard_normal((4, 2))
    weights = STREAM.standard_normal(5)

    def bags(f, tensor, length):  # PyTorch's gradient is undefined for what is in no bag
        def of(table, weights):
            weights = weights[:length] if mode == "sum" else None
            return f.embedding_bag(
                tensor(positions[:length]), table, tensor(ends), mode=mode,
                per_sample_weights=weights, include_last_offset=True,
            )  # fmt: skip

        return of

    agree(bags(F, tg.tensor, 5), bags(TF, torch.tensor, ends[-1]), table, weights)


def test_an_unfrozen_layer_of_bags_around_a_table():
    table = STREAM.standard_normal((4, 2))
    for freeze in (True, False):
        mine = nn.EmbeddingBag.from_pretrained(tg.tensor(table), freeze, mode="sum", padding_idx=1)
        yours = torch.nn.EmbeddingBag.from_pretrained(
            torch.tensor(table), freeze, mode="sum", padding_idx=1
        )
        assert mine.weight.requires_grad == yours.weight.requires_grad
        assert repr(mine) == repr(yours)
        ours, theirs = mine(tg.tensor([[0, 1, 3]])), yours(torch.tensor([[0, 1, 3]]))
        np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy())


@pytest.mark.parametrize("name", LAYERS)
def test_state_dicts_have_the_same_keys_and_shapes(name):
    mine, yours, _ = layers(name)
    assert {key: tuple(value.shape) for key, value in mine.state_dict().items()} == {
        key: tuple(value.shape) for key, value in yours.state_dict().items()
    }


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_unpooling_puts_winners_back(dims):
    x = np.random.default_rng(0).standard_normal((2, 1, *(5, 4, 6)[:dims]))

    def back(m, x):
        pool = getattr(m, f"MaxPool{dims}d")(2, return_indices=True)
        return getattr(m, f"MaxUnpool{dims}d")(2)(*pool(x), output_size=x.shape)

    agree(lambda x: back(nn, x), lambda x: back(torch.nn, x), x)


@pytest.mark.parametrize("size", [(2, 1, 9, 7), (8, 7), [9, 8]])
def test_a_transposed_convolution_takes_the_size_it_shall_have(size):
    mine, yours = (
        nn.ConvTranspose2d(1, 1, 3, 2, 1).double(),
        torch.nn.ConvTranspose2d(1, 1, 3, 2, 1),
    )
    yours = yours.double()
    mine.load_state_dict({key: value.numpy() for key, value in yours.state_dict().items()})
    x = np.random.default_rng(0).standard_normal((2, 1, 4, 4))
    if 9 in size:
        for layer, tensor in ((mine, tg.tensor), (yours, torch.tensor)):
            with pytest.raises(ValueError, match=r"output_size|output size"):
                layer(tensor(x), output_size=size)
        return
    agree(lambda x: mine(x, output_size=size), lambda x: yours(x, output_size=size), x)


PRINTED = [
    lambda m: m.Sequential(m.Linear(4, 3, bias=False), m.ReLU(), m.Sequential(m.Tanh())),
    lambda m: m.Conv2d(4, 8, 3, 2, "valid", 2, 2, False),
    lambda m: m.Conv2d(1, 1, (1, 2), padding=(1, 0)),
    lambda m: m.Conv1d(1, 1, 2, padding="same", padding_mode="circular"),
    lambda m: m.Conv3d(2, 2, 2, 1, 1, (1, 2, 1)),
    lambda m: m.ConvTranspose1d(2, 4, 3, 2, 1, 1, 2, False, 2),
    lambda m: m.ConvTranspose2d(2, 4, 3),
    lambda m: m.ConvTranspose3d(2, 4, 3, padding=1),
    lambda m: m.Unfold(2, padding=1),
    lambda m: m.Fold((4, 5), 2, stride=2),
    lambda m: m.MaxPool1d(2, 1),
    lambda m: m.MaxPool3d(2, ceil_mode=True),
    lambda m: m.AvgPool1d(2, padding=1),
    lambda m: m.AvgPool3d((1, 2, 2), 1),
    lambda m: m.LPPool1d(2, 3),
    lambda m: m.LPPool2d(1.5, 3, stride=(2, 1)),
    lambda m: m.LPPool3d(2, 2, ceil_mode=True),
    lambda m: m.MaxUnpool1d(2),
    lambda m: m.MaxUnpool2d((2, 3), 1, 0),
    lambda m: m.MaxUnpool3d(2, padding=1),
    lambda m: m.AdaptiveAvgPool1d(2),
    lambda m: m.AdaptiveAvgPool2d((None, 2)),
    lambda m: m.AdaptiveAvgPool3d(1),
    lambda m: m.AdaptiveMaxPool1d(2),
    lambda m: m.AdaptiveMaxPool2d((2, 3)),
    lambda m: m.AdaptiveMaxPool3d(1),
    lambda m: m.MaxPool2d(3, 1),
    lambda m: m.AvgPool2d((2, 3)),
    lambda m: m.Flatten(),
    lambda m: m.Unflatten(1, (2, 3)),
    lambda m: m.LeakyReLU(0.2),
    lambda m: m.ELU(),
    lambda m: m.GELU(),
    lambda m: m.SiLU(),
    lambda m: m.Softplus(),
    lambda m: m.ELU(2.0, inplace=True),
    lambda m: m.CELU(),
    lambda m: m.SELU(),
    lambda m: m.SELU(inplace=True),
    lambda m: m.ReLU(inplace=True),
    lambda m: m.ReLU6(),
    lambda m: m.GLU(),
    lambda m: m.Hardshrink(),
    lambda m: m.Hardsigmoid(inplace=True),
    lambda m: m.Hardswish(),
    lambda m: m.Hardtanh(-2, 2, inplace=True),
    lambda m: m.LogSigmoid(),
    lambda m: m.Mish(inplace=True),
    lambda m: m.PReLU(3),
    lambda m: m.RReLU(),
    lambda m: m.Softmin(dim=1),
    lambda m: m.Softshrink(),
    lambda m: m.Softsign(),
    lambda m: m.Tanhshrink(),
    lambda m: m.Threshold(1, 2, inplace=True),
    lambda m: m.Softmax2d(),
    lambda m: m.BatchNorm1d(3),
    lambda m: m.BatchNorm2d(3, 1e-3, None, False, False),
    lambda m: m.LayerNorm(3),
    lambda m: m.LayerNorm((2, 3), 1e-3, False),
    lambda m: m.GroupNorm(1, 2, bias=False),
    lambda m: m.InstanceNorm1d(3),
    lambda m: m.InstanceNorm3d(3, affine=True),
    lambda m: m.RMSNorm(3),
    lambda m: m.RMSNorm((2, 3), 1e-3, False),
    lambda m: m.LocalResponseNorm(2),
    lambda m: m.Dropout(),
    lambda m: m.Dropout2d(0.1, True),
    lambda m: m.AlphaDropout(),
    lambda m: m.FeatureAlphaDropout(),
    lambda m: m.Embedding(3, 4),
    lambda m: m.Embedding(3, 4, 1, 2.0, 3.0, True),
    lambda m: m.EmbeddingBag(3, 4),
    lambda m: m.EmbeddingBag(3, 4, 2.0, 3.0, True, "sum", True, None, True, -1),
    lambda m: m.Bilinear(1, 2, 3),
    lambda m: m.Softmax(dim=1),
    lambda m: m.LogSoftmax(dim=-1),
    lambda m: m.Identity(),
    lambda m: m.CrossEntropyLoss(),
    lambda m: m.ConstantPad2d((1, 2, 3, 4), 1.5),
    lambda m: m.ReflectionPad3d(1),
    lambda m: m.ZeroPad1d((0, 2)),
    lambda m: m.Upsample(scale_factor=(2, 3.5)),
    lambda m: m.UpsamplingBilinear2d(size=3),
    lambda m: m.PixelShuffle(2),
    lambda m: m.ChannelShuffle(3),
    lambda m: m.TripletMarginWithDistanceLoss(),
    lambda m: m.HuberLoss(),
    lambda m: m.ModuleDict({"a": m.Sigmoid()}),
]


@pytest.mark.parametrize("make", PRINTED, ids=lambda make: repr(make(nn)).split("(")[0])
def test_modules_print_alike(make):
    assert repr(make(nn)) == repr(make(torch.nn))


def test_first_weights_have_pytorchs_distribution():
    tg.manual_seed(0)
    torch.manual_seed(0)
    for make in (
        lambda m: m.Linear(300, 200),
        lambda m: m.Conv2d(16, 64, 5),
        lambda m: m.ConvTranspose2d(16, 300, 3),
    ):
        mine, yours = make(nn), make(torch.nn)
        for a, b in zip(mine.parameters(), yours.parameters(), strict=True):
            ours, theirs = a.detach().numpy(), b.detach().numpy()
            assert np.abs(ours).max() == pytest.approx(np.abs(theirs).max(), rel=0.05)
            assert ours.std() == pytest.approx(theirs.std(), rel=0.15)


@pytest.mark.parametrize("name", ["xavier_uniform_", "kaiming_normal_", "trunc_normal_"])
def test_initial_values_have_pytorchs_deviation(name):
    mine, yours = tg.empty(300, 200), torch.empty(300, 200)
    getattr(nn.init, name)(mine, generator=tg.Generator().manual_seed(0))
    getattr(torch.nn.init, name)(yours, generator=torch.Generator().manual_seed(0))
    assert mine.numpy().std() == pytest.approx(yours.numpy().std(), rel=0.02)


@pytest.mark.parametrize("norm_type", [1.0, 2.0, 3.0, float("inf")])
def test_clipping_gradients(norm_type):
    mine, yours, x = layers("network")
    mine(tg.tensor(x)).sum().backward()
    yours(torch.tensor(x)).sum().backward()
    ours = nn.utils.clip_grad_norm_(mine.parameters(), 0.1, norm_type)
    theirs = torch.nn.utils.clip_grad_norm_(yours.parameters(), 0.1, norm_type)
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-10)
    for a, b in zip(mine.parameters(), yours.parameters(), strict=True):
        np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), rtol=1e-9, atol=1e-14)


DTYPES = ["float16", "bfloat16", "float32", "float64", "int8", "int64", "uint8", "bool"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_files_are_read_by_pytorch_and_pytorchs_by_us(dtype, tmp_path):
    from safetensors.torch import load_file, save_file

    values = [[0, 1, 2], [3, 0, 1]]
    save({"x": tg.tensor(values).to(getattr(tg, dtype))}, tmp_path / "ours.safetensors")
    found = load_file(tmp_path / "ours.safetensors")["x"]
    expected = torch.tensor(values).to(getattr(torch, dtype))
    assert found.dtype == expected.dtype
    assert torch.equal(found, expected)

    save_file({"x": expected}, tmp_path / "theirs.safetensors")
    back = load(tmp_path / "theirs.safetensors")["x"]
    assert str(back.dtype) == dtype
    assert back.tolist() == expected.tolist()
