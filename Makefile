# Short names for commands. Every target builds .venv from the locks if it is missing or older than they are.
FITS := import sys; sys.exit(not (3, 11, 5) <= sys.version_info < (3, 15))
PYTHON ?= $(shell for name in python3.11 python3.12 python3.13 python3.14 python3; do \
  $$name -c '$(FITS)' 2>/dev/null && echo $$name && break; done)
# Relative, since make divides at blanks what stands for a path.
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
export DVC_NO_ANALYTICS := 1
# DVC unpickles files in this cache, whose default place is writable by everyone on the machine (CVE-2025-69872).
export DVC_SITE_CACHE_DIR := $(CURDIR)/.dvc/tmp/site
export JUPYTER_PLATFORM_DIRS := 1
# Otherwise every kernel would compile all it imports again, a third of the time of its start.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test browser benchmarl site repro train lab lint coverage audit sbom crate bench lock clean
.DEFAULT_GOAL := help

help:
	@echo "make demo     compare all algorithms at the default setting from scratch, in build/demo"
	@echo "make test     run pytest and nbval"
	@echo "make browser  run the tests in a headless Chromium; installs what they need"
	@echo "make benchmarl train BenchMARL's MADDPG on the game, in an environment of its own"
	@echo "make site     build the site, which needs no network: build/site/index.html"
	@echo "make repro    rebuild what has changed (dvc repro)"
	@echo "make train    run only its trainings, here or on the workers of DASK_SCHEDULER_ADDRESS"
	@echo "make lab      start JupyterLab on localhost"
	@echo "make lint     run ruff and mypy"
	@echo "make coverage run the tests with line coverage"
	@echo "make audit    list known vulnerabilities of the locked packages; needs the network"
	@echo "make sbom     list the locked packages as CycloneDX: build/sbom.json; needs the network"
	@echo "make crate    write ro-crate-metadata.json; needs the network"
	@echo "make bench    run timed comparisons; needs an idle machine"

# Most of the installed modules are never imported: those that are get compiled then.
# What hashes.lock does not have, torch and what its build needs, comes with the second line.
.venv/.ready: requirements.lock hashes.lock pyproject.toml
	@"$(PYTHON)" -c '$(FITS)' 2>/dev/null || \
	  { echo "Python 3.11.5 to 3.14 is needed: make PYTHON=/path/to/python3 ..."; exit 1; }
	"$(PYTHON)" -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --no-deps --require-hashes -r hashes.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: .venv/.ready
	python -m mecpaper demo build/demo

# The tensors are small: one thread is as fast, and does not stall if other work shares the cores.
# One process per core, up to four; the tests of a file, or the cells of a notebook, run in order in one process.
PARALLEL := -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

test: export OMP_NUM_THREADS := 1
test: export IPYTHONDIR := $(CURDIR)/build/ipython
test: export PYTHONSTARTUP :=
test: .venv/.ready
	python -m pytest -m "not browser" $(PARALLEL)
	python -m pytest --nbval --nbval-current-env -p no:cacheprovider $(PARALLEL) notebooks

# Debian's Chromium if this user may install it, otherwise Playwright's; without either the tests are skipped with the
# reason.
browser: export OMP_NUM_THREADS := 1
browser: .venv/.ready
	@python -c 'import axe_playwright_python, furo, myst_nb, playwright, sphinx, voila' 2>/dev/null || \
	  python -m pip install --quiet --disable-pip-version-check --no-compile --no-build-isolation -e '.[browser,site]'
	@command -v chromium || command -v chromium-browser || command -v google-chrome || \
	  { [ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install -qq -y --no-install-recommends chromium; } || \
	  python -m playwright install chromium || true
	python -m pytest -m browser -rs tests/browser

# BenchMARL needs other versions than the lock has.
build/benchmarl/.ready: pyproject.toml
	"$(PYTHON)" -m venv build/benchmarl
	build/benchmarl/bin/python -m pip install --quiet --disable-pip-version-check --no-compile \
	  torch==2.13.0 torchrl==0.11.1 benchmarl==1.5.2 '.[game]'
	@touch $@

benchmarl: .venv/.ready build/benchmarl/.ready
	build/benchmarl/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --force-reinstall .
	python -m pytest -rs tests/test_examples.py -k benchmarl

# Nothing is executed: notebooks, figures and tables are shown as stored.
site: .venv/.ready
	@python -c 'import furo, myst_nb, sphinx' 2>/dev/null || \
	  python -m pip install --quiet --disable-pip-version-check --no-build-isolation -e '.[site]'
	python -m mecpaper site

repro: .venv/.ready
	python -m mecpaper repro

train: .venv/.ready
	python -m mecpaper train

lab: .venv/.ready
	jupyter lab --ip=127.0.0.1 notebooks/00_read_me_first.ipynb

lint: .venv/.ready
	ruff check . && ruff format --check . && mypy

# Not part of `make test`, which it slows down. Notebooks and browser tests are not counted.
coverage: export OMP_NUM_THREADS := 1
coverage: .venv/.ready
	python -m pytest -m "not browser" $(PARALLEL) --cov --cov-report=term:skip-covered

# AUDIT: more options for pip-audit, such as a mirror of the database.
audit: .venv/.ready
	python -m venv build/audit
	build/audit/bin/python -m pip install --quiet --disable-pip-version-check pip-audit
	build/audit/bin/pip-audit --strict --no-deps --disable-pip -r requirements.lock $(AUDIT)

sbom: .venv/.ready
	python -m venv build/audit
	build/audit/bin/python -m pip install --quiet --disable-pip-version-check cyclonedx-bom
	build/audit/bin/cyclonedx-py requirements --pyproject pyproject.toml --output-reproducible --output-file build/sbom.json requirements.lock

crate: .venv/.ready
	python -m venv build/crate
	build/crate/bin/python -m pip install --quiet --disable-pip-version-check rocrate ruamel.yaml
	build/crate/bin/python docs/crate.py

bench: .venv/.ready
	python -m benchmarks

# For later Pythons tinyscaler, which SuperSuit needs, would have to be compiled. Builds of torch for CPUs and for CUDA
# have the same version and other hashes. UV_DEFAULT_INDEX names a mirror.
lock: .venv/.ready
	{ echo "# Exact versions of the environment, for Python 3.11 to 3.14. Made by 'make lock' from pyproject.toml."; \
	  python -m pip freeze --all --exclude pip --exclude-editable | \
	  sed -E 's/\+cpu$$//; s/^(SuperSuit|tinyscaler)==.*/&; python_version < "3.13"/'; } > requirements.lock
	python -m venv build/lock
	build/lock/bin/python -m pip install --quiet --disable-pip-version-check uv
	{ echo "# SHA-256 of all files of each version in requirements.lock but torch's. Made by 'make lock'."; \
	  grep -v '^torch==' requirements.lock | build/lock/bin/uv pip compile --no-deps --universal --python-version 3.11.5 \
	  --generate-hashes --no-header --no-annotate - 2>/dev/null; } > hashes.lock

clean:
	rm -rf build .venv
