"""Secrets are replaced before anything is written: detect-secrets finds them, here they go.

Every character of a secret becomes 'x' and lines stay lines, so offsets into a redacted text
still hold, and redacting twice changes nothing. What is promised is what the detectors know:
keys and tokens of known shapes, URLs with passwords, values assigned to names like `password`,
private key blocks, and quoted strings that look random. A secret that looks like a word is kept.

The plugins are used as objects: no global settings, no baseline file, no network (verification
of a secret with its service is never asked for), no gibberish model.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import pairwise
from typing import Any

from p2assist.experience import Candidate, Experience, Feedback, Task, TestReport, digest

PLACEHOLDER = "x"
Span = tuple[int, int]

# In bits a character: detect-secrets' own. What keeps code words out is the least length of 20,
# and digits among letters: in the 132,000 lines of the standard library's top level, 5 are taken.
_BASE64_LIMIT, _HEX_LIMIT = 4.5, 3.0
_QUOTED = re.compile(r"(['\"])([\w+/=\\-]{20,})\1", re.ASCII)
_HEX = re.compile(r"[0-9a-fA-F]+\Z")
# Base64 behind the mark, over lines and pieces of a string; code that only names the mark stays.
_KEY_BLOCK = re.compile(
    r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----"
    r"(?:\\[nr]|[\s\"'+,]|[A-Z][\w-]*: [^\n\"']*\n)*"
    r"([A-Za-z0-9+/]{16,}={0,2}(?:(?:\\[nr]|[\s\"'+,])+[A-Za-z0-9+/]{2,}={0,2})*)"
)
_JWT = re.compile(r"eyJ[\w-]{8,}={0,2}\.[\w-]{8,}={0,2}(?:\.[\w.+/=-]*)?", re.ASCII)
_BEFORE, _AFTER = " \t\r\n'\"=:", " \t\r\n'\""  # some patterns take what stands around it


@dataclass(frozen=True, slots=True)
class _Detectors:
    """whole: patterns whose match is the secret; parts: those whose last filled group is it.
    keyword: finds the lines worth the slow patterns of keywords, each with the secret's group."""

    whole: tuple[re.Pattern[str], ...]
    parts: tuple[re.Pattern[str], ...]
    keyword: re.Pattern[str]
    assigned: dict[re.Pattern[str], int]
    base64: Any
    hexadecimal: Any
    ignored: tuple[Any, ...]


@cache
def _detectors() -> _Detectors:
    from detect_secrets import plugins
    from detect_secrets.filters import heuristic
    from detect_secrets.plugins import high_entropy_strings, keyword
    from detect_secrets.plugins.base import RegexBasedDetector
    from detect_secrets.util.importlib import import_types_from_package

    # An address is no secret (and looks like a version); keys and JWTs are done better above.
    left_out = {"IPPublicDetector", "PrivateKeyDetector", "JwtTokenDetector"}
    # Their groups are a part of the token.
    prefixed = {"GitHubTokenDetector", "GitLabTokenDetector"}
    whole, parts = [_JWT], [_KEY_BLOCK]

    def is_detector(name: Any) -> bool:
        return not (isinstance(name, type) and issubclass(name, RegexBasedDetector))

    for kind in import_types_from_package(plugins, filter=is_detector):
        if kind is RegexBasedDetector or kind.__name__ in left_out:
            continue
        for pattern in kind.denylist:
            grouped = pattern.groups and kind.__name__ not in prefixed
            (parts if grouped else whole).append(pattern)
    return _Detectors(
        whole=tuple(dict.fromkeys(whole)),
        parts=tuple(dict.fromkeys(parts)),
        keyword=re.compile("|".join(keyword.DENYLIST), re.IGNORECASE),
        assigned=dict(keyword.QUOTES_REQUIRED_DENYLIST_REGEX_TO_GROUP),
        base64=high_entropy_strings.Base64HighEntropyString(_BASE64_LIMIT),
        hexadecimal=high_entropy_strings.HexHighEntropyString(_HEX_LIMIT),
        ignored=(heuristic.is_sequential_string, heuristic.is_potential_uuid),
    )


def redact(text: str) -> str:
    """The text with every character of a secret, line ends apart, replaced: same length."""
    return _blank(text, _settled(text))


def _settled(text: str) -> tuple[Span, ...]:
    """Spans of text to blank, until blanking them leaves nothing more to find."""
    found: list[Span] = []
    while True:
        more = [span for span in _find(text) if set(text[slice(*span)]) - {PLACEHOLDER, "\n"}]
        if not more:
            return tuple(found)
        found += more
        text = _blank(text, more)


def _blank(text: str, spans: Iterable[Span]) -> str:
    for start, end in spans:
        hidden = re.sub(r"[^\n]", PLACEHOLDER, text[start:end])
        text = text[:start] + hidden + text[end:]
    return text


def _find(text: str) -> Iterator[Span]:
    use = _detectors()
    for pattern in use.whole:
        for match in pattern.finditer(text):
            yield _narrow(text, *match.span())
    for pattern in use.parts:
        for match in pattern.finditer(text):
            yield _narrow(text, *match.span(match.lastindex or 0))
    yield from _assigned(text)
    yield from _random(text)


def _narrow(text: str, start: int, end: int) -> Span:
    found = text[start:end]
    return start + len(found) - len(found.lstrip(_BEFORE)), start + len(found.rstrip(_AFTER))


def _assigned(text: str) -> Iterator[Span]:
    """Quoted values of names like `password`, line by line: the patterns know no other ends."""
    use = _detectors()
    done = -1
    for hint in use.keyword.finditer(text):
        if hint.start() < done:
            continue
        start = text.rfind("\n", 0, hint.start()) + 1
        done = text.find("\n", hint.end())
        done = len(text) if done < 0 else done
        line = text[start:done]
        for pattern, group in use.assigned.items():
            for match in pattern.finditer(line):
                if any(c.isalpha() for c in match[group]):
                    yield start + match.start(group), start + match.end(group)


def _random(text: str) -> Iterator[Span]:
    """Quoted strings whose characters look drawn at random."""
    use = _detectors()
    for match in _QUOTED.finditer(text):
        value = match[2]
        detector = use.hexadecimal if _HEX.match(value) else use.base64
        if detector.calculate_shannon_entropy(value) <= detector.entropy_limit:
            continue
        if _mixed(value) and not _alphabet(value) and not any(f(value) for f in use.ignored):
            yield match.span(2)


def _mixed(value: str) -> bool:
    """Whether there are digits among letters: names and paths of code mostly have none."""
    return any(c.isdigit() for c in value) and any(c.isalpha() for c in value)


def _alphabet(value: str) -> bool:
    """Whether most characters follow the one before: '...XYZ0123456789_' is an alphabet."""
    steps = sum(ord(b) - ord(a) == 1 for a, b in pairwise(value))
    return 2 * steps > len(value)


@dataclass(slots=True)
class Redactor:
    """Redacts experiences. Remembers where the secrets of the last `size` sources were, by the
    source's digest, so that the many tasks of a file cost one scan. Not for several threads."""

    size: int = 4096
    _known: OrderedDict[str, tuple[Span, ...]] = field(default_factory=OrderedDict)

    def source(self, text: str) -> str:
        """redact(text), scanned once for each text."""
        key = digest(text)
        spans = self._known.pop(key, None)
        if spans is None:
            spans = _settled(text)
        self._known[key] = spans
        if len(self._known) > self.size:
            self._known.popitem(last=False)
        return _blank(text, spans) if spans else text

    def experience(self, experience: Experience) -> Experience:
        """The experience without secrets; the same object where there were none.

        A candidate is looked at inside the lines it completes: `password = "` and its value may
        lie on two sides of the span. Token ids of a changed text would spell the secret: dropped.
        """
        e = experience
        made = replace(
            e,
            task=self.task(e.task),
            candidate=self._candidate(e.task, e.candidate),
            report=report(e.report) if e.report else None,
            feedback=tuple(feedback(e.task, f) for f in e.feedback),
        )
        return e if made == e else made

    def task(self, task: Task) -> Task:
        """The task without secrets; its span is the same."""
        source, description = self.source(task.source), redact(task.description)
        if source == task.source and description == task.description:
            return task
        return replace(task, source=source, description=description)

    def _candidate(self, task: Task, candidate: Candidate) -> Candidate:
        text = completion(task, candidate.text)
        if text == candidate.text:
            return candidate
        return replace(candidate, text=text, token_ids=())


def completion(task: Task, text: str) -> str:
    """A completion of the task without secrets, looked at inside the lines it stands in."""
    head = task.source[task.source.rfind("\n", 0, task.start) + 1 : task.start]
    end = task.source.find("\n", task.end)
    tail = task.source[task.end : len(task.source) if end < 0 else end]
    inside = redact(head + text + tail)[len(head) : len(head) + len(text)]
    return redact(inside)


def feedback(task: Task, feedback: Feedback) -> Feedback:
    """The feedback with what the user kept redacted in its place."""
    kept = completion(task, feedback.kept)
    return feedback if kept == feedback.kept else replace(feedback, kept=kept)


def report(report: TestReport) -> TestReport:
    """The report with its messages and reason redacted."""
    if not report.reason and not any(o.message for o in report.outcomes):
        return report
    outcomes = tuple(
        replace(o, message=redact(o.message)) if o.message else o for o in report.outcomes
    )
    return replace(report, outcomes=outcomes, reason=redact(report.reason))


def value(data: Any) -> Any:
    """JSON-like data with every text in it redacted; keys of mappings are left."""
    if isinstance(data, str):
        return redact(data)
    if isinstance(data, dict):
        return {key: value(item) for key, item in data.items()}
    if isinstance(data, list | tuple):
        return [value(item) for item in data]
    return data
