"""The pages that scripts write say what the functions and gates say today."""

import importlib.util
import re
from pathlib import Path

DOCS = Path(__file__).parent.parent / "docs"


def script(name):
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_coverage_page_is_up_to_date():
    module = script("make_operations")
    assert module.PAGE.read_text() == module.page(), "run: python docs/make_operations.py"


def test_the_gallery_holds_what_its_script_draws():
    drawn = dict(script("make_gallery").pictures())
    assert sorted(drawn) == sorted(path.name for path in (DOCS / "gallery").iterdir())
    for name, text in drawn.items():  # coordinates may differ with the solver, words may not
        kept = (DOCS / "gallery" / name).read_text(encoding="utf-8")
        assert words(text) == words(kept), f"{name}: run python docs/make_gallery.py"


def words(text):
    """What a picture says, without the numbers of the nodes, which count on from test to test."""
    return sorted(re.sub(r"#\d+", "#", found) for found in re.findall(r">([^<>{}]+)<", text))


def test_the_pictures_of_the_readme_exist():
    readme = (DOCS.parent / "README.md").read_text(encoding="utf-8")
    linked = re.findall(r"\]\((docs/[^)#]+)\)", readme)
    assert "docs/gallery/neuron.svg" in linked
    assert [path for path in linked if not (DOCS.parent / path).exists()] == []
