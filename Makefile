# make demo | test | lab | studio | wheel | slides | assignment | install | render | stamp;
# each sets up .venv first, once.
# make site writes the web pages to build/site/html, with an environment of its own.
# make test COVERAGE=1   measures what the tests reach, too, as continuous integration does.
# PYTHON=python3.12 make install   picks the interpreter (3.11 or newer).

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEMO := demo.png
DIST := dist
COVERED := $(if $(COVERAGE),--cov --cov-report=term)

FLOORS := .venv-floors
SITE := .venv-site

.PHONY: install demo test lint floors lab studio wheel render stamp architecture clean assignment slides site gpu

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
	@echo "For the command nst in this shell: source $(BIN)/activate"

# Two processes of one thread each (tests/conftest.py says why; the notebooks' kernels need it too).
# A file's tests stay in one process, which loads what they share once; those in browsers do, too,
# and those of processes that are killed or measured (the groups of tests/conftest.py). nbval, which
# takes four seconds to load, only where it is used.
test: export OMP_NUM_THREADS = 1
test: $(STAMP) lint
	$(BIN)/pytest -n 2 --dist loadfile -p no:nbval $(COVERED) tests
	NST_QUICK=1 $(BIN)/pytest -n 2 --dist loadfile --nbval-lax --nbval-current-env \
		--nbval-cell-timeout=300 --nbval-kernel-startup-timeout=120 notebooks course

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell
	$(BIN)/pyrefly check --min-severity error

# The tests (not those in a browser) with the oldest of everything that pyproject.toml allows, in an
# environment of their own. A floor of 1.2 is met by the newest 1.2.x.
floors: export PYTHONPATH = $(CURDIR)
floors:
	$(PYTHON) -m venv $(FLOORS)
	$(PYTHON) -c 'import re, tomllib; \
		project = tomllib.load(open("pyproject.toml", "rb"))["project"]; \
		tests = [x for x in project["optional-dependencies"]["test"] if re.match("dis|hyp|nbval|pyt|scipy", x)]; \
		kept = [*project["dependencies"], "ipykernel>=6.17", *tests]; \
		print("\n".join(re.sub(r">=([\d.]+)$$", r"~=\1.0", x) for x in kept))' \
		> $(FLOORS)/floors.txt
	$(FLOORS)/bin/python -m pip install --quiet --disable-pip-version-check -r $(FLOORS)/floors.txt \
		> $(FLOORS)/pip.log 2>&1
	$(FLOORS)/bin/python -m pytest -n 2 --dist loadfile tests \
		--ignore tests/app/test_studio_browser.py --ignore tests/notebooks/test_notebooks_browser.py \
		--ignore tests/course/test_slides_browser.py

lab: $(STAMP)
	$(BIN)/jupyter lab notebooks/00_start_here.ipynb

# The studio alone, as an app in the browser: nst studio --help tells of servers and classes.
studio: $(STAMP)
	$(BIN)/nst studio

# One file to hand to a class: the package with its weights, pictures and notebooks. What builds it
# is in .venv, so that this works offline.
wheel: $(STAMP)
	@rm -f $(DIST)/*.whl
	@$(BIN)/python -m hatchling build --target wheel --directory $(DIST)
	@echo "The wheel: $(abspath $(DIST))/$$(basename $(DIST)/*.whl) ($$(du -m $(DIST)/*.whl | cut -f1) MB)"
	@echo "Where it is to go: pip install $$(basename $(DIST)/*.whl), then nst notebooks my-folder"

# Runs every notebook at full size and keeps the outputs: hours on a CPU.
# One only: make render NOTEBOOKS=03_style_transfer.ipynb
render: $(STAMP)
	$(BIN)/python notebooks/render.py $(NOTEBOOKS)

# Makes the slides of the lecture, course/slides.html, from course/slides.md and the notebooks.
slides: $(STAMP)
	$(BIN)/python course/slides.py

# What a GPU has to say: build/gpu/gpu.json, in at most ten minutes. See docs/gpu.md.
gpu: $(STAMP)
	$(BIN)/python benchmarks/gpu.py --out build/gpu

# Draws docs/architecture.svg from the imports.
architecture: $(STAMP)
	$(BIN)/python docs/architecture.py

# Writes the repository's address, from pyproject.toml, into the notebooks.
stamp: $(STAMP)
	$(BIN)/python notebooks/stamp.py

# Writes course/assignment.ipynb, without solutions, from the solved one in course/solutions.
assignment: $(STAMP)
	$(BIN)/python course/release.py

# The web pages, from the files as committed: nothing is run, and torch is not needed, so only what
# the extra `site` names is installed, once; then it works offline. EXTERNAL=1 checks outside links.
site: $(SITE)/.installed
	$(SITE)/bin/python docs/site/build.py $(if $(EXTERNAL),--external)

$(SITE)/.installed: pyproject.toml
	$(PYTHON) -m venv $(SITE)
	$(PYTHON) -c 'import tomllib; \
		project = tomllib.load(open("pyproject.toml", "rb"))["project"]; \
		print("\n".join(project["optional-dependencies"]["site"]))' > $(SITE)/site.txt
	$(SITE)/bin/python -m pip install --quiet --disable-pip-version-check -r $(SITE)/site.txt
	@touch $@

clean:
	rm -rf $(VENV) $(SITE) $(FLOORS) $(DEMO) $(DIST) build/site course/slides.html
