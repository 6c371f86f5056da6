from __future__ import annotations

from pathlib import Path

import pytest
from p2assist_lsp.settings import Settings, read


@pytest.mark.parametrize(
    ("trusted", "trusts"),
    [
        (False, False),
        (True, True),
        ((), False),
        (("/src",), True),
        (("/src/shop",), True),
        (("/src/sho",), False),
        (("/src/shop/basket",), False),
        (("src",), False),  # relative to what?
        (("/elsewhere", "/src/../src/shop"), True),
    ],
)
def test_a_folder_is_trusted_with_all_below_it(trusted: bool | tuple[str, ...], trusts: bool):
    assert Settings(trusted=trusted).trusts(Path("/src/shop")) is trusts


def test_home_is_expanded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert Settings(trusted=("~/src",)).trusts(Path("/home/me/src/shop"))


def test_trust_reads_as_json_gives_it():
    assert read({"trusted": ["/src"]}).settings.trusted == ("/src",)
    assert read({"trusted": True}).settings.trusted is True
    wrong = read({"trusted": {"/src": True}})
    assert wrong.settings.trusted is False
    assert "p2assist.trusted" in wrong.problems[0]
