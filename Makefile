# make demo | test | lab | studio | install | render | stamp; each sets up .venv first, once.
# make test COVERAGE=1   measures what the tests reach, too, as continuous integration does.
# PYTHON=python3.12 make install   picks the interpreter (3.11 or newer).

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEMO := demo.png
COVERED := $(if $(COVERAGE),--cov --cov-report=term)

.PHONY: install demo test lint lab studio render stamp architecture clean

install: $(STAMP)

# Runs again only when pyproject.toml has changed since the last time.
$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; name one: PYTHON=python3.12 make install" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[lab,test]'
	@touch $(STAMP)

demo: $(STAMP)
	$(BIN)/nst demo --output $(DEMO)
	@echo "The picture: $(CURDIR)/$(DEMO)"

# Two processes of one thread each: on such small pictures, threads mostly wait for one another.
# A file's tests stay in one process, which loads what they share once; those that measure memory
# or time, or open a browser, go one after the other in a single one (see tests/conftest.py).
test: export OMP_NUM_THREADS = 1
test: $(STAMP) lint
	$(BIN)/pytest -n 2 --dist loadgroup --no-loadscope-reorder $(COVERED) tests
	NST_QUICK=1 $(BIN)/pytest -n 2 --dist loadfile --nbval-lax --nbval-current-env \
		--nbval-cell-timeout=300 --nbval-kernel-startup-timeout=120 notebooks

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell
	$(BIN)/mypy

lab: $(STAMP)
	$(BIN)/jupyter lab notebooks/00_start_here.ipynb

# The studio alone, as an app in the browser; uploads of up to 100 MB.
studio: $(STAMP)
	$(BIN)/voila notebooks/app/studio.ipynb \
		--Voila.tornado_settings="{'websocket_max_message_size': 104857600}"

# Runs every notebook at full size and keeps the outputs: hours on a CPU.
# One only: make render NOTEBOOKS=03_style_transfer.ipynb
render: $(STAMP)
	$(BIN)/python notebooks/render.py $(NOTEBOOKS)

# Draws docs/architecture.svg from the imports.
architecture: $(STAMP)
	$(BIN)/python docs/architecture.py

# Writes the repository's address, from pyproject.toml, into the notebooks.
stamp: $(STAMP)
	$(BIN)/python notebooks/stamp.py

clean:
	rm -rf $(VENV) $(DEMO)
