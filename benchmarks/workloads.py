"""The work that is timed, written once and run by every library.

tapegrad has PyTorch's names, so a workload is a function of the library: the same lines build the
same computation on either side, from the same numbers. Where PyTorch has one form for what can also
be composed (layer norm, GELU, attention), the library says how it is computed, so that PyTorch
always runs its own best eager form. MyGrad has no modules; its MLP stands at the end.
"""

import contextlib
import functools
import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

Library = Any
Results = dict[str, np.ndarray]

GATES = 500  # in a scalar chain
POINTS = 4_000_000  # in each array of the pointwise chain


class Work(NamedTuple):
    """One iteration, and what it left behind: its loss and its gradients, by name."""

    run: Callable[[], None]
    results: Callable[[], Results]


# The libraries. Each is imported only when asked for: a memory measurement holds one of them alone.


def tapegrad(device: str = "cpu") -> Library:
    import tapegrad as tg
    from tapegrad import nn, optim

    F = nn.functional
    ten_fused = tg.fused(lambda x, w: ten_gates(tg, x, w))
    later = tg.tensor(np.triu(np.ones((128, 128), dtype=bool), 1))

    def composed_layer_norm(x, shape, weight, bias, eps=1e-5):
        centred = x - x.mean(-1, keepdim=True)
        variance = (centred * centred).mean(-1, keepdim=True)
        return centred / (variance + eps).sqrt() * weight + bias

    def composed_gelu(x):
        return x * 0.5 * (1.0 + tg.erf(x * math.sqrt(0.5)))

    def composed_attention(q, k, v):
        scores = q @ k.transpose(-2, -1) * (1.0 / math.sqrt(q.shape[-1]))
        return scores.masked_fill(later, -math.inf).softmax(-1) @ v

    def causal_attention(q, k, v):
        return F.scaled_dot_product_attention(q, k, v, is_causal=True)

    return SimpleNamespace(
        tensor=functools.partial(tg.tensor, device=device),
        placed=lambda module: module.to(device),
        array=lambda x: x.detach().cpu().numpy(),
        forward=contextlib.nullcontext,
        clear_gradients=clear_gradients,
        tanh=tg.tanh,
        ten_gates=ten_fused,
        nn=nn,
        optim=optim,
        linear=F.linear,
        layer_norm=getattr(F, "layer_norm", composed_layer_norm),
        gelu=getattr(F, "gelu", composed_gelu),
        causal_attention=causal_attention
        if hasattr(F, "scaled_dot_product_attention")
        else composed_attention,
    )


def pytorch(device: str = "cpu") -> Library:
    import torch
    from torch import nn, optim

    F = nn.functional
    return SimpleNamespace(
        tensor=functools.partial(torch.tensor, device=device),
        placed=lambda module: module.to(device),
        array=lambda x: x.detach().cpu().numpy(),
        forward=contextlib.nullcontext,
        clear_gradients=clear_gradients,
        tanh=torch.tanh,
        ten_gates=lambda x, w: ten_gates(torch, x, w),
        nn=nn,
        optim=optim,
        linear=F.linear,
        layer_norm=F.layer_norm,
        gelu=F.gelu,
        causal_attention=lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True),
    )


def mygrad() -> Library:
    import mygrad as mg

    return SimpleNamespace(
        tensor=lambda value, requires_grad: mg.tensor(
            value, dtype=np.float32, constant=not requires_grad
        ),
        array=np.asarray,
        clear_gradients=lambda tensors: None,  # a tensor's next use clears its gradient
        tanh=mg.tanh,
    )


def ten_gates(library: Any, x: Any, w: Any) -> Any:
    """A chain of ten pointwise gates."""
    h = library.tanh(x * w + x) * w
    h = library.sigmoid(h) - x * 0.5
    return library.exp(-h * h)


def clear_gradients(tensors: Any) -> None:
    for tensor in tensors:
        tensor.grad = None


# The two shapes of work: the gradients of a function, and a training step of a model.


def gradients_of(lib: Library, leaves: dict[str, Any], compute: Callable[..., Any]) -> Work:
    """Forward and backward of the scalar `compute(*leaves)`."""
    tensors = {key: lib.tensor(value, requires_grad=True) for key, value in leaves.items()}
    arguments = tuple(tensors.values())
    loss: Any = None

    def run() -> None:
        nonlocal loss
        lib.clear_gradients(arguments)
        loss = compute(*arguments)
        loss.backward()

    def results() -> Results:
        gradients = {key: lib.array(tensor.grad) for key, tensor in tensors.items()}
        return {"loss": lib.array(loss), **gradients}

    return Work(run, results)


def training_step(lib: Library, model: Any, optimizer: Any, loss_of: Callable[[], Any]) -> Work:
    """One step of `optimizer` on `loss_of()`, from weights that are the same in every library."""
    shapes = {key: tuple(weight.shape) for key, weight in model.state_dict().items()}
    model.load_state_dict({key: lib.tensor(w) for key, w in initial_weights(shapes).items()})
    loss: Any = None

    def run() -> None:
        nonlocal loss
        optimizer.zero_grad()
        with lib.forward():
            loss = loss_of()
        loss.backward()
        optimizer.step()

    def results() -> Results:
        gradients = {key: lib.array(weight.grad) for key, weight in model.named_parameters()}
        return {"loss": lib.array(loss), **gradients}

    return Work(run, results)


def initial_weights(shapes: dict[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    return {
        key: normal(*shape, seed=seed) / np.float32(math.sqrt(math.prod(shape[1:]) or 1))
        for seed, (key, shape) in enumerate(shapes.items())
    }


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def classes(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 10, count)


# The workloads.


def scalar_mul(lib: Library) -> Work:
    def chain(x, w):
        for _ in range(GATES):
            x = x * w
        return x

    return gradients_of(lib, {"x": 1.0, "w": 1.0001}, chain)


def scalar_add(lib: Library) -> Work:
    def chain(x, w):
        for _ in range(GATES):
            x = x + w
        return x

    return gradients_of(lib, {"x": 1.0, "w": 1.0001}, chain)


def scalar_lone(lib: Library) -> Work:
    return gradients_of(lib, {"x": 3.0, "w": 1.0001}, lambda x, w: x * w)


def mlp(lib: Library, batch: int = 64) -> Work:
    nn = lib.nn
    model = lib.placed(
        nn.Sequential(
            *(nn.Linear(784, 256), nn.ReLU()),
            *(nn.Linear(256, 128), nn.ReLU()),
            nn.Linear(128, 10),
        )
    )
    adam = lib.optim.Adam(model.parameters(), lr=1e-4)
    criterion = nn.CrossEntropyLoss()
    x, target = lib.tensor(normal(batch, 784)), lib.tensor(classes(batch))
    return training_step(lib, model, adam, lambda: criterion(model(x), target))


def lenet(lib: Library, batch: int = 64) -> Work:
    nn = lib.nn
    model = lib.placed(
        nn.Sequential(
            *(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2)),
            nn.Flatten(),
            *(nn.Linear(400, 120), nn.ReLU()),
            *(nn.Linear(120, 84), nn.ReLU()),
            nn.Linear(84, 10),
        )
    )
    sgd = lib.optim.SGD(model.parameters(), lr=1e-3)
    criterion = nn.CrossEntropyLoss()
    x, target = lib.tensor(normal(batch, 1, 28, 28)), lib.tensor(classes(batch))
    return training_step(lib, model, sgd, lambda: criterion(model(x), target))


def convolutions(lib: Library, batch: int = 32) -> Work:
    nn = lib.nn
    model = nn.Sequential(
        *(nn.Conv2d(64, 64, 3, padding=1), nn.ReLU()),
        nn.Conv2d(64, 64, 3, padding=1),
    )
    sgd = lib.optim.SGD(model.parameters(), lr=1e-3)
    x = lib.tensor(normal(batch, 64, 32, 32))

    def mean_square():
        y = model(x)
        return (y * y).mean()

    return training_step(lib, model, sgd, mean_square)


def pointwise(lib: Library) -> Work:
    def chain(x, w):
        h = lib.tanh(x * w + x) * w
        return (h * h).sum()

    return gradients_of(lib, {"x": normal(POINTS), "w": normal(POINTS, seed=1)}, chain)


def fused(lib: Library) -> Work:
    upstream = lib.tensor(normal(POINTS, seed=2))
    leaves = {
        name: lib.tensor(normal(POINTS, seed=seed), requires_grad=True)
        for seed, name in enumerate("xw")
    }

    def run() -> None:
        lib.clear_gradients(leaves.values())
        lib.ten_gates(*leaves.values()).backward(upstream)

    def results() -> Results:
        return {name: lib.array(leaf.grad) for name, leaf in leaves.items()}

    return Work(run, results)


def norms(lib: Library) -> Work:
    towards = lib.tensor(normal(1024, 512))
    leaves = {"x": normal(1024, 512, seed=1)}
    for seed, name in enumerate(("gain1", "shift1", "bias", "gain2", "shift2"), start=2):
        leaves[name] = normal(512, seed=seed)
    leaves["weight"] = normal(512, 512, seed=7) / np.float32(math.sqrt(512))

    def block(x, gain1, shift1, bias, gain2, shift2, weight):
        h = lib.linear(lib.layer_norm(x, (512,), gain1, shift1), weight, bias)
        return (lib.layer_norm(lib.gelu(h), (512,), gain2, shift2) * towards).sum()

    return gradients_of(lib, leaves, block)


def attention(lib: Library) -> Work:
    towards = lib.tensor(normal(4, 8, 128, 64))
    leaves = {key: normal(4, 8, 128, 64, seed=seed) for seed, key in enumerate("qkv", start=1)}

    def attended(q, k, v):
        return (lib.causal_attention(q, k, v) * towards).sum()

    return gradients_of(lib, leaves, attended)


def mygrad_mlp(lib: Library, batch: int = 64) -> Work:
    """`mlp` for MyGrad, which has a cross-entropy but neither modules nor optimizers."""
    from mygrad.nnet.activations import relu
    from mygrad.nnet.losses import softmax_crossentropy

    shapes = {
        **{"0.weight": (256, 784), "0.bias": (256,)},
        **{"2.weight": (128, 256), "2.bias": (128,)},
        **{"4.weight": (10, 128), "4.bias": (10,)},
    }
    weights = {key: lib.tensor(w, requires_grad=True) for key, w in initial_weights(shapes).items()}
    moments = [(np.zeros_like(w.data), np.zeros_like(w.data)) for w in weights.values()]
    x, target = normal(batch, 784), classes(batch)
    loss: Any = None
    steps = 0

    def forward():
        w1, b1, w2, b2, w3, b3 = weights.values()
        h = relu(x @ w1.T + b1)
        h = relu(h @ w2.T + b2)
        return softmax_crossentropy(h @ w3.T + b3, target)

    def adam(lr=1e-4, beta1=0.9, beta2=0.999, eps=1e-8):
        step_size = lr / (1 - beta1**steps)
        root_scale = 1 / math.sqrt(1 - beta2**steps)
        for weight, (first, second) in zip(weights.values(), moments, strict=True):
            first *= beta1
            first += (1 - beta1) * weight.grad
            second *= beta2
            second += (1 - beta2) * weight.grad**2
            weight.data -= step_size * first / (np.sqrt(second) * root_scale + eps)

    def run() -> None:
        nonlocal loss, steps
        steps += 1
        loss = forward()
        loss.backward()
        adam()

    def results() -> Results:
        gradients = {key: lib.array(weight.grad) for key, weight in weights.items()}
        return {"loss": lib.array(loss), **gradients}

    return Work(run, results)
