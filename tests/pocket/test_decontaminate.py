"""The proof that held-out code stays out of the corpus by content, whatever its name."""

from __future__ import annotations

import ast
import textwrap

import pytest

from p2assist.pocket.build.decontaminate import Cut, HeldOut

HELD = textwrap.dedent('''
    def windowed(seq, n, fillvalue=None, step=1):
        """Return a sliding window of width n over the given iterable."""
        if n < 0:
            raise ValueError('n must be >= 0')
        if n == 0:
            yield ()
            return
        window = deque(maxlen=n)
        i = n
        for _ in map(window.append, seq):
            i -= 1
            if not i:
                i = step
                yield tuple(window)
        size = len(window)
        if size < n:
            yield tuple(chain(window, repeat(fillvalue, n - size)))


    def tiny(x):
        return x
''')

UNRELATED = textwrap.dedent('''
    def read_settings(path, *, encoding="utf8"):
        """Return the settings of a file."""
        settings = {}
        with open(path, encoding=encoding) as lines:
            for line in lines:
                key, _, value = line.partition("=")
                settings[key.strip()] = value.strip()
        return settings
''')


@pytest.fixture
def held() -> HeldOut:
    return HeldOut([HELD])


def cut(held: HeldOut, source: str) -> Cut:
    return held.cut(ast.parse(source), source)


def test_only_functions_of_some_length_are_fingerprinted(held: HeldOut) -> None:
    assert len(held) == 1


def test_a_copy_in_a_renamed_file_is_cut_and_the_rest_kept(held: HeldOut) -> None:
    copied = HELD.split("\n\n\n")[0]
    result = cut(held, UNRELATED + "\n\n" + copied + "\n\n\nLIMIT = 3\n" + UNRELATED)

    assert result.removed == ("windowed",)
    assert "windowed" not in result.text
    assert result.text.count("def read_settings") == 2
    assert "LIMIT = 3" in result.text
    ast.parse(result.text)


def test_docstring_comments_and_whitespace_do_not_hide_a_copy(held: HeldOut) -> None:
    disguised = (
        HELD.replace(
            '"""Return a sliding window of width n over the given iterable."""', "'''W.'''"
        )
        .replace("    window = deque(maxlen=n)", "    # a ring\n\n    window = deque( maxlen = n )")
        .replace("    ", "  ")
        .replace("'n must be >= 0'", '"n must be >= 0"')
    )

    assert cut(held, disguised + UNRELATED).removed == ("windowed",)


def test_a_partly_edited_copy_is_caught(held: HeldOut) -> None:
    edited = (
        HELD.replace("windowed", "sliding")
        .replace("fillvalue", "filler")
        .replace("    if n == 0:\n        yield ()\n        return\n", "")
    )

    assert cut(held, edited + UNRELATED).removed == ("sliding",)


def test_a_copy_inside_a_longer_function_is_caught(held: HeldOut) -> None:
    body = HELD.split("\n\n\n")[0].strip().split('"""\n')[1]
    more = "".join(f"    log.debug('step %d', first_{i} + second_{i})\n" for i in range(60))
    longer = f"def everything(seq, n, fillvalue, step):\n{more}{body}\n"

    assert cut(held, longer + UNRELATED).removed == ("everything",)


def test_a_method_made_of_a_held_function_is_cut_with_its_decorators(held: HeldOut) -> None:
    copied = textwrap.indent(HELD.split("\n\n\n")[0].strip(), "    ")
    source = f"class Tools:\n    limit = 1\n\n    @staticmethod\n{copied}\n{UNRELATED}"

    result = cut(held, source)

    assert result.removed == ("windowed",)
    assert "@staticmethod" not in result.text
    assert "limit = 1" in result.text
    ast.parse(result.text)


def test_a_file_made_mostly_of_copies_goes_whole(held: HeldOut) -> None:
    twice = HELD.split("\n\n\n")[0] + HELD.split("\n\n\n")[0].replace("windowed", "windows")

    result = cut(held, twice + UNRELATED)

    assert result.text == ""
    assert len(result.removed) == 2


def test_an_unrelated_function_is_kept(held: HeldOut) -> None:
    assert cut(held, UNRELATED) == Cut(UNRELATED, ())


def test_a_short_function_is_kept_even_if_it_is_the_same(held: HeldOut) -> None:
    source = "def tiny(x):\n    return x\n"

    assert cut(held, source) == Cut(source, ())
