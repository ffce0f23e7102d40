# The two commands: `make demo` and `make test`. `make` alone prints the targets.
SHELL := bash
.DEFAULT_GOAL := help

PYTHON ?= python3
ARGS ?=
VENV := .venv
RUN := $(VENV)/bin/python
STAMP := $(VENV)/installed

.PHONY: help env demo test lint format clean distclean study-mnist study-gamma study-digits study-photos study-look study-growing study-search table-mnist table2 bench-training bench-search bench-ganomaly bench-rgraph bench-baselines bench-comparing launchers

help:  ## print the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-15s %s\n", $$1, $$2}' Makefile

env: $(STAMP)  ## make .venv and install semigan_pl into it; PYTHON=python3.12 chooses the interpreter
	@echo "The environment is ready: $(VENV)"

demo: $(STAMP)  ## train and test on handwritten digits, then write a report; ARGS="model.gamma=0.7" passes Hydra options
	@$(RUN) run.py $(ARGS)

test: $(STAMP)  ## run the tests; ARGS="-k splits" passes pytest options
	@OMP_NUM_THREADS=1 $(RUN) -m pytest -n 2 $(ARGS)

lint: $(STAMP)  ## check style (ruff) and types (mypy)
	@$(RUN) -m ruff check
	@$(RUN) -m ruff format --check
	@$(RUN) -m mypy

format: $(STAMP)  ## let ruff rewrite the files in its style
	@$(RUN) -m ruff check --fix
	@$(RUN) -m ruff format

study-mnist: $(STAMP)  ## two hours on 2 cores: gamma under contamination; MNIST=folder
	@bash experiments/mnist_gamma/run.sh "$(MNIST)"
	@$(RUN) experiments/mnist_gamma/collect.py multirun/mnist_gamma

study-gamma: $(STAMP)  ## five hours on 2 cores, goes on where it stopped: gamma, known anomalies, losses, figures; MNIST=folder
	@for study in gamma_x_contamination known losses figures; do bash experiments/gamma_studies.sh $$study "$(MNIST)" || exit 1; done
	@bash experiments/gamma_studies.sh collect "$(MNIST)"

study-digits: $(STAMP)  ## half an hour: the demo on three seeds, and with one kind of anomaly hidden at a time
	@bash experiments/digits_demo/run.sh
	@$(RUN) experiments/digits_demo/collect.py multirun

study-photos: $(STAMP)  ## minutes: CALTECH256=folder CLUTTER=folder PHOTOS=folder with normal/ and anomalous/
	@bash experiments/real_images/run.sh "$(CALTECH256)" "$(CLUTTER)" "$(PHOTOS)"

study-look: $(STAMP)  ## an hour on 2 cores: audits, tiles and screw with masks; MNIST=folder TILES=folder MVTEC=folder
	@bash experiments/first_look/run.sh "$(MNIST)" "$(TILES)" "$(MVTEC)"

study-growing: $(STAMP)  ## two hours on 2 cores: growing networks; MNIST=folder CALTECH256=folder CLUTTER=folder
	@bash experiments/progressive/run.sh "$(MNIST)" "$(CALTECH256)" "$(CLUTTER)" outputs/progressive
	@$(RUN) experiments/progressive/collect.py outputs/progressive
	@$(RUN) experiments/progressive/full_size.py run=outputs/full_size

study-search: $(STAMP)  ## an hour on 2 cores: how the latent search scales, starts and steps; MNIST=folder
	@bash experiments/search/run.sh "$(MNIST)"

table-mnist: $(STAMP)  ## days on 2 cores, goes on where it stopped: every method on MNIST; MNIST=folder ARGS="table.only.classes=[8]"
	@$(RUN) run.py +experiment=table_mnist data.root="$(MNIST)" $(ARGS)

table2: $(STAMP)  ## two hours on 2 cores, goes on where it stopped: the paper's table 2; CALTECH256=folder CLUTTER=folder
	@$(RUN) run.py -m +experiment=table2 +budget=cpu table.at_once=2 data.root="$(CALTECH256)" data.clutter="$(CLUTTER)" $(ARGS)

bench-training: $(STAMP)  ## training throughput beside a plain PyTorch loop, both kinds of networks; MNIST=folder
	@$(RUN) benchmarks/training.py +experiment=mnist data.root="$(MNIST)"
	@$(RUN) benchmarks/training.py +experiment=mnist_progressive growth.first=32 data.root="$(MNIST)"

bench-search: $(STAMP)  ## latent search beside AnoGAN's as published; trains a detector first; MNIST=folder
	@$(RUN) benchmarks/search.py +experiment=mnist data.root="$(MNIST)"

bench-ganomaly: $(STAMP)  ## ten minutes on 2 cores: GANomaly beside anomalib's; ANOMALIB=its own environment's python MNIST=folder
	@$(RUN) benchmarks/ganomaly.py --anomalib "$(ANOMALIB)" data.root="$(MNIST)"

bench-rgraph: $(STAMP)  ## minutes: R-graph's elastic nets beside scikit-learn's
	@$(RUN) benchmarks/rgraph.py

bench-baselines: $(STAMP)  ## an hour: time and memory of the classical baselines against the number of points
	@$(RUN) benchmarks/baselines.py outputs/baselines

bench-comparing: $(STAMP)  ## a minute: task=compare over a thousand copies of a finished run; RUN_FOLDER=folder
	@$(RUN) benchmarks/comparing.py "$(RUN_FOLDER)"

# Without the constraints: Ray's launcher wants an older cloudpickle than joblib takes otherwise.
launchers: $(STAMP)  ## 5 minutes: install joblib, submitit, Ray and Optuna, and run small sweeps through each of them
	@$(RUN) -m pip install --disable-pip-version-check --quiet -e ".[sweeps]"
	@OMP_NUM_THREADS=1 $(RUN) -m pytest tests/tasks/test_sweep_launchers.py

clean:  ## delete caches; outputs/, multirun/ and .venv stay
	@rm -rf build dist .pytest_cache .hypothesis .mypy_cache .ruff_cache
	@find . -path ./$(VENV) -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean  ## delete .venv too
	@rm -rf $(VENV)

# Written last, so that an installation that was cut short is taken up again; newer requirements are installed over the old.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' 2>/dev/null || { \
		echo "semigan_pl needs Python 3.10 to 3.13, and $(PYTHON) is $$(command -v $(PYTHON) >/dev/null && $(PYTHON) --version 2>&1 || echo missing): name another one, as in make env PYTHON=python3.12" >&2; exit 1; }
	@echo "Installing semigan_pl and what it needs into $(VENV): some minutes the first time (torch may bring 2.5 GB)."
	@test -x $(VENV)/bin/pip || $(PYTHON) -m venv $(VENV)
	@set -o pipefail; $(RUN) -m pip install --disable-pip-version-check --use-pep517 --progress-bar off -c constraints.txt -e ".[dev]" \
		| { grep --line-buffered -oE '(Downloading|Using cached) [^ ]+ \([0-9]{2,}[0-9.]* MB\)|Installing collected packages' || true; }
	@touch $@
