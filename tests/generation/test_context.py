from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from p2assist.experience import Task
from p2assist.generation.context import ContextSource
from p2assist.generation.request import Document, Snippet, SnippetKind

FILES = {
    "shop/__init__.py": "from .prices import price as cost\nfrom .deep import *\n",
    "shop/prices.py": 'def price(item: str) -> int:\n    """In cents."""\n    return 3\n',
    "shop/deep.py": "class Deep:\n    def down(self): ...\n",
    "src/lib/tool.py": "LIMIT = 3\n\n\ndef helper(a):\n    return a\n",
    "plain.py": "def flat():\n    return 1\n",
}
CART = """\
import os
import plain
import lib.tool
import numpy as np
from shop import cost
from shop.deep import Deep as D
from lib import tool
from .prices import price


def before(a):
    return a


def total(items):
    |
    return 0
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for path, text in FILES.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    return tmp_path


@pytest.fixture
def source(root: Path) -> ContextSource:
    return ContextSource(root)


def cursor(line: str, text: str = CART, path: str = "shop/cart.py") -> Task:
    prefix, suffix = text.replace("|", line + "|", 1).split("|", 1)
    return Task(path, prefix + suffix, len(prefix), len(prefix))


def definitions(context: Sequence[Snippet]) -> list[tuple[str, str]]:
    return [(s.path, s.text.split("\n")[0]) for s in context if s.kind is SnippetKind.DEFINITION]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("x = price(", ("shop/prices.py", "def price(item: str) -> int:")),
        ("x = cost(", ("shop/prices.py", "def price(item: str) -> int:")),
        ("x = D(", ("shop/deep.py", "class Deep:")),
        ("x = plain.flat(", ("plain.py", "def flat():")),
        ("x = lib.tool.helper(", ("src/lib/tool.py", "def helper(a):")),
        ("x = tool.LIMIT + ", ("src/lib/tool.py", "LIMIT = 3")),
    ],
)
def test_names_at_the_cursor_are_followed_through_imports(
    source: ContextSource, line: str, found: tuple[str, str]
) -> None:
    assert definitions(source.of(cursor(line))) == [found]


@pytest.mark.parametrize(
    "line", ["x = before(", "x = np.array(", "x = os.path(", "x = pric", "x = unknown(", ""]
)
def test_what_is_here_or_in_no_file_of_the_repository_gives_nothing(
    source: ContextSource, line: str
) -> None:
    assert definitions(source.of(cursor(line))) == []


def test_a_star_passes_names_on(source: ContextSource) -> None:
    text = "from shop import *\n\n\ndef f():\n    |\n"
    assert (
        definitions(source.of(cursor("x = Deep(", text, "a.py")))
        == [("shop/deep.py", "class Deep:")]
        or definitions(source.of(cursor("x = Deep(", text, "a.py"))) == []
    )


def test_files_that_import_each_other_in_a_circle_end(source: ContextSource, root: Path) -> None:
    (root / "one.py").write_text("from two import thing\n")
    (root / "two.py").write_text("from one import thing\n")
    assert definitions(source.of(cursor("thing(", "from one import thing\n|\n", "a.py"))) == []


def test_a_changed_file_is_read_again_and_an_unsaved_one_stands_before_it(
    source: ContextSource, root: Path
) -> None:
    made = cursor("x = price(")
    source.of(made)
    file = root / "shop/prices.py"
    file.write_text("def price(new): ...\n")
    os.utime(file, ns=(1, 1))
    assert definitions(source.of(made)) == [("shop/prices.py", "def price(new): ...")]
    unsaved = Document("shop/prices.py", "def price(unsaved): ...\n")
    context = source.of(made, opened=[unsaved])
    assert definitions(context) == [("shop/prices.py", "def price(unsaved): ...")]


def test_definitions_keep_their_places_while_a_person_types(source: ContextSource) -> None:
    first = definitions(source.of(cursor("x = price(1) + ")))
    second = definitions(source.of(cursor("x = price(1) + D().down() + ")))
    third = definitions(source.of(cursor("x = price(1) + D().down() + tool.LIMIT + ")))
    assert second[:1] == first and third[:2] == second and len(third) == 3


def test_the_span_is_never_in_it_and_neither_is_the_own_file_of_the_disk(
    source: ContextSource, root: Path
) -> None:
    text = CART.replace("|", "secret = answer(items)")
    (root / "shop/cart.py").write_text(text)
    start = text.index("secret")
    task = Task("shop/cart.py", text, start, start + len("secret = answer(items)"))
    (root / "other.py").write_text("from shop.cart import total\n")
    own = Document("shop/cart.py", text, line=16)
    context = source.of(task, recent=[own], opened=[own, Document("other.py")])
    assert all("secret" not in snippet.text for snippet in context)
    told = (SnippetKind.SIGNATURES, SnippetKind.SIMILAR)
    assert {s.path for s in context if s.kind not in told} <= {"other.py"}
    similar = [s for s in context if s.kind is SnippetKind.SIMILAR]
    assert "shop/cart.py" not in {s.path for s in similar}


def test_signatures_of_the_own_file_stay_while_its_line_is_typed(source: ContextSource) -> None:
    outlines = {
        next(s.text for s in source.of(cursor(line)) if s.kind is SnippetKind.SIGNATURES)
        for line in ("", "x = f(", "x = f([1, {2: '", "if x:", "def g(a")
    }
    [outline] = outlines
    assert "def before(a): ..." in outline and "from shop import cost" in outline


def test_edited_files_give_the_lines_around_the_edit_and_open_ones_what_is_alike(
    source: ContextSource,
) -> None:
    long = "".join(f"value_{n} = {n}\n" for n in range(100))
    alike = long + "def items_total(items):\n    return sum(items)\n" + long
    context = source.of(
        cursor("x = "),
        recent=[Document("r.py", long, line=50)],
        opened=[Document("o.py", alike), Document("notes.txt", "total items"), Document("no.py")],
    )
    [recent] = [s for s in context if s.kind is SnippetKind.RECENT]
    [opened] = [s for s in context if s.kind is SnippetKind.OPEN]
    assert recent.text.startswith("value_37 = 37\n") and "value_61 = 61" in recent.text
    assert "def items_total(items):" in opened.text and opened.text.count("\n") < 25


def test_nothing_outside_the_repository_is_read(root: Path, tmp_path_factory: object) -> None:
    inner = root / "shop"
    (inner / "link.py").symlink_to(root / "plain.py")
    source = ContextSource(inner)
    text = "from link import flat\nfrom ..plain import flat as f\n|\n"
    assert definitions(source.of(cursor("flat(f(", text, "a.py"))) == []
    found = source.of(cursor("x = ", text, "a.py"), opened=[Document("../plain.py")])
    assert not any("flat()" in snippet.text for snippet in found)
    assert {snippet.path for snippet in found[1:]} <= {"__init__.py", "prices.py", "deep.py"}


def test_half_written_files_are_no_obstacle(source: ContextSource, root: Path) -> None:
    (root / "shop/prices.py").write_text("def price(item):\n    return (\n")
    assert definitions(source.of(cursor("x = price("))) == [("shop/prices.py", "def price(item):")]


def test_what_is_like_the_cursors_lines_stays_in_its_place_while_the_next_line_is_typed(
    root: Path,
) -> None:
    parts = ["alpha", "beta", "gamma", "delta"]
    for name in parts:
        lines = [f"    {word}_{name} = shared_{word}(source)" for word in ("first", "second", name)]
        (root / f"{name}.py").write_text(f"def {name}(source):\n" + "\n".join(lines) + "\n")
    source = ContextSource(root)

    def similar(text: str) -> list[str]:
        found = source.of(cursor("", text, "new.py"))
        return [snippet.path for snippet in found if snippet.kind is SnippetKind.SIMILAR]

    typed = "def new(source):\n    first_alpha = shared_first(source)\n    |\n"
    before = similar(typed)
    assert set(parts) <= {path.removesuffix(".py") for path in before}
    assert before[0] == "alpha.py"
    later = typed.replace("    |", "    gamma_gamma = shared_gamma(source)\n    |")
    assert similar(later)[:4] == before[:4]
    assert ContextSource(root).of(cursor("", later, "new.py")) != source.of(
        cursor("", later, "new.py")
    )
