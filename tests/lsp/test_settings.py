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


def test_each_bad_setting_is_told_and_its_default_holds():
    found = read({"beams": 0, "show": "later", "automatic": False, "colour": 1, "patience": -5})
    settings = found.settings
    assert (settings.beams, settings.show, settings.patience) == (8, "at once", 400)
    assert settings.automatic is False  # what is right is taken
    assert len(found.problems) == 4
    assert any("'colour'" in problem for problem in found.problems)


def test_names_are_the_clients():
    given = {"hideFailing": True, "inComments": False, "debounce": {"least": 5, "most": 50}}
    settings = read(given).settings
    assert settings.hide_failing
    assert not settings.in_comments
    assert (settings.debounce.least, settings.debounce.most) == (5, 50)


@pytest.mark.parametrize("given", [[], "x", 3])
def test_what_is_no_object_is_told(given: object):
    assert read(given).settings == Settings()
    assert read(given).problems
    assert read(None) == read({})
