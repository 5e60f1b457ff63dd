"""Kernels that are bound by memory: each against the bytes it must read and write.

Pointwise gates, reductions, norms, losses, optimizer steps, pooling and what only moves elements.
"""

from math import prod
from typing import Any

from workloads import Library

from gpu_parts.row import Make, Row, Run, Shape, backward, forward

POINTWISE, ROWWISE = 0.85, 0.80  # of the speed of a copy that these kernels are to reach


def rows(tiny: bool) -> list[Row]:
    """All rows, at sizes that fill a GPU, or tiny."""
    return [
        *pointwise(1000 if tiny else 64 * 2**20),
        *reductions(*(6, 40) if tiny else (16384, 4096)),
        *along_rows(*(6, 40) if tiny else (16384, 4096)),
        *images(*(2, 4, 8) if tiny else (64, 64, 112)),
        *optimizers(tiny),
        *moves(tiny),
    ]


def pointwise(n: int) -> list[Row]:
    one, two = ((n,),), ((n,), (n,))
    millions = f"{n / 2**20:.3g} M"

    def add(lib: Library, x: Any, y: Any) -> Any:
        return x + y

    def gelu(lib: Library, x: Any) -> Any:
        return lib.F.gelu(x)

    def chain(lib: Library, x: Any, w: Any) -> Any:
        return lib.ten_gates(x, w)

    def dropout(lib: Library, x: Any) -> Any:
        return lib.F.dropout(x, 0.1)

    def row(name: str, title: str, make: Make, each: int, **others: Any) -> Row:
        return Row(name, f"{title}, {millions} floats", make, each * n, share=POINTWISE, **others)

    return [
        row("add", "`x + y`", forward(add, *two), 12),
        row("add-bfloat16", "`x + y` in bfloat16", forward(add, *two, dtype="bfloat16"), 6,
            tolerance=1e-2),
        row("gelu", "GELU", forward(gelu, *one), 8, compiled=True),
        row("gelu-backward", "gradient of GELU", backward(gelu, *one), 12),
        row("fused", "ten gates under `fused`", forward(chain, *two), 12, compiled=True),
        row("fused-backward", "gradients of the ten gates", backward(chain, *two), 20),
        row("dropout", "dropout", forward(dropout, *one), 8, tolerance=None),
        row("dropout-backward", "gradient of dropout", backward(dropout, *one), 8, tolerance=None),
    ]  # fmt: skip


def reductions(count: int, length: int) -> list[Row]:
    calls = {
        "sum": ("sum of all", lambda lib, x: x.sum()),
        "sum-rows": ("sums of rows", lambda lib, x: x.sum(-1)),
        "sum-columns": ("sums of columns", lambda lib, x: x.sum(0)),
        "max-rows": ("maxima of rows", lambda lib, x: x.amax(-1)),
        "argmax-rows": ("places of the maxima of rows", lambda lib, x: x.argmax(-1)),
    }
    n = count * length
    return [
        Row(name, f"{title}, {count} x {length}", forward(call, (count, length)), 4 * n,
            share=ROWWISE)
        for name, (title, call) in calls.items()
    ]  # fmt: skip


def along_rows(count: int, length: int) -> list[Row]:
    x, weight = (count, length), (length,)

    def softmax(lib: Library, x: Any) -> Any:
        return x.softmax(-1)

    def log_softmax(lib: Library, x: Any) -> Any:
        return x.log_softmax(-1)

    def layer_norm(lib: Library, x: Any, weight: Any, bias: Any) -> Any:
        return lib.F.layer_norm(x, (length,), weight, bias)

    def rms_norm(lib: Library, x: Any, weight: Any) -> Any:
        return lib.F.rms_norm(x, (length,), weight, 1e-6)

    def cross_entropy(lib: Library) -> Run:
        scores = lib.drawn(count, length, grad=True)
        target = lib.whole(length, count)

        def run() -> Any:
            loss = lib.F.cross_entropy(scores, target)
            return loss, *lib.gradients(loss, [scores], None)

        return run

    def row(name: str, title: str, make: Make, each: int, **others: Any) -> Row:
        moved = each * count * length
        return Row(name, f"{title}, {count} x {length}", make, moved, share=ROWWISE, **others)

    return [
        row("softmax", "softmax", forward(softmax, x), 8, compiled=True),
        row("softmax-backward", "gradient of softmax", backward(softmax, x), 12),
        row("log-softmax", "logarithm of softmax", forward(log_softmax, x), 8),
        row("cross-entropy", "cross-entropy and its gradient", cross_entropy, 12, compiled=True),
        row("layer-norm", "layer norm", forward(layer_norm, x, weight, weight), 8, compiled=True),
        row("layer-norm-backward", "gradients of layer norm",
            backward(layer_norm, x, weight, weight), 12),
        row("rms-norm", "RMS norm", forward(rms_norm, x, weight), 8, compiled=True),
        row("rms-norm-backward", "gradients of RMS norm", backward(rms_norm, x, weight), 12),
    ]  # fmt: skip


def images(count: int, channels: int, size: int) -> list[Row]:
    x: Shape = (count, channels, size, size)
    n, weight = count * channels * size * size, (channels,)
    shown = f"{count} x {channels} x {size} x {size}"

    def batch_norm(lib: Library, x: Any, weight: Any, bias: Any) -> Any:
        return lib.F.batch_norm(x, None, None, weight, bias, training=True)

    def group_norm(lib: Library, x: Any, weight: Any, bias: Any) -> Any:
        return lib.F.group_norm(x, min(32, channels // 2), weight, bias)

    def max_pool(lib: Library, x: Any) -> Any:
        return lib.F.max_pool2d(x, 3, 2, 1)

    def average_pool(lib: Library, x: Any) -> Any:
        return lib.F.avg_pool2d(x, 2)

    def to_one(lib: Library, x: Any) -> Any:
        return lib.F.adaptive_avg_pool2d(x, 1)

    def nearest(lib: Library, x: Any) -> Any:
        return lib.F.interpolate(x, scale_factor=2, mode="nearest")

    def bilinear(lib: Library, x: Any) -> Any:
        return lib.F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)

    def row(name: str, title: str, make: Make, each: float, **others: Any) -> Row:
        return Row(name, f"{title}, {shown}", make, each * n, **others)

    def both(name: str, title: str, call: Any, ahead: float, back: float, **others: Any) -> list:
        return [
            row(name, title, forward(call, x), ahead, **others),
            row(f"{name}-backward", f"gradient of {title}", backward(call, x), back, **others),
        ]

    norms = [
        row(f"{name}{'-last' * last}", f"{title}{', channels last' * last}, forward and backward",
            whole(call, x, weight, weight, last=last), each, share=ROWWISE)
        for name, title, call, each in (
            ("batch-norm", "batch norm", batch_norm, 32),
            ("group-norm", "group norm", group_norm, 20),
        )
        for last in (False, True)
    ]  # fmt: skip
    return [
        *norms,
        *both("max-pool", "3x3 max pooling, stride 2", max_pool, 5, 6),
        row("max-pool-last", "3x3 max pooling, stride 2, channels last",
            forward(max_pool, x, last=True), 5),
        *both("average-pool", "2x2 average pooling", average_pool, 5, 5),
        *both("average-to-one", "average of each channel", to_one, 4, 4),
        *both("nearest", "twice the size, nearest", nearest, 20, 20),
        *both("bilinear", "twice the size, bilinear", bilinear, 20, 20),
    ]  # fmt: skip


def whole(call: Any, *shapes: Shape, last: bool = False) -> Make:
    """The work of `call(lib, *tensors)` and of its gradients, together."""
    ahead = forward(call, *shapes, last=last)

    def make(lib: Library) -> Run:
        back = backward(call, *shapes, last=last)(lib)
        run = ahead(lib)
        return lambda: (run(), *back())

    return make


def optimizers(tiny: bool) -> list[Row]:
    shapes = resnet50(16 if tiny else 1)
    n = sum(prod(shape) for shape in shapes)

    def parameters(lib: Library) -> list[Any]:
        made = [lib.drawn(*shape, seed=i, grad=True) for i, shape in enumerate(shapes)]
        for i, parameter in enumerate(made):
            parameter.grad = lib.drawn(*parameter.shape, seed=1000 + i)
        return made

    def adamw(lib: Library) -> Run:
        given = parameters(lib)
        optimizer = lib.optim.AdamW(given, lr=1e-3, **lib.fused_optimizer)

        def run() -> Any:
            optimizer.step()
            return given[:4]

        return run

    def clipping(lib: Library) -> Run:
        given = parameters(lib)
        return lambda: lib.nn.utils.clip_grad_norm_(given, 1.0)

    what = f"{n / 1e6:.3g} M parameters in {len(shapes)} tensors"
    return [
        Row("adamw", f"AdamW, {what} (PyTorch's fused)", adamw, 28 * n, share=POINTWISE),
        Row("clip-grad-norm", f"`clip_grad_norm_`, {what}", clipping, 12 * n),
    ]


def moves(tiny: bool) -> list[Row]:
    """What only moves elements: embeddings and transposes."""
    words, width, tokens = (11, 8, 20) if tiny else (50257, 768, 16384)
    side = 40 if tiny else 8192
    image: Shape = (2, 3, 5, 5) if tiny else (128, 64, 56, 56)

    def embedding(lib: Library, weight: Any) -> Any:
        return lib.F.embedding(lib.whole(words, tokens), weight)

    def looked_up(lib: Library) -> Run:
        weight, places = lib.drawn(words, width), lib.whole(words, tokens)
        return lambda: lib.F.embedding(places, weight)

    shown = f"{tokens} of {words} rows of {width}"
    return [
        Row("embedding", f"embedding, {shown}", looked_up, 8 * tokens * width),
        Row("embedding-backward", f"gradient of embedding, {shown}",
            backward(embedding, (words, width)), 4 * (tokens + words) * width),
        Row("transpose", f"a matrix of {side} x {side} transposed",
            forward(lambda lib, x: x.t().contiguous(), (side, side)), 8 * side**2,
            share=ROWWISE),
        Row("to-channels-last", f"channels of {' x '.join(map(str, image))} moved last",
            forward(lambda lib, x: x.permute(0, 2, 3, 1).contiguous(), image),
            8 * prod(image), share=ROWWISE),
    ]  # fmt: skip


def resnet50(narrower: int = 1) -> list[Shape]:
    """The shapes of ResNet-50's parameters, its widths divided by a number."""
    last = 64 // narrower
    found: list[Shape] = [(last, 3, 7, 7), (last,), (last,)]
    for width, blocks in ((64, 3), (128, 4), (256, 6), (512, 3)):
        width //= narrower
        for block in range(blocks):
            kernels = [(width, last, 1, 1), (width, width, 3, 3), (4 * width, width, 1, 1)]
            if block == 0:
                kernels.append((4 * width, last, 1, 1))
            last = 4 * width
            for kernel in kernels:
                found += [kernel, (kernel[0],), (kernel[0],)]
    return [*found, (1000 // narrower, last), (1000 // narrower,)]
