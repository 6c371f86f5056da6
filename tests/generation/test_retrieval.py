from __future__ import annotations

from pathlib import Path

import pytest

from p2assist.generation.resolve import Repository
from p2assist.generation.retrieval import Retrieval, windows

ORDER = """\
def invoice(customer, lines):
    total = 0
    for line in lines:
        total += line.amount * line.price
    customer.balance -= total
    return Invoice(customer, total)
"""
OTHER = "".join(
    f"def view_{i}(request, page):\n    return render(page, {i})\n\n" for i in range(200)
)
NEAR = "def receipt(customer, lines):\n    total = 0\n    for line in lines:\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for path, text in (
        ("shop/order.py", ORDER),
        ("shop/views.py", OTHER),
        ("far/away/order.py", ORDER.replace("invoice", "offer")),
        (".hidden/order.py", ORDER),
        ("env/pyvenv.cfg", ""),
        ("env/lib/order.py", ORDER),
    ):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    return tmp_path


@pytest.fixture
def retrieval(root: Path) -> Retrieval:
    return Retrieval(Repository(root))


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is looked at again each time."""
    monkeypatch.setattr("p2assist.generation.resolve._WALK_SECONDS", 0.0)
    monkeypatch.setattr("p2assist.generation.retrieval._LOOK_SECONDS", 0.0)


def test_what_is_like_the_code_at_the_cursor_is_found_and_shown_with_what_follows(
    retrieval: Retrieval,
) -> None:
    found = retrieval.like(NEAR, "shop/receipts.py", most=3)
    assert {match.path for match in found} == {"shop/order.py", "far/away/order.py"}
    assert "total += line.amount * line.price" in found[0].text
    assert all(0 < match.score <= 1.001 for match in found)


def test_the_cursors_own_file_is_taken_from_what_is_given(retrieval: Retrieval) -> None:
    found = retrieval.like(NEAR, "shop/order.py", [OTHER, "\n" * 30 + ORDER], most=1)
    assert [match.path for match in found] == ["shop/order.py"]
    assert "customer.balance" in found[0].text
    assert not [
        m for m in retrieval.like(NEAR, "shop/order.py", most=9) if m.path == "shop/order.py"
    ]


def test_nothing_is_like_code_of_other_words(retrieval: Retrieval) -> None:
    assert retrieval.like("matrix = decompose(tensor)\n", "shop/receipts.py", most=3) == []
    assert retrieval.like("", "shop/receipts.py", most=3) == []


@pytest.mark.usefixtures("later")
def test_a_changed_file_is_read_again(retrieval: Retrieval, root: Path) -> None:
    retrieval.like(NEAR, "shop/receipts.py", most=3)
    changed = ORDER.replace("balance", "account_balance") + "# more\n"
    (root / "shop/order.py").write_text(changed)
    texts = [match.text for match in retrieval.like(NEAR, "shop/receipts.py", most=3)]
    assert any("account_balance" in text for text in texts)


def test_an_unsaved_file_stands_for_the_saved_one_at_once_and_only_while_it_is_given(
    retrieval: Retrieval,
) -> None:
    def shown(overlay: dict[str, str]) -> str:
        found = retrieval.like(NEAR, "shop/receipts.py", most=3, overlay=overlay)
        return "".join(match.text for match in found if match.path == "shop/order.py")

    assert "customer.balance" in shown({})
    assert "unsaved_one" in shown({"shop/order.py": ORDER.replace("balance", "unsaved_one")})
    assert "unsaved_two" in shown({"shop/order.py": ORDER.replace("balance", "unsaved_two")})
    assert "customer.balance" in shown({})
    new = retrieval.like(NEAR, "shop/receipts.py", most=9, overlay={"shop/new.py": ORDER + "x\n"})
    assert "shop/new.py" in {match.path for match in new}
    assert "shop/new.py" not in {
        match.path for match in retrieval.like(NEAR, "shop/receipts.py", most=9)
    }


def test_files_are_looked_at_seldom_and_in_parts(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("p2assist.generation.retrieval._NEW_CHARACTERS", 10)
    repository, looks = Repository(root), []
    stamp = repository.stamp
    monkeypatch.setattr(repository, "stamp", lambda path: looks.append(path) or stamp(path))
    retrieval = Retrieval(repository)
    for _ in range(6):
        found = retrieval.like(NEAR, "shop/receipts.py", most=3)
    assert {match.path for match in found} == {"shop/order.py", "far/away/order.py"}
    files = {"shop/order.py", "shop/views.py", "far/away/order.py"}
    assert set(looks) == files and len(looks) == 2 * len(files)  # by the stamp, and to be read
    assert looks[0].startswith("shop/")


@pytest.mark.usefixtures("later")
def test_a_file_that_is_gone_is_forgotten(retrieval: Retrieval, root: Path) -> None:
    assert retrieval.like(NEAR, "shop/receipts.py", most=3)
    (root / "shop/order.py").unlink()
    (root / "far/away/order.py").unlink()
    assert retrieval.like(NEAR, "shop/receipts.py", most=3) == []


def test_a_match_shows_no_lines_of_a_better_one(root: Path) -> None:
    (root / "shop/long.py").write_text("".join(f"{ORDER}# part {i}\n\n" for i in range(3)))
    found = Retrieval(Repository(root)).like(NEAR, "shop/receipts.py", most=8)
    firsts = [match.first for match in found if match.path == "shop/long.py"]
    assert firsts
    assert all(abs(a - b) >= 20 for a in firsts for b in firsts if a != b)


def test_every_line_is_in_a_window() -> None:
    for count in (1, 2, 9, 10, 11, 14, 15, 16, 64):
        text = "\n".join(f"word{chr(97 + i // 26)}{chr(97 + i % 26)}" for i in range(count))
        made = windows(text)
        assert {f"word{chr(97 + i // 26)}{chr(97 + i % 26)}" for i in range(count)} == set(
            made.holding
        )
        assert all(number < made.count for numbers in made.holding.values() for number in numbers)
