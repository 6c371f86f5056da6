from __future__ import annotations

import inspect
import json
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from p2assist.errors import ConfigError
from p2assist.pocket.build import sources, tokenizer

TEXT = inspect.getsource(sources)


def test_special_tokens_have_the_first_ids(learned: Tokenizer) -> None:
    assert learned.get_vocab_size() == 600
    assert [tokenizer.token_id(learned, token) for token in tokenizer.SPECIAL] == [0, 1, 2, 3, 4]
    assert tokenizer.SPECIAL[0] == "<|endoftext|>"


def test_encoding_adds_nothing_and_comes_back(learned: Tokenizer) -> None:
    for text in (TEXT, "", "\tx = 'ü € 東 \U0001f600'\r\n", "   \n\n  y"):
        ids = learned.encode(text).ids
        assert learned.decode(ids) == text
        assert not set(ids) & set(range(len(tokenizer.SPECIAL)))


def test_special_tokens_in_a_text_are_recognised(learned: Tokenizer) -> None:
    ids = learned.encode("<|fim_suffix|>\n<|fim_prefix|>x").ids
    assert ids[0] == 3
    assert 1 in ids


def test_the_files_are_of_the_qwen2_class(learned: Tokenizer, tmp_path: Path) -> None:
    tokenizer.save(learned, tmp_path, positions=2048)

    content = json.loads((tmp_path / "tokenizer.json").read_text("utf8"))
    split, level = content["pre_tokenizer"]["pretokenizers"]
    assert split["pattern"]["Regex"].startswith("(?i:'s|'t|'re|'ve|'m|'ll|'d)")
    assert (level["type"], level["use_regex"]) == ("ByteLevel", False)
    config = json.loads((tmp_path / "tokenizer_config.json").read_text("utf8"))
    assert config["eos_token"] == config["pad_token"] == "<|endoftext|>"
    assert "bos_token" not in config
    assert tokenizer.load(tmp_path).encode(TEXT).ids == learned.encode(TEXT).ids


def test_a_missing_token_is_named(learned: Tokenizer) -> None:
    with pytest.raises(ConfigError, match="no token <\\|nope\\|>"):
        tokenizer.token_id(learned, "<|nope|>")
