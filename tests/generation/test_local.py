from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from p2assist.config import GenerationConfig
from p2assist.errors import AdapterError, ModelError
from p2assist.experience import SpanKind, Task

# peft 0.21 reads a name that transformers 5.23 is about to drop.
PEFT = "ignore:`is_gradient_checkpointing`:FutureWarning"
pytestmark = [pytest.mark.model, pytest.mark.filterwarnings(PEFT)]
torch = pytest.importorskip("torch")

from p2assist.generation import loading  # noqa: E402
from p2assist.generation.local import LocalGenerator  # noqa: E402

if TYPE_CHECKING:
    from p2assist.generation.generator import Generator

MakeTask = Callable[..., Task]
FILE = "def add(a, b):\n    total = |a + b|\n    return total\n"


def test_it_is_a_generator(generator: LocalGenerator) -> None:
    made: Generator = generator
    assert made.model.endswith("tiny") and made.adapter == ""
    assert generator.encoder.template.family == "pocket"


def test_candidates_are_different_ranked_and_say_where_they_come_from(
    generator: LocalGenerator, task: MakeTask
) -> None:
    made = generator.generate(task(FILE), beams=6)
    assert len(made) == 6 == len({c.text for c in made})
    assert [c.rank for c in made] == list(range(6))
    sums = [c.logprob for c in made]
    assert sums == sorted(sums, reverse=True)
    for candidate in made:
        assert "\n" not in candidate.text and candidate.text == candidate.text.rstrip()
        assert candidate.mass is not None and candidate.mass >= candidate.logprob
        assert 0 < candidate.num_tokens <= generator.max_tokens(SpanKind.LINE)
        spelled = generator.encoder.vocabulary.bytes_of(candidate.token_ids).decode()  # type: ignore[attr-defined]
        assert spelled.startswith(generator.encoder.lead(task(FILE)) + candidate.text)
        assert candidate.model == generator.model


def test_the_reference_never_reaches_the_model(generator: LocalGenerator, task: MakeTask) -> None:
    hidden = task(FILE.replace("|a + b|", "|"))
    assert generator.generate(task(FILE)) == generator.generate(hidden)


def test_the_same_task_gives_the_same_candidates(generator: LocalGenerator, task: MakeTask) -> None:
    assert generator.generate(task(FILE)) == generator.generate(task(FILE))


@pytest.mark.parametrize("kind", list(SpanKind))
def test_every_kind_gives_candidates(
    generator: LocalGenerator, task: MakeTask, kind: SpanKind
) -> None:
    made = generator.generate(task("def f(x):\n    |pass|\n", kind), beams=4)
    assert made and all(c.text for c in made)


def test_a_line_gets_half_the_tokens(generator: LocalGenerator) -> None:
    assert generator.max_tokens(SpanKind.BODY) == 24
    assert generator.max_tokens(SpanKind.LINE) == 12


def test_what_was_generated_scores_the_same_where_it_is_spelled_the_same(
    generator: LocalGenerator, task: MakeTask
) -> None:
    made = task(FILE)
    candidates = generator.generate(made, beams=8)
    scored = generator.score(made, [c.text for c in candidates])
    assert [(c.text, c.rank) for c in scored] == [(c.text, i) for i, c in enumerate(candidates)]
    alike = [
        (one, two)
        for one, two in zip(candidates, scored, strict=True)
        if (one.token_ids, one.num_tokens) == (two.token_ids, two.num_tokens)
    ]
    assert len(alike) >= 4
    for one, two in alike:
        assert two.logprob == pytest.approx(one.logprob, abs=2e-4)


def test_a_score_is_that_of_the_likeliest_spelling_and_its_mass_of_all(
    generator: LocalGenerator, task: MakeTask
) -> None:
    made, text = task(FILE), "a + b"
    ways = generator.encoder.spellings(made, text)
    sums = generator._search.score(generator.encoder.prompt(made), ways)
    [scored] = generator.score(made, [text])
    assert scored.logprob == pytest.approx(max(sums), abs=1e-5)
    assert scored.mass == pytest.approx(math.log(sum(map(math.exp, sums))), abs=1e-4)
    assert scored.num_tokens == len(ways[sums.index(max(sums))])
    assert generator.score(made, []) == []


def test_the_target_that_learning_trains_on_is_among_what_is_scored(
    generator: LocalGenerator, task: MakeTask
) -> None:
    for kind in SpanKind:
        made = task(FILE, kind)
        [candidate] = generator.score(made, ["a + b"])
        target = generator.encoder.target(made, candidate)
        assert target in generator.encoder.spellings(made, "a + b")
        assert len(target) == candidate.num_tokens


def test_a_model_without_infilling_begins_with_the_blank_it_was_not_shown(
    save_model: Callable[..., Path], tmp_path: Path, task: MakeTask
) -> None:
    folder = save_model(tmp_path / "left", p2assist_template="plain")
    plain = LocalGenerator.load(
        str(folder), config=GenerationConfig(max_tokens=16), dtype="float32"
    )
    made = task("def f(x):\n    return |x|\n")
    candidates = plain.generate(made, beams=6)
    assert len(candidates) >= 2
    for candidate in candidates:
        spelled = plain.encoder.vocabulary.bytes_of(candidate.token_ids).decode()  # type: ignore[attr-defined]
        assert spelled.startswith(" " + candidate.text)
    sums = plain._search.score(
        plain.encoder.prompt(made), [(*c.token_ids, 0) for c in candidates if c.num_tokens > 1]
    )
    assert all(math.isfinite(value) for value in sums)


@pytest.mark.parametrize("template", ["plain", "pocket"])
@pytest.mark.parametrize(
    "text", ["class A:\n    def f(self):\n        return self._na|", "x = re|"]
)
def test_a_cursor_within_a_word_completes_the_word(
    save_model: Callable[..., Path], tmp_path: Path, task: MakeTask, text: str, template: str
) -> None:
    folder = save_model(tmp_path / "model", p2assist_template=template)
    healed = LocalGenerator.load(
        str(folder), config=GenerationConfig(max_tokens=16), dtype="float32"
    )
    made = task(text)
    lead = healed.encoder.lead(made)
    assert lead and made.prefix.endswith(lead)
    candidates = healed.generate(made, beams=8)
    assert len(candidates) == 8
    bytes_of = healed.encoder.vocabulary.bytes_of
    for one in candidates:
        assert bytes_of(one.token_ids).decode("utf-8", "ignore").startswith(lead + one.text)
    for one, two in zip(candidates, healed.score(made, [c.text for c in candidates]), strict=True):
        # Where it is spelled the same way; a beam may know a likelier one than the tokenizer's.
        if one.token_ids == two.token_ids and one.num_tokens == two.num_tokens:
            assert two.logprob == pytest.approx(one.logprob, abs=1e-3)


def test_a_config_that_asks_for_an_unknown_template_is_refused(
    save_model: Callable[..., Path], tmp_path: Path
) -> None:
    folder = save_model(tmp_path / "odd", width=8, p2assist_template="sideways")
    with pytest.raises(ModelError, match="'sideways'; there are qwen"):
        LocalGenerator.load(str(folder))


@pytest.mark.parametrize(
    ("settings", "config", "wanted"),
    [
        ({"max_tokens": 24}, {}, 256 - 24),  # 512 of pocket's, but it has 256 positions
        ({"max_tokens": 24, "max_prompt_tokens": 50}, {}, 50),
        ({"max_tokens": 24, "max_prompt_tokens": 5000}, {}, 256 - 24),
        ({"max_tokens": 24}, {"p2assist_context": 100}, 76),
    ],
)
def test_the_prompt_is_as_long_as_the_model_was_trained_on(
    save_model: Callable[..., Path],
    tmp_path: Path,
    settings: dict[str, int],
    config: dict[str, Any],
    wanted: int,
) -> None:
    folder = save_model(tmp_path / "model", width=8, **config)
    loaded = LocalGenerator.load(str(folder), config=GenerationConfig(**settings))
    assert loaded.encoder.size == wanted


def test_it_says_nothing_on_the_terminal(tiny: Path, capfd: pytest.CaptureFixture[str]) -> None:
    LocalGenerator.load(str(tiny))
    assert capfd.readouterr() == ("", "")


# What cannot be loaded


def test_a_missing_folder_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"there is no model in .*nowhere: give a folder"):
        LocalGenerator.load(str(tmp_path / "nowhere"))


def test_a_hub_model_that_is_not_here_says_how_to_fetch_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    calls = []

    def absent(place: str, **options: object) -> None:
        calls.append(options)
        raise OSError(f"{place} is not a local folder")

    monkeypatch.setattr(loading.AutoTokenizer, "from_pretrained", absent)
    with pytest.raises(ModelError, match=r"'nobody/nothing' cannot be loaded.*hf download nobody/"):
        LocalGenerator.load("nobody/nothing")
    assert [call.get("local_files_only", False) for call in calls] == [True, False]
    assert all(call["trust_remote_code"] is False for call in calls)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_damaged_model_is_a_model_error(tiny: Path, tmp_path: Path, name: str) -> None:
    folder = shutil.copytree(tiny, tmp_path / "broken")
    whole = (folder / name).read_bytes()
    (folder / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match="cannot be loaded"):
        LocalGenerator.load(str(folder))


def test_pickled_weights_are_not_loaded(tiny: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny, tmp_path / "pickled")
    (folder / "model.safetensors").unlink()
    torch.save({"x": torch.zeros(1)}, folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match="in safetensors"):
        LocalGenerator.load(str(folder))


def test_code_that_comes_with_a_model_is_not_run(tiny: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny, tmp_path / "custom")
    mark = tmp_path / "ran"
    (folder / "own.py").write_text(f"open({str(mark)!r}, 'w')\nclass A: ...\nclass B: ...\n")
    config = json.loads((folder / "config.json").read_text())
    config |= {
        "model_type": "own",
        "auto_map": {"AutoConfig": "own.A", "AutoModelForCausalLM": "own.B"},
    }
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="needs no code of its own"):
        LocalGenerator.load(str(folder))
    assert not mark.exists()


# Adapters


def load(model: Path, adapter: Path) -> LocalGenerator:
    return LocalGenerator.load(
        str(model),
        adapter=adapter,
        adapter_name="a-1",
        config=GenerationConfig(max_tokens=24),
        dtype="float32",
    )


def test_an_adapter_is_merged_and_named(
    tiny: Path,
    tmp_path: Path,
    make_adapter: Callable[..., Path],
    generator: LocalGenerator,
    task: MakeTask,
) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    folder = make_adapter(tiny, tmp_path / "adapter")
    loaded, made = load(tiny, folder), task(FILE)
    assert {c.adapter for c in loaded.generate(made, beams=2)} == {"a-1"}
    [scored] = loaded.score(made, ["a + b"])
    prompt, ids = loaded.encoder.prompt(made), loaded.encoder.target(made, scored)
    adapted = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(tiny), str(folder))
    with torch.inference_mode():
        logits = adapted(input_ids=torch.tensor([[*prompt, *ids]])).logits[0]
    table = torch.log_softmax(logits[len(prompt) - 1 : -1], -1)
    wanted = float(table[range(len(ids)), list(ids)].sum())
    [score] = loaded._search.score(prompt, [ids])
    assert score == pytest.approx(wanted, abs=2e-3)
    assert abs(score - generator._search.score(prompt, [ids])[0]) > 0.02


def test_an_adapter_put_on_a_loaded_model_is_as_if_it_had_been_loaded_with_it(
    tiny: Path, tmp_path: Path, make_adapter: Callable[..., Path], task: MakeTask
) -> None:
    folder, made = make_adapter(tiny, tmp_path / "adapter"), task(FILE)
    base = LocalGenerator.load(str(tiny), config=GenerationConfig(max_tokens=24), dtype="float32")
    before = base.generate(made)
    adapted = base.with_adapter(folder, "a-1")
    assert adapted.generate(made) == load(tiny, folder).generate(made) != before
    assert adapted.adapter == "a-1" and base.adapter == ""
    # None of it has touched the base, and going back is going back.
    for again in (base.generate(made), adapted.with_adapter(None).generate(made)):
        assert [c.text for c in again] == [c.text for c in before]
        # A prompt that is known is computed in another order than a new one.
        assert [c.logprob for c in again] == pytest.approx([c.logprob for c in before], abs=1e-4)


def test_only_what_an_adapter_touches_is_held_twice(
    tiny: Path, tmp_path: Path, make_adapter: Callable[..., Path]
) -> None:
    base = LocalGenerator.load(str(tiny), dtype="float32")
    folder = make_adapter(tiny, tmp_path / "adapter", targets=["q_proj"])
    weights = [g._search.forward.weights for g in (base, base.with_adapter(folder))]  # type: ignore[attr-defined]
    one, two = weights
    assert one.embedding is two.embedding and one.head is two.head
    for before, after in zip(one.blocks, two.blocks, strict=True):
        assert before.qkv is not after.qkv
        assert before.out is after.out and before.up is after.up and before.down is after.down
    assert base._base.loaded.network is None


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_any_number_of_threads_may_ask(tiny: Path, task: MakeTask, dtype: Any) -> None:
    from concurrent.futures import ThreadPoolExecutor

    config = GenerationConfig(max_tokens=16)
    shared = LocalGenerator.load(str(tiny), config=config, dtype=dtype)
    tasks = [task(f"def f{n}(x):\n    total = x + {n}\n    return |") for n in range(6)]
    alone = [LocalGenerator.load(str(tiny), config=config, dtype=dtype).generate(t) for t in tasks]
    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(shared.generate, tasks))
    assert [[c.text for c in made] for made in together] == [[c.text for c in m] for m in alone]


def test_an_adapter_of_another_base_model_is_refused_by_name(
    tiny: Path, tmp_path: Path, make_adapter: Callable[..., Path]
) -> None:
    folder = make_adapter(tiny, tmp_path / "adapter", name="Qwen/Qwen2.5-Coder-0.5B")
    with pytest.raises(AdapterError, match=r"made for the base model 'Qwen/Qwen2\.5-Coder-0\.5B'"):
        load(tiny, folder)


def test_an_adapter_of_another_base_model_is_refused_by_shape(
    tiny: Path, tmp_path: Path, make_adapter: Callable[..., Path], save_model: Callable[..., Path]
) -> None:
    other = save_model(tmp_path / "other" / "tiny", width=16)  # the same name, in another folder
    folder = make_adapter(other, tmp_path / "adapter")
    with pytest.raises(AdapterError, match="it was made for another base model"):
        load(tiny, folder)


def test_a_truncated_adapter_is_refused(
    tiny: Path, tmp_path: Path, make_adapter: Callable[..., Path]
) -> None:
    folder = make_adapter(tiny, tmp_path / "adapter")
    file = folder / "adapter_model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(AdapterError, match=r"is damaged .*p2assist adapters rollback"):
        load(tiny, folder)


def test_a_folder_without_an_adapter_is_refused(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match="there is no adapter"):
        load(tiny, tmp_path)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("{", "is damaged"),
        ("[]", "does not describe a LoRA adapter"),
        ('{"peft_type": "IA3"}', "does not describe a LoRA adapter"),
        ('{"peft_type": "LORA", "megatron_config": {"a": 1}}', "asks for Megatron"),
        ('{"peft_type": "LORA"}', "other formats are not loaded"),
    ],
)
def test_a_bad_adapter_config_is_refused(
    tiny: Path, tmp_path: Path, config: str, message: str
) -> None:
    (tmp_path / "adapter_config.json").write_text(config)
    with pytest.raises(AdapterError, match=message):
        load(tiny, tmp_path)
