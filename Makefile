# make demo | test | lab | studio | install | render | stamp; each sets up .venv first, once.
# PYTHON=python3.12 make install   picks the interpreter (3.11 or newer).

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEMO := demo.png

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

test: $(STAMP) lint
	$(BIN)/pytest --cov --cov-report=term tests
	NST_QUICK=1 $(BIN)/pytest --nbval-lax --nbval-current-env --nbval-cell-timeout=300 \
		--nbval-kernel-startup-timeout=120 notebooks

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
