# Every target works from a bare checkout: `make` lists them.
.DEFAULT_GOAL := help
.PHONY: help setup demo test check fmt docs bench garak soak fuzz clean

PORT ?= 8000
FAISS ?= cpu
JOBS ?= 2
FUZZ_SECONDS ?= 60
export PORT

ifeq ($(filter cpu gpu,$(FAISS)),)
$(error FAISS is '$(FAISS)': it must be cpu or gpu)
endif

BIN := .venv/bin
SETUP := sh scripts/setup.sh $(FAISS)
CODE := $(wildcard ingest rag_bot benchmarks scripts samples tests)

help: ## list the targets (this)
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1|\2/p' Makefile | awk -F'|' '{printf "%-14s %s\n", $$1, $$2}'
	@echo "  Settings: PORT=8000, FAISS=cpu or gpu, PYTHON=…, CHROMIUM=…, JOBS=2, PYTEST_ARGS='…', BENCH_ARGS='…'"

setup: ## make .venv with everything the other targets need
	@$(SETUP) dev bench

demo: ## serve a chat about samples/handbook on 127.0.0.1:$(PORT)
	@$(SETUP)
	@exec sh scripts/demo.sh

test: ## every check and every test, as CI runs them
	@$(SETUP) dev
	@sh scripts/chromium.sh >/dev/null
	@$(MAKE) --no-print-directory check
	CHROMIUM="$$(sh scripts/chromium.sh)" $(BIN)/pytest -q -n $(JOBS) --dist loadfile tests $(PYTEST_ARGS)

check: ## format, lint and types
	@$(SETUP) dev
	$(BIN)/ruff format --check --quiet $(CODE)
	$(BIN)/ruff check --quiet $(CODE)
	$(BIN)/mypy

fmt: ## put the code in form
	@$(SETUP) dev
	$(BIN)/ruff check --quiet --fix-only $(CODE)
	$(BIN)/ruff format --quiet $(CODE)

docs: ## write docs/configuration.md and docs/cli.md from the code
	@$(SETUP) dev
	$(BIN)/python -m scripts.make_docs

bench: ## measure speed and quality into benchmarks/
	@$(SETUP) dev bench
	$(BIN)/python -m benchmarks $(BENCH_ARGS)

garak: ## garak's attacks against the service and the bare model (half an hour; an environment of its own in .garak)
	@$(SETUP) dev
	sh scripts/garak.sh

soak: ## the long runs: kills, faults and load by the hundred
	@$(SETUP) dev
	RAG_BOT_SOAK=1 $(BIN)/pytest -q -n $(JOBS) --dist loadfile tests -m soak $(PYTEST_ARGS)

fuzz: ## coverage-guided fuzzing of every parser: FUZZ_SECONDS=60 for each, FUZZ='pdf html' for some
	@$(SETUP) dev fuzz || { echo "make fuzz needs atheris, which has wheels for Linux on x86-64 only (elsewhere: clang)." >&2; exit 1; }
	$(BIN)/python -m scripts.fuzz $(FUZZ) --seconds $(FUZZ_SECONDS)

clean: ## remove .venv, the demo's index and what the tools cached
	rm -rf .venv .garak .demo .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
