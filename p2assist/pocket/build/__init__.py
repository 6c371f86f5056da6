"""The recipe of the embedded model: corpus, tokenizer, train, export, evaluate."""
