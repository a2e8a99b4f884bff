# make demo   sets up .venv and makes a swap video out of two portraits
# make test   sets up .venv and runs the tests, but for the slow ones (tests/slow.txt); make test-slow runs those, make test-all both
# make check runs ruff on everything and mypy on the contracts and jobs (ruff.toml, mypy.ini)
# make lock   renews requirements*.lock from requirements*.txt; make lock UPGRADE= keeps every version that still fits
# Needs Python 3.11 or newer with venv. Other choices: make PYTHON=python3.12 REQUIREMENTS=requirements-gpu.txt demo
PYTHON ?= python3
REQUIREMENTS ?= requirements.txt
LOCK := $(REQUIREMENTS:.txt=.lock)
BIN := .venv/bin
INSTALLED := .venv/.installed-$(notdir $(LOCK))
INSTALLED_DEV := .venv/.installed-requirements-dev.lock
# Nothing is installed whose hash is not in a lock: what builds a package from source is locked, too, not fetched on the way.
INSTALL := $(BIN)/python -m pip install --disable-pip-version-check -q --require-hashes --no-build-isolation

PYTEST = $(BIN)/python -m pytest -n 2 --dist loadscope

.PHONY: demo check test test-slow test-all bench lock clean

demo: $(INSTALLED)
	$(BIN)/python faceswap.py demo

check: $(INSTALLED) $(INSTALLED_DEV)
	$(BIN)/ruff check .
	$(BIN)/mypy

# In five runs, since TensorFlow keeps memory of models that are gone: each run begins with new processes.
test: $(INSTALLED) $(INSTALLED_DEV)
	$(PYTEST) -m "not slow" tests/lib --ignore=tests/lib/training --ignore=tests/lib/media --ignore=tests/lib/videotools
	$(PYTEST) -m "not slow" tests/lib/media tests/lib/videotools
	$(PYTEST) -m "not slow" tests/lib/training
	$(PYTEST) -m "not slow" tests/plugins
	$(PYTEST) -m "not slow" tests --ignore=tests/lib --ignore=tests/plugins

test-slow: $(INSTALLED) $(INSTALLED_DEV)
	$(PYTEST) -x -m slow

test-all: test test-slow

bench: $(INSTALLED)
	for what in startup extract detectors convert train; do $(BIN)/python faceswap.py bench $$what || exit 1; done

# One lock serves Python 3.11 and newer on every system: versions that exist for all of them come first. The others keep to its versions.
COMPILE = .venv-lock/bin/uv pip compile -q --no-config --universal --python-version 3.11 --fork-strategy fewest --generate-hashes \
    --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" $(UPGRADE)
UPGRADE ?= --upgrade

lock:
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python -m pip install --disable-pip-version-check -q -U "uv>=0.13,<1"
	$(COMPILE) requirements.txt -o requirements.lock
	$(COMPILE) requirements-build.txt -c requirements.lock -o requirements-build.lock
	$(COMPILE) requirements.txt requirements-dev.txt -c requirements.lock -o requirements-dev.lock
	$(COMPILE) requirements-gpu.txt -c requirements.lock -o requirements-gpu.lock

clean:
	rm -rf demo .pytest_cache .ruff_cache .mypy_cache
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

# The stamp is written last, so that a set-up that was cut short is finished by the next run.
$(INSTALLED): $(LOCK) requirements-build.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, not " \
	    + sys.version.split()[0] + ". Name one: make PYTHON=python3.12")'
	@$(PYTHON) -c 'import venv, ensurepip' || (echo "Python lacks venv. On Debian and Ubuntu: apt install python3-venv" >&2; false)
	$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv
	$(INSTALL) -r requirements-build.lock
	$(INSTALL) -r $(LOCK)
	touch $@

$(INSTALLED_DEV): requirements-dev.lock $(INSTALLED)
	$(INSTALL) -r requirements-dev.lock
	touch $@
