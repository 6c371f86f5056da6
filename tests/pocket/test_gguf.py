"""The GGUF file says what the weights say; tests/generation/test_server.py runs it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy
import pytest

from p2assist.errors import ModelError
from p2assist.pocket import weights_path

pytestmark = pytest.mark.model
gguf = pytest.importorskip("gguf")
torch = pytest.importorskip("torch")

from p2assist.pocket.build.gguf import PRECISIONS, Precision, write  # noqa: E402


def tensors(file: Path) -> dict[str, Any]:
    reader = gguf.GGUFReader(file)
    return {t.name: gguf.dequantize(t.data, t.tensor_type) for t in reader.tensors}


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(weights_path(), tmp_path_factory.mktemp("gguf") / "pocket.gguf")


@pytest.mark.parametrize("precision", PRECISIONS)
def test_every_weight_is_in_it(tmp_path: Path, precision: Precision) -> None:
    from safetensors.torch import load_file

    found = tensors(write(weights_path(), tmp_path / "pocket.gguf", precision=precision))
    ours = load_file(str(weights_path() / "model.safetensors"))
    assert len(found) == len(ours)
    wanted = ours["model.layers.1.mlp.up_proj.weight"].float().numpy()
    close = 1e-3 if precision == "f16" else 0
    numpy.testing.assert_allclose(found["blk.1.ffn_up.weight"], wanted, rtol=close, atol=1e-6)
    numpy.testing.assert_array_equal(
        found["output_norm.weight"], ours["model.norm.weight"].float().numpy()
    )


def test_rotated_neighbours_are_the_halves_of_transformers(exported: Path) -> None:
    from safetensors.torch import load_file

    found = tensors(exported)
    theirs = found["blk.0.attn_q.weight"].reshape(8, 64, 512)
    ours = load_file(str(weights_path() / "model.safetensors"))
    query = ours["model.layers.0.self_attn.q_proj.weight"].float().numpy().reshape(8, 64, 512)
    numpy.testing.assert_array_equal(theirs[2, 0:4], query[2, [0, 32, 1, 33]])
    key = ours["model.layers.0.self_attn.k_proj.weight"].float().numpy().reshape(2, 64, 512)
    shared = found["blk.0.attn_k.weight"].reshape(2, 64, 512)
    numpy.testing.assert_array_equal(shared[1, 0:4], key[1, [0, 32, 1, 33]])


def test_the_tokens_are_the_tokenizers(exported: Path) -> None:
    fields = gguf.GGUFReader(exported).fields
    tokens = fields["tokenizer.ggml.tokens"].contents()
    kinds = fields["tokenizer.ggml.token_type"].contents()
    known = json.loads((weights_path() / "tokenizer.json").read_text("utf8"))
    assert all(tokens[number] == token for token, number in known["model"]["vocab"].items())
    assert [t for t, k in zip(tokens, kinds, strict=True) if k == gguf.TokenType.CONTROL] == [
        token["content"] for token in known["added_tokens"]
    ]
    assert len(fields["tokenizer.ggml.merges"].contents()) == len(known["model"]["merges"])
    assert fields["tokenizer.ggml.add_bos_token"].contents() is False


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("config.json", {"model_type": "qwen2"}, "not of the embedded one's kind"),
        ("config.json", {"tie_word_embeddings": False}, "not of the embedded one's kind"),
        ("tokenizer.json", {"normalizer": {"type": "NFC"}}, "not the embedded model's"),
        ("config.json", None, "cannot be read"),
        ("model.safetensors", None, "cannot be read"),
    ],
)
def test_what_it_does_not_know_is_refused_and_leaves_no_file(
    tmp_path: Path, name: str, change: dict[str, object] | None, words: str
) -> None:
    folder = shutil.copytree(weights_path(), tmp_path / "weights")
    if change is None:
        (folder / name).write_bytes(b'{"cut')
    else:
        whole = json.loads((folder / name).read_text("utf8"))
        (folder / name).write_text(json.dumps(whole | change), "utf8")
    with pytest.raises(ModelError, match=words):
        write(folder, tmp_path / "x.gguf")
    assert [file.name for file in tmp_path.iterdir()] == ["weights"]


def test_the_command_writes_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from p2assist.pocket.build.__main__ import main

    main(["gguf", "--workdir", str(tmp_path), "--precision", "bf16"])
    file = Path(capsys.readouterr().out.strip())
    assert file == tmp_path / "pocket-bf16.gguf" and file.stat().st_size < 40_000_000
