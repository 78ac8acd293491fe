# make search   find, draw and rate a cell (the main job, tier laptop)
# make test     all tests, lessons and browser included
# make quick    the tests that take seconds
# make lint     style and types
# make lab      JupyterLab on the lessons
# make notebooks  the lessons executed anew, toy tier, in their normal form
# make bench    speed, as ratios (not part of the tests)
# make who-wins  tests/benchmarks/who_wins.md anew (an hour; resumable)
# make paper-space  tests/benchmarks/paper_space.md: what is missing of it (three hours; resumable)
# make experiments  the recorded experiments of the lessons anew (half an hour; resumable)
#
# Each target installs what it needs into .venv once, and again only when pyproject.toml changes.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# One process a core. The tests of a file stay together (so that what they share is made once), and
# tests/conftest.py says which begin first.
PYTEST := OMP_NUM_THREADS=1 NASWORKBENCH_PROGRESS=0 \
	$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder

.PHONY: search test quick lab notebooks bench who-wins paper-space experiments lint clean
.DELETE_ON_ERROR:

search: $(VENV)/installed
	$(BIN)/nasworkbench search $(ARGS)

lab: $(VENV)/installed
	$(BIN)/jupyter lab --notebook-dir notebooks $(if $(filter 0,$(shell id -u)),--allow-root)

test: $(VENV)/installed-dev
	$(PYTEST) $(ARGS)

quick: $(VENV)/installed-dev
	$(PYTEST) -m "not slow and not browser and not lessons" $(ARGS)

notebooks: $(VENV)/installed-dev
	$(BIN)/python tests/notebooks.py

lint: $(VENV)/installed-dev
	$(BIN)/ruff format --check nasworkbench tests
	$(BIN)/ruff check nasworkbench tests
	$(BIN)/mypy

bench: $(VENV)/installed-bench
	$(BIN)/python tests/benchmarks/controllers.py
	$(BIN)/python tests/benchmarks/overhead.py
	$(BIN)/python tests/benchmarks/dashboard.py
	$(BIN)/python tests/benchmarks/widgets.py
	$(BIN)/python tests/benchmarks/children.py
	$(BIN)/python tests/benchmarks/networks.py
	$(BIN)/python tests/benchmarks/tables.py

who-wins: $(VENV)/installed-bench
	OMP_NUM_THREADS=1 $(BIN)/python tests/benchmarks/who_wins.py

paper-space: $(VENV)/installed-bench
	OMP_NUM_THREADS=1 $(BIN)/python tests/benchmarks/paper_space.py

experiments: $(VENV)/installed-bench
	OMP_NUM_THREADS=1 $(BIN)/python tests/benchmarks/experiments.py

$(VENV)/installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; name one: make PYTHON=/path/to/python3.11")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable .
	@$(MAKE) --no-print-directory $(VENV)/drawing
	@touch $@

# Graphviz draws the cells: Debian's package if it can be installed, else the one inside pygraphviz
.PHONY: $(VENV)/drawing
$(VENV)/drawing:
	@command -v dot >/dev/null && exit 0; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq && \
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends graphviz >/dev/null; \
	then exit 0; fi; \
	$(BIN)/python -m pip install --quiet --editable '.[drawing]'

$(VENV)/installed-dev: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@

$(VENV)/installed-bench: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --editable '.[bench]'
	@touch $@

clean:
	rm -rf $(VENV) *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
