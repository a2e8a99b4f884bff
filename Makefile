# make demo   sets up .venv and makes a swap video out of two portraits
# make test   sets up .venv and runs the tests
# Needs Python 3.11 or newer with venv. Other choices: make PYTHON=python3.12 REQUIREMENTS=requirements-gpu.txt demo
PYTHON ?= python3
REQUIREMENTS ?= requirements.txt
BIN := .venv/bin
INSTALLED := .venv/.installed-$(notdir $(REQUIREMENTS))
INSTALLED_DEV := .venv/.installed-requirements-dev.txt

.PHONY: demo test bench clean

demo: $(INSTALLED)
	$(BIN)/python faceswap.py demo

test: $(INSTALLED) $(INSTALLED_DEV)
	$(BIN)/python -m pytest -n 2 --dist loadscope

bench: $(INSTALLED)
	for what in startup extract detectors convert train; do $(BIN)/python faceswap.py bench $$what || exit 1; done

clean:
	rm -rf demo .pytest_cache
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

# The stamp is written last, so that a set-up that was cut short is finished by the next run.
$(INSTALLED): $(REQUIREMENTS) requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, not " \
	    + sys.version.split()[0] + ". Name one: make PYTHON=python3.12")'
	@$(PYTHON) -c 'import venv, ensurepip' || (echo "Python lacks venv. On Debian and Ubuntu: apt install python3-venv" >&2; false)
	$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --disable-pip-version-check -q -r $(REQUIREMENTS)
	touch $@

$(INSTALLED_DEV): requirements-dev.txt $(INSTALLED)
	$(BIN)/python -m pip install --disable-pip-version-check -q -r requirements-dev.txt
	touch $@
