# `make quickstart` and `make test` need Python 3.11+ and make; they build .venv on first use.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: install quickstart docs example leaderboard test test-slow test-faults test-fuzz test-gpu test-pretend-gpu test-slurm test-ray test-oldest release golden coverage bench calibrate check format clean

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; \
	    sys.exit(v < (3, 11) and f"oodbench needs Python 3.11 or newer, this is {v.major}.{v.minor}; try make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --editable '.[dev]'
	@touch $@

quickstart: install
	$(BIN)/oodbench quickstart

# On as many cores as there are, four at most: each process takes a gigabyte.
test: install
	$(BIN)/pytest -n auto --maxprocesses 4

# Minutes, not seconds.
test-slow: install
	$(BIN)/pytest -m slow

# What only a GPU can show; without one, they skip.
test-gpu: install
	$(BIN)/pytest -m gpu

# The same on a pretend CUDA device in this machine's memory. PRETEND_CUDA is the folder of its module, pretend_cuda, which
# is no part of oodbench; it needs torch's CUDA build, g++, and ninja on the PATH.
ifdef PRETEND_CUDA
test-pretend-gpu: export PYTHONPATH := $(PRETEND_CUDA):tests/helpers
test-pretend-gpu: install
	$(BIN)/pytest -n 0 -p pretended_gpu -m gpu tests/oodbench
else
test-pretend-gpu:
	@echo "skipped: there is no pretend CUDA device; PRETEND_CUDA=FOLDER names the folder of its module"
endif

# Killed and frozen workers, a server that is away, a full disk, clocks that jump: twenty minutes.
# OODBENCH_KILLS=30 makes it shorter.
test-faults: install
	$(BIN)/pytest -m slow tests/faults --durations=0

# Damaged images, tables, folders and imports; 6,000 sweep files, 1,000 command lines: ten minutes.
test-fuzz: install
	$(BIN)/pytest -m "slow or not slow" tests/domainbed_adapters/test_fuzzed_files.py \
	    tests/oodbench/importing/test_fuzzed_imports.py \
	    tests/oodbench/sweep/test_fuzzed_sweeps.py tests/oodbench/cli/test_fuzzed_commands.py

# A real SLURM with two nodes on this machine; as root, with Debian's slurm-wlm and munge. Ten minutes.
test-slurm: install
	$(BIN)/pytest -m slurm tests/clusters

# Ray's own test cluster, with nodes that are lost and added; some minutes.
test-ray: install
	$(BIN)/pip install --quiet --editable '.[ray]'
	$(BIN)/pytest -m ray tests/clusters

# With the oldest versions that pyproject.toml allows; KEEP="torch torchvision" leaves some as they are.
test-oldest: export KEEP := $(KEEP)
test-oldest:
	$(PYTHON) -m venv --clear .venv-oldest
	$(PYTHON) tests/oldest.py > .venv-oldest/constraints.txt
	.venv-oldest/bin/pip install --quiet --constraint .venv-oldest/constraints.txt --editable '.[dev]'
	.venv-oldest/bin/pytest -n auto --maxprocesses 4

# Which lines the tests run, in this process and in those that it starts.
coverage: install
	$(BIN)/pytest -n auto --maxprocesses 4 --cov --cov-report=term:skip-covered

# What trials mean, written anew: only together with another protocol version (CONTRIBUTING.md).
golden: install
	PYTHONPATH=.:tests/helpers $(BIN)/python tests/protocol/test_protocol.py > tests/protocol/new.json
	mv tests/protocol/new.json tests/protocol/golden.json

# Speed on this machine; `make bench BENCH=queue_load` for one of tests/benchmarks/.
bench: install
	PYTHONPATH=tests/helpers $(BIN)/python -m tests.benchmarks $(BENCH)

# Are the rules of analysis/ right as often as they say, on simulated studies of known truth? Half an hour on two
# cores; `make calibrate PART=panels` for one of tests/calibration/.
calibrate: install
	$(BIN)/python -m tests.calibration $(PART)

# A study that is shipped, of a database: make example NAME=digits DB=digits.db ABOUT="What it is."
# ALL_STEPS=1 keeps the measurements of every evaluation; else those at the last and the best.
# PREDICTED=100 keeps the predictions of the first 100 trials of each study; else those of all.
example: install
	$(BIN)/python -c 'import sys; from oodbench.verbs.ship import ship; \
	    ship(*sys.argv[1:], all_steps=bool("$(ALL_STEPS)"), predicted=int("$(PREDICTED)" or 0) or None)' \
	    "$(DB)" "$(NAME)" "$(ABOUT)"

# The page of docs/leaderboard.md, of the studies that are shipped; minutes.
leaderboard: install
	$(BIN)/oodbench leaderboard make digits pacs --no-files -o docs/leaderboard

# The site in site/; a broken link, a broken anchor or any other warning stops it (not with --quiet).
docs: $(VENV)/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	@echo "site/index.html is built; for its search: $(BIN)/python -m http.server --directory site"

$(VENV)/.docs: $(VENV)/.installed
	$(BIN)/pip install --quiet --editable '.[docs]'
	@touch $@

# The wheel and the source distribution, in dist/. The wheel is then installed into an environment of its own, in which a
# whole small study runs, away from the sources.
release:
	rm -rf dist .venv-release
	$(PYTHON) -m venv .venv-release
	.venv-release/bin/pip install --quiet build
	.venv-release/bin/python -m build --outdir dist .
	.venv-release/bin/pip install --quiet dist/*.whl
	cd .venv-release && bin/oodbench quickstart

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/codespell
	$(BIN)/pytest -n 0 tests/test_words.py

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) .venv-oldest .venv-release build dist site *.egg-info .pytest_cache .mypy_cache .ruff_cache .coverage*
