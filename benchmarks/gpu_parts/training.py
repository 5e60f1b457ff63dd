"""Training steps of networks, and what memory a step takes: tapegrad against PyTorch.

The networks are written once; `nn` is either library's.
"""

from collections.abc import Callable
from typing import Any

import workloads
from workloads import Library, Work

from gpu_parts.row import Row, Run

Network = Callable[[Library, bool], Work]  # tiny or not -> a training step

# How a network computes, by what is added to its name; rounding to TF32 would hide small errors.
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "": ("float32 with TF32", {"precision": "high", "compared_in": "highest", "tolerance": 1e-3}),
    "-bfloat16": ("autocast to bfloat16", {"autocast": True, "tolerance": 0.2}),
}


def rows(tiny: bool) -> list[Row]:
    """Each network in float32 (TF32 in products) and under autocast in bfloat16."""
    return [
        Row(f"{name}{suffix}", f"{title}, {words}", stepping(network, tiny), compiled=True,
            **settings)
        for name, (title, network) in NETWORKS.items()
        for suffix, (words, settings) in KINDS.items()
    ]  # fmt: skip


def stepping(network: Network, tiny: bool) -> Callable[[Library], Run]:
    def make(lib: Library) -> Run:
        work = network(lib, tiny)

        def run() -> Any:
            work.run()
            return work.results

        return run

    return make


def mlp(lib: Library, tiny: bool) -> Work:
    return workloads.mlp(lib, batch=4 if tiny else 1024)


def lenet(lib: Library, tiny: bool) -> Work:
    return workloads.lenet(lib, batch=2 if tiny else 1024)


def residual(lib: Library, tiny: bool) -> Work:
    """ResNet-18 on CIFAR's 32x32 images, channels last."""
    width, batch = (4, 2) if tiny else (64, 256)
    model = lib.placed(resnet18(lib, width, 10)).to(memory_format=lib.ops.channels_last)
    optimizer = lib.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)
    size = 16 if tiny else 32
    x, target = lib.channels_last(lib.drawn(batch, 3, size, size)), lib.whole(10, batch)
    loss = lib.nn.CrossEntropyLoss()
    return workloads.training_step(lib, model, optimizer, lambda: loss(model(x), target))


def transformer(lib: Library, tiny: bool) -> Work:
    """A GPT of six layers, AdamW, gradients clipped."""
    words, width, heads, layers = (16, 16, 2, 1) if tiny else (8192, 384, 6, 6)
    batch, length = (2, 8) if tiny else (32, 256)
    model = lib.placed(gpt(lib, words, width, heads, layers, length))
    optimizer = lib.optim.AdamW(model.parameters(), lr=1e-4, **lib.fused_optimizer)
    tokens = lib.whole(words, batch, length + 1)
    x, target = tokens[:, :-1].contiguous(), tokens[:, 1:].reshape(-1)

    def loss() -> Any:
        return lib.F.cross_entropy(model(x).reshape(-1, words), target)

    return workloads.training_step(lib, model, optimizer, loss)


def resnet18(lib: Library, width: int, classes: int) -> Any:
    """ResNet-18 (He et al. 2015) with the 3x3 stem that CIFAR's small images get."""
    nn, F = lib.nn, lib.F
    add_relu = lib.fused(lambda x, y: lib.ops.relu(x + y))

    def convolution(inside: int, outside: int, kernel: int, stride: int) -> Any:
        settings = {"padding": kernel // 2, "bias": False}
        return nn.Conv2d(inside, outside, kernel, stride, **settings)

    class Block(nn.Module):
        def __init__(self, inside: int, outside: int, stride: int) -> None:
            super().__init__()
            self.conv1 = convolution(inside, outside, 3, stride)
            self.bn1 = nn.BatchNorm2d(outside)
            self.conv2 = convolution(outside, outside, 3, 1)
            self.bn2 = nn.BatchNorm2d(outside)
            self.shortcut = nn.Identity()
            if stride != 1 or inside != outside:
                self.shortcut = nn.Sequential(
                    convolution(inside, outside, 1, stride), nn.BatchNorm2d(outside)
                )

        def forward(self, x: Any) -> Any:
            y = F.relu(self.bn1(self.conv1(x)))
            return add_relu(self.bn2(self.conv2(y)), self.shortcut(x))

    layers = [convolution(3, width, 3, 1), nn.BatchNorm2d(width), nn.ReLU()]
    inside = width
    for stage in range(4):
        outside = width * 2**stage
        layers += [Block(inside, outside, 2 if stage else 1), Block(outside, outside, 1)]
        inside = outside
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inside, classes)]
    return nn.Sequential(*layers, *head)


def gpt(lib: Library, words: int, width: int, heads: int, layers: int, length: int) -> Any:
    """A decoder of GPT-2's kind (Radford et al. 2019), without dropout."""
    nn, F, ops = lib.nn, lib.F, lib.ops

    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)

        def forward(self, x: Any) -> Any:
            batch, time, _ = x.shape
            q, k, v = (
                part.reshape(batch, time, heads, width // heads).transpose(1, 2)
                for part in self.qkv(x).chunk(3, -1)
            )
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            return self.out(y.transpose(1, 2).reshape(batch, time, width))

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
            self.attention = Attention()
            self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

        def forward(self, x: Any) -> Any:
            x = x + self.attention(self.norm1(x))
            return x + self.down(F.gelu(self.up(self.norm2(x))))

    class GPT(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.token, self.place = nn.Embedding(words, width), nn.Embedding(length, width)
            self.blocks = nn.ModuleList(Block() for _ in range(layers))
            self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, words, bias=False)

        def forward(self, tokens: Any) -> Any:
            places = ops.arange(tokens.shape[1], device=lib.device)
            x = self.token(tokens) + self.place(places)
            for block in self.blocks:
                x = block(x)
            return self.head(self.norm(x))

    return GPT()


NETWORKS: dict[str, tuple[str, Network]] = {
    "mlp": ("MLP 784-256-128-10, batch 1024, Adam", mlp),
    "lenet": ("LeNet on 28x28, batch 1024, SGD", lenet),
    "resnet18": ("ResNet-18 on 32x32, batch 256, channels last, SGD with momentum", residual),
    "gpt": ("GPT, 6 layers of 384, 32 x 256 tokens, AdamW", transformer),
}
