# Development tasks. Needs only make and Python >= 3.11 with its venv module.

PYTHON ?= python3
ARGS ?=

bin := .venv/bin
pip := $(bin)/python -m pip --quiet --disable-pip-version-check
version := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)

# Each step of the set-up leaves a stamp, so that it is repeated only when what it read has changed.
venv := .venv/python$(version).stamp
runtime := .venv/runtime.stamp
tools := .venv/tools.stamp
competitors := .venv/competitors.stamp

.DEFAULT_GOAL := help
.PHONY: help run test torture lint format bench bench-shares bench-report lock clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(runtime) ## Start the daemon in the foreground; options: make run ARGS="--port 5556"
	@exec $(bin)/chatd --print-messages $(ARGS)

test: lint ## Lint, check the types, run the tests; a choice of tests: make test ARGS="-k codec"
	$(bin)/python -m pytest -n auto --dist worksteal $(ARGS)

torture: $(tools) ## Kill daemon and clients, see that nothing is lost; options: make torture ARGS="--help"
	$(bin)/python -m tests.torture $(ARGS)

lint: $(tools) ## Check style, format and types
	$(bin)/ruff check
	$(bin)/ruff format --check
	$(bin)/mypy

format: $(tools) ## Put the source into the one format
	$(bin)/ruff check --fix
	$(bin)/ruff format

bench: $(tools) ## Measure the daemon beside others; options: make bench ARGS="--help"
	$(bin)/python -m bench --json bench/results.json $(ARGS)

bench-report: $(tools) ## Write docs/performance.md from what was measured last
	$(bin)/python -m bench.document bench/results.json docs/performance.md

bench-shares: $(competitors) ## Measure shares over shaped links, as root; options: make bench-shares ARGS="--help"
	$(bin)/python -m bench.shares $(ARGS)

lock: build/lock/bin/uv ## Lock what setup.cfg asks for; newest versions: make lock ARGS=--upgrade
	$(call compile,requirements.lock,--extra feed)
	$(call compile,requirements-dev.lock,--extra feed --extra plot --extra dev --constraint requirements.lock)

clean: ## Remove the venv, what was built, and every cache
	rm -rf .venv build dist *.egg-info .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +

# The package itself is installed editable, and built by the locked setuptools: no second download.
$(runtime): $(venv) requirements.lock setup.cfg pyproject.toml
	@echo "installing chatd into .venv" >&2
	@$(pip) install --require-hashes --requirement requirements.lock
	@$(pip) install --no-build-isolation --no-deps --editable .
	@touch $@

$(tools): $(runtime) requirements-dev.lock
	@echo "installing the development tools into .venv" >&2
	@$(pip) install --require-hashes --requirement requirements-dev.lock
	@touch $@

$(competitors): $(tools) bench/requirements.txt
	@echo "installing what chatd is measured beside into .venv" >&2
	@$(pip) install --requirement bench/requirements.txt
	@touch $@

# Another version of Python finds no stamp of its own and starts from an empty venv.
$(venv):
	@$(if $(python_problem),$(error chatd needs Python >= 3.11 with venv, but $(PYTHON) says "$(python_problem)". \
	Install one (Debian: apt-get install python3-venv) or name another: make PYTHON=python3.13))
	@$(PYTHON) -m venv --clear .venv
	@touch $@

# Empty when $(PYTHON) will do; otherwise the last line of what went wrong.
python_problem = $(shell $(PYTHON) -c 'import sys; \
	sys.exit("this is %d.%d" % sys.version_info[:2]) if sys.version_info < (3, 11) else None; \
	import ensurepip, venv' 2>&1 | tail -n 1)

# $(call compile,FILE,OPTIONS): one lock for every platform and Python, naming no registry. What pyproject.toml
# asks for to build the package is locked with the rest, since the editable install downloads nothing.
build_requires = import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"])

define compile
$(bin)/python -c '$(build_requires)' | build/lock/bin/uv pip compile setup.cfg - --output-file $(1) $(2) --quiet \
	--universal --python-version 3.11 --generate-hashes --custom-compile-command 'make lock' $(ARGS)
endef

build/lock/bin/uv: | $(venv)
	$(bin)/python -m venv build/lock
	build/lock/bin/python -m pip --quiet --disable-pip-version-check install uv
