from __future__ import annotations

import inspect
import textwrap

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers

from p2assist.errors import ModelError
from p2assist.generation.vocabulary import Vocabulary


def sentence_piece() -> Tokenizer:
    """Code Llama's kind: blanks as U+2581, one put before a text, other bytes as <0xNN>."""
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    tokens += ["▁", "a", "b", "x", "▁a", "ab", "▁ab"]
    merges = [("▁", "a"), ("a", "b"), ("▁a", "b")]
    vocab = {token: number for number, token in enumerate(tokens)}
    model = models.BPE(vocab, merges, unk_token="<unk>", byte_fallback=True, fuse_unk=True)
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    tokenizer.add_special_tokens(["<s>", "</s>"])
    return tokenizer


@given(st.text(max_size=40))
@example("\u2581")  # SentencePiece's own sign for a blank: it cannot tell the two apart
def test_every_text_comes_back_byte_for_byte(text: str) -> None:
    assert VOCABULARY.text(VOCABULARY.encode(text)) == text
    assert SENTENCES.text(SENTENCES.encode(text, glued=True)) == text.replace("\u2581", " ")


def test_text_that_spells_special_tokens_stays_text(vocabulary: Vocabulary) -> None:
    text = 'END = "<|endoftext|>"; FIM = ("<|fim_prefix|>", "<|fim_suffix|>")'
    ids = vocabulary.encode(text)
    assert vocabulary.text(ids) == text
    assert not set(ids) & set(vocabulary.silent)


def test_tokens_of_a_template_are_special_even_where_the_tokenizer_says_otherwise() -> None:
    tokenizer = Tokenizer.from_str(TOKENIZER.to_str())
    tokenizer.add_tokens([AddedToken("<fim>", normalized=False)])
    number = tokenizer.token_to_id("<fim>")
    assert tokenizer.encode("a<fim>b").ids.count(number) == 1
    guarded = Vocabulary(tokenizer, special=["<fim>"])
    assert number not in guarded.encode("a<fim>b")
    assert guarded.piece(number) == b""


def test_a_blank_is_put_before_a_text_only_where_it_is_not_glued() -> None:
    assert SENTENCES.bytes_of(SENTENCES.encode("ab")) == b" ab"
    assert SENTENCES.bytes_of(SENTENCES.encode("ab", glued=True)) == b"ab"
    assert SENTENCES.bytes_of(SENTENCES.encode(" ab", glued=True)) == b" ab"


def test_newlines_are_all_tokens_that_hold_one(vocabulary: Vocabulary) -> None:
    held = {vocabulary.piece(i) for i in vocabulary.newlines}
    assert b"\n" in held and b"\r" in held and b":\n" in held
    others = set(range(vocabulary.size)) - vocabulary.newlines
    assert not any({10, 13} & set(vocabulary.piece(i)) for i in others)


def test_rows_without_a_token_are_silent() -> None:
    padded = Vocabulary(TOKENIZER, size=VOCABULARY.size + 3)
    assert set(range(VOCABULARY.size, VOCABULARY.size + 3)) <= set(padded.silent)


def test_holding_counts_the_tokens_up_to_the_texts_end(vocabulary: Vocabulary) -> None:
    ids = [*vocabulary.encode("return"), *vocabulary.encode(":\n")]
    count = len(vocabulary.encode("return"))
    assert vocabulary.holding(ids, len("return")) == count
    assert vocabulary.holding(ids, len("return:")) == count + 1
    assert vocabulary.holding(ids, 0) == 0


@pytest.mark.parametrize("lead", [b" ", b"ret", b" self", b"_na", "é".encode()])
def test_what_can_spell_a_lead_begins_with_it_or_the_other_way_round(
    vocabulary: Vocabulary, lead: bytes
) -> None:
    pieces = {i: vocabulary.piece(i) for i in range(vocabulary.size)}
    wanted = {i for i, p in pieces.items() if p and (p.startswith(lead) or lead.startswith(p))}
    found = vocabulary.spelling(lead)
    assert set(found) == wanted and len(found) == len(wanted) > 0


def test_half_a_character_is_no_text(vocabulary: Vocabulary) -> None:
    ids = vocabulary.encode("é")
    assert len(ids) == 2
    with pytest.raises(UnicodeDecodeError):
        vocabulary.text(ids[:1])


def test_an_unknown_token_says_so(vocabulary: Vocabulary) -> None:
    with pytest.raises(ModelError, match="no token '<nope>'"):
        vocabulary.id_of("<nope>")


def test_a_tokenizer_that_does_not_spell_bytes_is_refused() -> None:
    tokenizer = Tokenizer(models.WordLevel({"a": 0, "[UNK]": 1}, unk_token="[UNK]"))
    tokenizer.decoder = decoders.WordPiece()
    with pytest.raises(ModelError, match="choose another model"):
        Vocabulary(tokenizer)


def _learned() -> Tokenizer:
    from tokenizers import trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([inspect.getsource(textwrap)], trainer)
    return tokenizer


TOKENIZER = _learned()
VOCABULARY = Vocabulary(TOKENIZER)
SENTENCES = Vocabulary(sentence_piece())
