from __future__ import annotations

from p2assist_lsp.covering import Covering

from p2assist.experience import CoveringTest, Task


def place(source: str, path: str = "a.py") -> Task:
    at = source.index("|")
    return Task(path, source.replace("|", ""), at, at)


class Finding:
    def __init__(self) -> None:
        self.asked: list[str] = []
        self.covering = Covering(self)

    def __call__(self, task: Task) -> tuple[CoveringTest, ...]:
        self.asked.append(task.source)
        return (CoveringTest(f"t.py::test_{len(self.asked)}"),)

    def of(self, source: str, path: str = "a.py", state: object = 0) -> str:
        (test,) = self.covering.of(place(source, path), state)
        return test.node_id[-1]


def test_a_line_is_looked_up_once_while_it_is_typed():
    finding = Finding()
    typed = ["def f():\n    |\n", "def f():\n    r|\n", "def f():\n    return g(|)\n"]
    assert [finding.of(source) for source in typed] == ["1", "1", "1"]
    assert finding.of("def f():\n    return g(|)\n", state=1) == "2"  # mapped anew
    assert finding.of("def f():\n    return g(|)\n", path="b.py", state=1) == "3"
    assert finding.of("def f():\n    return g(1)\n|", state=1) == "4"  # another line
    assert finding.of("def h():\n    return g(1)\n|", state=1) == "5"  # another file by now
    assert finding.of("def h():\n    return g(1)\n    |", state=1) == "6"  # in the function now


def test_what_names_a_function_is_looked_up_at_every_key():
    finding = Finding()
    for source in ("def ha|\n", "def half|\n", "    async def x|\n", "class A|\n", "@pro|\n"):
        finding.of(source)
    assert len(finding.asked) == 5
