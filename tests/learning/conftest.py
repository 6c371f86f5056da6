"""Small worlds for the learning tests: tasks of made-up functions, a tester that knows the
answer, and a base model of a few thousand random weights."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from p2assist.experience import (
    Candidate,
    CoveringTest,
    Experience,
    Outcome,
    Source,
    Task,
    TestOutcome,
    TestReport,
)

VOCABULARY = 128  # one id a byte of ASCII; 0 stops


def _task(function: str = "f", reference: str = "return 1", path: str = "m.py") -> Task:
    head = f"def {function}():\n    "
    return Task(
        path=path,
        source=head + reference + "\n",
        start=len(head),
        end=len(head) + len(reference),
        function=function,
        tests=(CoveringTest(f"test_m.py::test_{function}", "d"),),
    )


def _report(passed: int, failed: int = 0, *, not_run: int = 0) -> TestReport:
    outcomes = [Outcome.PASSED] * passed + [Outcome.FAILED] * failed + [Outcome.NOT_RUN] * not_run
    return TestReport(tuple(TestOutcome(f"t{n}", o) for n, o in enumerate(outcomes)))


def _experience(
    task: Task | None = None,
    text: str = "return 1",
    report: TestReport | None = None,
    source: Source = Source.SELF,
) -> Experience:
    candidate = Candidate(text, -1.0, 2, model="tiny")
    return Experience(task or _task(), candidate, report, source=source)


@dataclass
class KnowingTester:
    """Passes what equals the reference; counts what it was given."""

    seen: list[str] = field(default_factory=list)

    def test_many(self, pairs: Iterable[tuple[Task, str]]) -> Iterator[TestReport]:
        for task, text in pairs:
            self.seen.append(text)
            yield _report(2) if text == task.reference else _report(1, 1)


@dataclass
class ByteEncoder:
    """Prompts and targets as bytes of the text, at most 24 of the prefix."""

    def prompt(self, task: Task) -> Sequence[int]:
        return list(task.prefix.encode()[-24:])

    def target(self, task: Task, candidate: Candidate) -> Sequence[int]:
        return [*candidate.text.encode(), 0]


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Threads of a tiny model wait for each other longer than they work on a busy machine."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def make_task() -> Callable[..., Task]:
    return _task


@pytest.fixture(scope="session")
def make_report() -> Callable[..., TestReport]:
    """(passed, failed=0, not_run=0) -> a report of so many tests."""
    return _report


@pytest.fixture(scope="session")
def make_experience() -> Callable[..., Experience]:
    return _experience


@pytest.fixture
def tester() -> KnowingTester:
    return KnowingTester()


@pytest.fixture
def encoder() -> ByteEncoder:
    return ByteEncoder()


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random LlamaForCausalLM on disk, 64 positions, VOCABULARY ids."""
    return _save_model(tmp_path_factory.mktemp("model"), seed=0)


@pytest.fixture(scope="session")
def other_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same shape, other weights."""
    return _save_model(tmp_path_factory.mktemp("other"), seed=1)


def _save_model(folder: Path, seed: int) -> Path:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        config = LlamaConfig(
            vocab_size=VOCABULARY,
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=2,
            max_position_embeddings=64,
            initializer_range=0.5,  # else the frozen last layer cannot tell two ids apart
            bos_token_id=None,
            eos_token_id=0,
            pad_token_id=0,
        )
        LlamaForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture
def complete(tiny_model: Path) -> Callable[[Path | None, Sequence[int]], bytes]:
    """Greedy completion of a prompt by the tiny model with an adapter, up to its stop."""

    def run(adapter: Path | None, prompt: Sequence[int]) -> bytes:
        import torch
        from transformers import AutoModelForCausalLM

        model = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32)
        if adapter:
            model.load_adapter(str(adapter))
        out = list(prompt)
        for _ in range(24):
            with torch.no_grad():
                following = int(model(input_ids=torch.tensor([out])).logits[0, -1].argmax())
            if following == 0:
                break
            out.append(following)
        return bytes(out[len(prompt) :])

    return run
