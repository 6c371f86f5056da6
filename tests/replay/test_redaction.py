"""Secrets go, code stays, offsets hold."""

from __future__ import annotations

import inspect
import json.decoder
import socket
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from p2assist.experience import Feedback, FeedbackKind, Outcome, Task, TestOutcome, TestReport
from p2assist.replay import redaction
from p2assist.replay.redaction import Redactor, redact

GITHUB = "ghp_" + "a1B2" * 9
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0TH"
PEM = (
    "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA\nq83vEjRWeJ==\n-----END RSA PRIVATE KEY-----"
)
SECRETS = {
    "github": (f'token = "{GITHUB}"', GITHUB),
    "gitlab": ("use(glpat-abcdefghij0123456789)", "glpat-abcdefghij0123456789"),
    "aws id": ("AKIAABCDEFGHIJKLMNOP", "AKIAABCDEFGHIJKLMNOP"),
    "aws secret": (f"aws_token = '{'aB3/' * 10}'", "aB3/" * 10),
    "slack": ("xoxb-123456789012-abcdefABCDEF", "xoxb-123456789012-abcdefABCDEF"),
    "jwt, signature too": (f"header = '{JWT}'", JWT),
    "url": ("db = 'postgres://ann:hunter2@host/db'", "hunter2"),
    "assigned": ('password = "hunter2"', "hunter2"),
    "assigned in a mapping": ("{'api_key': 'swordfish'}", "swordfish"),
    "compared": ('if "swordfish" == db_password:', "swordfish"),
    "second on a line": ('f(password="one1", secret="two2")', "two2"),
    "hex": ("seed = '5f4dcc3b5aa765d61d8327deb882cf99'", "5f4dcc3b5aa765d61d8327deb882cf99"),
    "base64": ("k = 'b3PmZ8xKq1Lw9TtV4nYc7RfHs2Jd'", "b3PmZ8xKq1Lw9TtV4nYc7RfHs2Jd"),
    "private key": (f'KEY = """{PEM}"""', "MIIEpAIBAAKCAQEA"),
    "private key, second line": (PEM, "q83vEjRWeJ=="),
    "private key cut short": (PEM[:60], "MIIEpAIBAAKCAQEA"),
    "private key in one string": (repr(PEM), "MIIEpAIBAAKCAQEA"),
    "private key with headers": (
        PEM.replace("MII", "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nMII"),
        "q83vEjRWeJ==",
    ),
}


@pytest.mark.parametrize(("text", "secret"), SECRETS.values(), ids=SECRETS.keys())
def test_a_secret_goes_and_nothing_moves(text: str, secret: str) -> None:
    at = text.index(secret)
    hidden = redact(text)
    assert secret not in hidden
    assert len(hidden) == len(text)
    assert [i for i, c in enumerate(hidden) if c == "\n"] == [
        i for i, c in enumerate(text) if c == "\n"
    ]
    assert set(hidden[at : at + len(secret)]) <= {"x", "\n"}


@pytest.mark.parametrize(
    "text",
    [
        "x = get_secret(name)",
        "password = os.environ['PASSWORD']",
        "version = '1.22.333.4444'",
        "ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_'",
        "path = 'src/package/module/submodule.py'",
        "name = 'a_rather_long_identifier_name_of_2'",
        "uid = '123e4567-e89b-12d3-a456-426614174000'",
        "# see https://docs.python.org/3/library/secrets.html",
        'BEGIN = "-----BEGIN RSA PRIVATE KEY-----"\nEND = "-----END RSA PRIVATE KEY-----"',
        "def check_password(self, password: str, *, pwd=None) -> bool:",
    ],
)
def test_code_stays(text: str) -> None:
    assert redact(text) == text


def test_a_real_module_stays() -> None:
    source = inspect.getsource(json.decoder)
    assert redact(source) == source


_PIECES = st.one_of(
    st.sampled_from([text for text, _ in SECRETS.values()]),
    st.sampled_from(["\n", '"', "'", " = ", "password", "xxxxxxxx", "#", "://", ":", "@", "-----"]),
    st.text(max_size=8),
)


@given(st.lists(_PIECES, max_size=8).map("".join))
@example('password = "x" secret = "xx"')
def test_twice_changes_nothing_more(text: str) -> None:
    once = redact(text)
    assert len(once) == len(text)
    assert redact(once) == once


def test_no_network_no_files_no_global_settings(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(*args: object) -> None:
        raise AssertionError("the network was asked for")

    from detect_secrets.settings import get_settings

    before = get_settings().json()
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.chdir(tmp_path)
    redaction._detectors.cache_clear()
    for text, secret in SECRETS.values():
        assert secret not in redact(text)
    assert get_settings().json() == before
    assert list(tmp_path.iterdir()) == []


def _task(before: str, after: str = "\n") -> Task:
    return Task("a.py", before + after, len(before), len(before))


def test_a_completion_is_seen_in_its_line() -> None:
    assert redaction.completion(_task('x = 1\npassword = "', '"\n'), "hunter2") == "xxxxxxx"
    assert redaction.completion(_task("x = "), '"hunter2"') == '"hunter2"'
    assert redaction.completion(_task("x = "), f"1\ny = '{GITHUB}'") == "1\ny = '" + "x" * 40 + "'"


def test_an_experience_without_secrets_is_the_same_object(make) -> None:
    one = make.experience(report=make.report("P"))
    assert Redactor().experience(one) is one


def test_every_text_of_an_experience(make) -> None:
    source = f'# {GITHUB}\ndef f():\n    """Uses {GITHUB}."""\n    return 1\n'
    task = replace(
        make.task(source=source, start=source.index("return"), end=len(source) - 1),
        description=f"Uses {GITHUB}.",
    )
    said = TestReport(
        (TestOutcome("t::a", Outcome.FAILED, message=f"E {GITHUB}"),), reason=f"said {GITHUB}"
    )
    one = replace(
        make.experience(f"return '{GITHUB}'", at=task, report=said),
        feedback=(Feedback(FeedbackKind.REJECTED, f"return '{GITHUB[::-1]}{GITHUB}'"),),
    )
    hidden = Redactor().experience(one)
    assert GITHUB not in repr(hidden)
    assert hidden.task.reference == "return 1"
    assert hidden.candidate.token_ids == ()
    assert hidden.report is not None
    assert hidden.report.failing == ("t::a",)
    assert Redactor().experience(hidden) is hidden


def test_a_source_is_scanned_once(monkeypatch: pytest.MonkeyPatch) -> None:
    scans: list[str] = []
    found = redaction._find
    monkeypatch.setattr(redaction, "_find", lambda text: scans.append(text) or found(text))
    redactor = Redactor(size=2)
    assert redactor.source("a = 1") == redactor.source("a = 1") == "a = 1"
    assert scans == ["a = 1"]
    for other in ("b", "c", "a = 1"):
        redactor.source(other)
    assert scans == ["a = 1", "b", "c", "a = 1"]  # the oldest is forgotten, not kept for ever


def test_a_long_line_takes_no_long_time() -> None:
    text = "data = '" + "// aws password: " * 3000 + "'\n"
    assert len(redact(text)) == len(text)


def test_values_of_events() -> None:
    data = {"diff": [f"+ {GITHUB}", 3, None, {"by": textwrap.dedent("  ann")}]}
    assert redaction.value(data) == {"diff": ["+ " + "x" * 40, 3, None, {"by": "ann"}]}
