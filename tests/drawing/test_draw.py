"""What a drawing shows: the lecture's numbers, forks and their sums, modules as boxes."""

import os
import re
import shutil
import subprocess
import sys
import textwrap
from xml.etree import ElementTree

import numpy as np
import pytest

import tapegrad as tg
from tapegrad import nn
from tapegrad.nn import functional as F


def leaves(**values):
    found = {}
    for name, value in values.items():
        found[name] = tg.tensor(value, requires_grad=True)
        found[name].name = name
    return found


LEAVES = leaves(w0=2.0, x0=-1.0, w1=-3.0, x1=-2.0, w2=-3.0)


def neuron():
    v = LEAVES
    for leaf in v.values():
        leaf.grad = None
    return 1 / (1 + tg.exp(-(v["w0"] * v["x0"] + v["w1"] * v["x1"] + v["w2"])))


def texts(drawing, kind):
    """The words in the picture of a class: "value", "grad", "share", "title", ..."""
    root = ElementTree.fromstring(drawing.svg())
    return [
        "".join(e.itertext()) for e in root.iter()
        if kind in (e.get("class") or "").split() and e.tag.rpartition("}")[2] in ("text", "tspan")
    ]  # fmt: skip


def test_the_neuron_carries_the_lectures_numbers():
    f = neuron()
    f.backward()
    drawing = tg.draw(f)
    assert {"0.7311", "-2", "6", "4", "1", "0.3679", "1.368"} <= set(texts(drawing, "value"))
    assert {"-0.1966", "0.3932", "-0.3932", "-0.5898", "0.1966", "-0.5344"} <= set(
        texts(drawing, "grad")
    )
    assert {"w0", "x0", "w1", "x1", "w2"} <= set(texts(drawing, "title"))


def test_before_backward_there_is_no_gradient_and_the_picture_says_so():
    drawing = tg.draw(neuron())
    assert texts(drawing, "grad") == []
    assert len(texts(drawing, "none")) > 5


def test_a_square_has_two_wires():
    v = leaves(x=3.0)
    assert len(tg.draw(v["x"] * v["x"]).picture.lines) == 2


def test_a_fork_shows_the_shares_and_their_sum():
    x = leaves(x=3.0)["x"]
    y = x * x + x * 4.0
    y.backward()
    drawing = tg.draw(y)
    assert sorted(texts(drawing, "share")) == ["3", "3", "4"]
    assert "10" in texts(drawing, "grad")


def test_local_derivatives_are_shown_on_request():
    v = leaves(x=-2.0, y=5.0)
    product = v["x"] * v["y"]
    product.backward()
    assert texts(tg.draw(product), "local") == []
    assert sorted(t.rpartition(" ")[2] for t in texts(tg.draw(product, show="local"), "local")) == [
        "-2",
        "5",
    ]


def test_names_come_from_the_callers_variables():
    x, y = tg.tensor(1.0, requires_grad=True), tg.tensor(2.0, requires_grad=True)
    total = x + y
    assert {"x", "y"} <= set(texts(tg.draw(total, names=locals()), "title"))
    assert tg.draw(total, names={"left": x}).graph.wires[0].name == "left"


def test_constants_look_different_from_inputs():
    x = leaves(x=1.0)["x"]
    kinds = [item.kind for item in tg.draw(x * 2.0).picture.items]
    assert sorted(kinds) == ["constant", "gate", "input"]


def test_a_detached_value_says_what_it_was_detached_from():
    x = leaves(x=[3.0, 4.0])["x"]
    with tg.Tape() as tape:
        square = x * x
        square.name = "square"
        square.detach() * x
    items = {item.kind: item.title for item in tg.draw(tape).picture.items}
    assert items["stopped"] == "square detached"


def test_the_same_program_twice_gives_the_same_bytes():
    program = textwrap.dedent(
        """
        import sys, tapegrad as tg
        from tapegrad import nn
        tg.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2))
        loss = model(tg.rand(5, 4)).sum()
        loss.backward()
        x = tg.tensor(2.0, requires_grad=True)
        sys.stdout.write(tg.draw(loss).svg() + tg.draw(loss).to_dot() + tg.player(x * x).html())
        """
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        )
        for seed in ("1", "2")
    ]
    assert runs[0].stdout == runs[1].stdout
    assert runs[0].stdout


def test_tensors_show_shape_statistics_and_the_length_of_the_gradient():
    weight = tg.tensor(np.arange(6.0).reshape(2, 3), requires_grad=True)
    weight.name = "weight"
    (weight * 2).sum().backward()
    drawing = tg.draw((weight * 2).sum())
    assert "(2, 3) float64" in texts(drawing, "shape")
    assert "2.5 ± 1.708" in texts(drawing, "value")
    assert "|grad| 4.899" in texts(drawing, "grad")


class Block(nn.Module):
    def __init__(self, channels, out, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        self.down = nn.Conv2d(channels, out, 1, stride) if channels != out else nn.Identity()

    def forward(self, x):
        return (self.bn2(self.conv2(self.bn1(self.conv1(x)).relu())) + self.down(x)).relu()


class ResNet(nn.Module):
    """Eighteen layers: a convolution, four stages of two blocks, a linear layer."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 3, 1, 1)
        self.relu = nn.ReLU()
        widths = [4, 4, 8, 16, 32]
        for i in range(4):
            first = Block(widths[i], widths[i + 1], 2 if i else 1)
            setattr(
                self, f"layer{i + 1}", nn.Sequential(first, Block(widths[i + 1], widths[i + 1]))
            )
        self.fc = nn.Linear(32, 10)

    def forward(self, x):
        x = self.relu(self.conv1(x))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(x.mean((2, 3)))


@pytest.fixture(scope="module")
def resnet_loss():
    tg.manual_seed(0)
    model = ResNet()
    loss = F.cross_entropy(model(tg.rand(2, 3, 8, 8)), tg.tensor([1, 2]))
    loss.backward()
    yield loss
    del model  # which a graph does not keep alive, so that names last as long as their model


class Stack(nn.Module):
    def __init__(self, blocks):
        super().__init__()
        self.layers = nn.Sequential(*(Block(3, 3) for _ in range(blocks)))

    def forward(self, x):
        return self.layers(x).mean()


def test_a_resnet_is_at_most_twenty_boxes_that_fit_a_page(resnet_loss):
    drawing = tg.draw(resnet_loss)
    assert len(drawing.picture.items) <= 20
    titles = [item.title for item in drawing.picture.items]
    assert {"layer1.0 ... layer1.1", "layer4.0", "layer4.1", "cross_entropy"} <= set(titles)
    assert float(re.search(r'width="([\d.]+)"', drawing.svg())[1]) <= 1280
    assert "folded" in drawing.picture.note


def test_depth_opens_the_boxes(resnet_loss):
    whole = {item.title for item in tg.draw(resnet_loss, depth=1).picture.items}
    assert {"conv1", "layer1", "layer4", "fc"} <= whole
    deeper = tg.draw(resnet_loss, depth=2)
    assert "layer1.0 ... layer1.1" in {
        item.title for item in deeper.picture.items
    } or "layer1.0" in {item.title for item in deeper.picture.items}
    assert len(tg.draw(resnet_loss, depth=9).picture.items) > 60
    assert len([i for i in tg.draw(resnet_loss, depth=0).picture.items if i.kind == "group"]) == 1


def test_repeated_blocks_become_one_box():
    model = Stack(12)
    items = tg.draw(model(tg.rand(1, 3, 4, 4)), depth=2).picture.items
    folded = [item for item in items if item.times > 1]
    assert [item.times for item in folded] == [12]
    assert "× 12" in "".join(texts(tg.draw(model(tg.rand(1, 3, 4, 4)), depth=2), "title"))


def test_a_model_that_fails_half_way_shows_what_was_recorded_and_what_failed():
    model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(5, 2))
    drawing = tg.draw(model, tg.rand(2, 4))
    assert [item.title for item in drawing.picture.items if item.kind == "failed"] == [
        "linear failed"
    ]
    assert "relu" in {item.title for item in drawing.picture.items}
    failed = len(drawing.picture.items) - 1
    assert any(line.end == failed for line in drawing.picture.lines)


def test_a_function_of_tensors_is_called_and_drawn():
    x = leaves(x=2.0)["x"]
    assert len(tg.draw(lambda t: t * t + 1, x).graph.boxes) == 2


def test_a_thousand_doublings_and_a_chain_of_ten_thousand():
    y = x = tg.tensor(1.0, requires_grad=True)
    for _ in range(1000):
        y = (y + y) * 0.5
    assert len(tg.draw(y, depth=9).picture.lines) == 4000
    for _ in range(10_000):
        x = x * 1.0
    assert tg.draw(x, depth=9).svg().count('class="gate"') == 10_000


def test_a_long_graph_without_modules_is_cut_in_the_middle_and_says_so():
    x = tg.tensor(1.0, requires_grad=True)
    for _ in range(1000):
        x = x * 1.0
    drawing = tg.draw(x)
    assert len(drawing.picture.items) < 200
    assert [item.title for item in drawing.picture.items if item.kind == "more"] == [
        "920 more gates"
    ]


def test_several_tensors_and_tapes_are_drawn():
    v = leaves(x=1.0, y=2.0)
    both = [v["x"] * v["y"], v["x"] + v["y"]]
    assert len(tg.draw(both).graph.boxes) == 2
    with tg.Tape() as tape:
        v["x"].exp()
    assert [box.gate.name for box in tg.draw(tape).graph.boxes] == ["exp"]


def test_a_leaf_alone_is_drawn():
    assert len(tg.draw(tg.tensor([1.0, 2.0])).picture.items) == 1
    assert len(tg.draw(leaves(x=1.0)["x"]).picture.items) == 1


def test_a_gate_with_several_outputs_is_drawn():
    x = tg.tensor([[1.0, 2.0, 3.0, 4.0]], requires_grad=True)
    left, right = x.split(2, dim=1)
    (left * right).sum().backward()
    drawing = tg.draw((left * right).sum())
    assert (
        len(
            [
                line
                for line in drawing.picture.lines
                if drawing.picture.items[line.start].title == "split"
            ]
        )
        == 2
    )


@pytest.mark.parametrize("suffix", [".svg", ".html", ".dot"])
def test_saving_needs_nothing(tmp_path, monkeypatch, suffix):
    monkeypatch.setenv("PATH", "")
    text = tg.draw(neuron()).save(tmp_path / f"graph{suffix}").read_text()
    assert {".svg": "<svg", ".html": "<!doctype", ".dot": "digraph"}[suffix] in text


def test_png_without_dot_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(RuntimeError, match=r"'dot' program.*apt install graphviz"):
        tg.draw(neuron()).save(tmp_path / "graph.png")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(shutil.which("dot") is None, reason="PNG is drawn by Graphviz's dot program")
@pytest.mark.parametrize(("suffix", "magic"), [(".png", b"\x89PNG"), (".pdf", b"%PDF")])
def test_png_and_pdf_are_drawn_by_dot(tmp_path, suffix, magic):
    assert tg.draw(neuron()).save(tmp_path / f"graph{suffix}").read_bytes().startswith(magic)


def test_a_notebook_shows_svg_and_never_an_error(monkeypatch):
    drawing = tg.draw(neuron())
    assert drawing._repr_mimebundle_()["image/svg+xml"].startswith("<svg")
    monkeypatch.setattr(type(drawing), "svg", lambda self: 1 / 0)
    assert "could not be drawn" in drawing._repr_mimebundle_()["text/plain"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"direction": "UP"}, "direction must be one of LR, TB, got 'UP'"),
        ({"palette": "pink"}, "palette must be one of lecture, colour-blind"),
        ({"show": ["values"]}, "show must be one of value, grad, shape, local"),
        ({"depth": -1}, "depth must be None or a number from 0"),
    ],
)
def test_wrong_arguments_are_named(arguments, says):
    with pytest.raises(ValueError, match=says):
        tg.draw(neuron(), **arguments)


def test_what_is_no_tensor_is_refused():
    with pytest.raises(TypeError, match="expected a tensor, several, or a Tape, got str"):
        tg.draw("x + y")


@pytest.mark.parametrize("direction", ["LR", "TB"])
@pytest.mark.parametrize("palette", ["lecture", "colour-blind"])
def test_every_direction_and_palette_is_well_formed(direction, palette):
    f = neuron()
    f.backward()
    root = ElementTree.fromstring(
        tg.draw(f, direction=direction, palette=palette, show=["value", "grad", "local"]).svg()
    )
    assert root.tag.endswith("svg")


def test_text_is_escaped():
    x = tg.tensor(1.0, requires_grad=True)
    x.name = "<b>&"
    assert "<b>&" in texts(tg.draw(x * 2.0), "title")
