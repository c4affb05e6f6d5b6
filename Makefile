# Each target is one plain command of README.md or docs/, for those who like to type less.
PYTHON ?= python3
BIN = .venv/bin

.PHONY: env demo test lint format soak bench

env:
	$(PYTHON) -m venv .venv && $(BIN)/pip install -r requirements-dev.txt

demo:
	$(BIN)/puskesmas-queue demo

test:
	$(BIN)/python scripts/check.py

lint:
	$(BIN)/python scripts/check.py --lint

format:
	$(BIN)/ruff check --fix . && $(BIN)/ruff format .

soak:
	$(BIN)/python -m pytest -m soak --soak

bench:
	$(BIN)/python bench/issue_sqlite.py
	$(BIN)/python bench/issue_postgres.py
	$(BIN)/python bench/call_next.py
	$(BIN)/python bench/live.py
	$(BIN)/python bench/two_processes.py
	$(BIN)/python bench/pages.py
	$(BIN)/python bench/start.py
	$(BIN)/python bench/call_to_pixel.py
	$(BIN)/python bench/call_to_sound.py
	$(BIN)/python bench/flood.py
	$(BIN)/python bench/plugin_faults.py
