# Two commands do everything: `make demo` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed

.PHONY: demo test bench lint e2e-setup e2e tour vsix server-setup server clean

demo: $(INSTALLED)  ## the whole loop on a real package
	$(BIN)/python -m examples.demo

test: $(INSTALLED) lint  ## unit, integration, lint, types, import rules
	$(BIN)/python -m pytest -n 2 --dist loadfile

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(INSTALLED)  ## every figure that the README states
	$(BIN)/python -m benchmarks.practice
	$(BIN)/python -m benchmarks.learning
	$(BIN)/python -m benchmarks.replay
	$(BIN)/python -m benchmarks.prompting
	$(BIN)/python -m benchmarks.beam
	$(BIN)/python -m benchmarks.attacks
	$(BIN)/python -m benchmarks.harness
	$(BIN)/python -m benchmarks.editor

e2e-setup: $(INSTALLED)  ## fetch the real editors into .e2e/ (once; root, node 20 or later)
	tests/e2e/setup.sh

e2e: $(INSTALLED) vsix  ## drive the real VS Code and the real Neovim; screenshots in .e2e/shots/
	$(BIN)/python -m pytest -m e2e tests/e2e

server-setup:  ## compile a llama.cpp server into .llama/ (once; a C++ compiler, about 15 minutes)
	$(PYTHON) -m venv .llama
	.llama/bin/python -m pip install --disable-pip-version-check -q 'llama-cpp-python[server]==0.3.36'

server: $(INSTALLED)  ## complete by a real llama.cpp server
	$(BIN)/python -m pytest -m server tests/generation/remote

vsix:  ## check, test and package the VS Code extension (node 20 or later)
	cd lsp/vscode && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	cd lsp/vscode && npm run --silent check && npm test --silent && npm run --silent package

tour: $(INSTALLED)  ## record examples/editors/tour.svg anew (after make e2e-setup)
	$(BIN)/python tests/e2e/tour.py

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "p2assist needs Python 3.11+")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check -q -c constraints.txt -e '.[model,lsp,dev]'
	touch $@

clean:
	rm -rf .venv .demo .e2e .llama .p2assist .mypy_cache .ruff_cache .pytest_cache
