# The two commands: `make demo` and `make test`. `make` alone prints the targets.
SHELL := bash
.SHELLFLAGS := -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
ARGS ?=
VENV := .venv
RUN := $(VENV)/bin/python
STAMP := $(VENV)/installed

.PHONY: help env demo test lint format clean distclean

help:  ## print the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## */  make \1|/' | \
		while IFS='|' read -r target text; do printf '%-18s %s\n' "$$target" "$$text"; done

env: $(STAMP)  ## make .venv and install semigan_pl into it; PYTHON=python3.12 chooses the interpreter

demo: env  ## train and test on handwritten digits, then write a report; ARGS="model.gamma=0.7" passes Hydra options
	@$(RUN) run.py $(ARGS)

test: env  ## run the tests; ARGS="-k splits" passes pytest options
	@OMP_NUM_THREADS=1 $(RUN) -m pytest -n 2 $(ARGS)

lint: env  ## check style (ruff) and types (mypy)
	@$(RUN) -m ruff check
	@$(RUN) -m ruff format --check
	@$(RUN) -m mypy

format: env  ## let ruff rewrite the files in its style
	@$(RUN) -m ruff check --fix
	@$(RUN) -m ruff format

clean:  ## delete caches; outputs/, multirun/ and .venv stay
	@rm -rf build dist .pytest_cache .hypothesis .mypy_cache .ruff_cache
	@find . -path ./$(VENV) -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean  ## delete .venv too
	@rm -rf $(VENV)

# Written last, so that an installation that was cut short is taken up again; newer requirements are installed over the old.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' 2>/dev/null || { \
		echo "semigan_pl needs Python 3.10 to 3.13, and $(PYTHON) is $$($(PYTHON) --version 2>&1): name another one, as in make env PYTHON=python3.12" >&2; exit 1; }
	@echo "Installing semigan_pl and what it needs into $(VENV): some minutes the first time (torch alone may be 2 GB)."
	@test -x $(VENV)/bin/pip || $(PYTHON) -m venv $(VENV)
	@$(RUN) -m pip install --disable-pip-version-check --progress-bar off -c constraints.txt -e ".[dev]" \
		| { grep --line-buffered -oE '(Downloading|Using cached) [^ ]+ \([0-9.]+ [MG]B\)|Installing collected packages' || true; }
	@touch $@
	@echo "The environment is ready."
