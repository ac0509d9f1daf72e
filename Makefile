# What can be done here; `make help` lists it. The first call of each kind makes the environment that it needs.

PYTHON ?= python3
DEVICE ?= cpu
ARGS ?=
FUZZ_EXAMPLES ?= 100000

VENV := $(if $(filter gpu,$(DEVICE)),.venv-gpu,.venv)
RUN := $(VENV)/bin/python -m
INSTALL := $(RUN) pip install --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help serve train check evaluate test coverage test-all clients fuzz chaos lint audit format docs bench lock

help: ## list what can be done
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16
	@echo "  DEVICE=gpu serves and trains on a GPU; ARGS=… is passed on: make train ARGS='--epochs 5'"

serve: $(VENV)/$(DEVICE) ## serve models/best-cnn-model.h5 at http://127.0.0.1:8000
	$(RUN) service $(ARGS)

train: $(VENV)/$(DEVICE) ## train on Fashion-MNIST into models/best-cnn-model.h5, and convert that for serving
	$(RUN) training $(ARGS)
	$(RUN) service.convert models/best-cnn-model.h5

check: $(VENV)/$(DEVICE) ## say what would be assumed of a model file: ARGS="model.keras --pictures photos"
	$(RUN) service.check $(ARGS)

evaluate: $(VENV)/$(DEVICE) ## try models/best-cnn-model.h5 on images like people's own
	$(RUN) training.evaluate $(ARGS)

test: .venv/dev ## run the tests, in at most 5 minutes; the 25 slowest are listed
	.venv/bin/python -m pytest -n 2 --dist loadfile --ignore tests/chaos --ignore tests/clients --durations 25 $(ARGS)

coverage: .venv/dev ## the same, and measure what they cover, also in the processes that they start
	@$(MAKE) --no-print-directory test ARGS="--cov $(ARGS)"

test-all: coverage ## and break the service in short; what CI runs
	.venv/bin/python -m pytest --durations 25 tests/chaos $(ARGS)

clients: .venv/dev ## make clients in three ways from the OpenAPI document, check their types, and call the service
	@$(MAKE) --no-print-directory VENV=.venv-clients .venv-clients/clients tests/clients/node_modules
	.venv/bin/python -m pytest --durations 0 tests/clients $(ARGS)

tests/clients/node_modules: tests/clients/package-lock.json | .venv-clients/clients
	PATH="$(CURDIR)/.venv-clients/bin:$$PATH" npm ci --silent --prefix tests/clients
	@touch $@

FUZZ := tests/models/test_decoding_fuzz.py tests/service/model_files/test_model_file_fuzz.py

fuzz: .venv/dev ## damage images in 100,000 ways and model files in 5,000; FUZZ_EXAMPLES says how many
	FUZZ_EXAMPLES=$(FUZZ_EXAMPLES) .venv/bin/python -m pytest --timeout 0 $(FUZZ) $(ARGS)

chaos: .venv/dev ## break the service in every way for an hour, and count what is lost
	CHAOS=long .venv/bin/python -m pytest --timeout 0 -s -v tests/chaos $(ARGS)

lint: .venv/dev ## check style, types, layers and the Dockerfile
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy
	.venv/bin/lint-imports
	.venv/bin/hadolint Dockerfile

audit: .venv/dev ## ask PyPI for known vulnerabilities of every locked package (needs its JSON API)
	@for set in cpu gpu dev clients; do echo "requirements/$$set.txt:"; \
		.venv/bin/pip-audit --strict --require-hashes --disable-pip -r requirements/$$set.txt $(ARGS) || failed=1; \
	done; test -z "$$failed"

format: .venv/dev ## put the code into the house style
	.venv/bin/ruff check --fix
	.venv/bin/ruff format

docs: .venv/dev ## write docs/settings.md from the settings of the programs
	.venv/bin/python docs/generate_settings.py

bench: .venv/dev ## measure the service and others on this machine (needs wrk and h2load)
	@$(MAKE) --no-print-directory VENV=.venv-peers .venv-peers/peers
	.venv/bin/python -m benchmarks $(ARGS)

lock: ## compile requirements/ anew from pyproject.toml (needs uv)
	uv pip compile --extra cpu --group build $(LOCK) -o requirements/cpu.txt
	uv pip compile --extra gpu --group build $(LOCK) -c requirements/cpu.txt -o requirements/gpu.txt
	uv pip compile --extra cpu --group dev $(LOCK) -c requirements/cpu.txt -o requirements/dev.txt
	uv pip compile --extra cpu --group build --group peers $(LOCK) -o requirements/peers.txt
	uv pip compile --group clients $(filter-out pyproject.toml,$(LOCK)) -c requirements/dev.txt -o requirements/clients.txt
LOCK := pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
	--custom-compile-command 'make lock'

# One file a set of requirements, newer than what it was made from. The set for development holds the one for CPU.
$(VENV)/%: requirements/%.txt pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v <= (3, 13) else \
		f"Python 3.11 to 3.13 is needed, and $(PYTHON) is {v[0]}.{v[1]}; name another: make PYTHON=python3.12 …")'
	@test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "Python's module venv is needed: apt-get install python3-venv" >&2; exit 1; }
	@echo "Installing requirements/$*.txt into $(VENV), once; this takes a minute or two"
	@$(INSTALL) --no-deps --require-hashes -r requirements/$*.txt
	@$(INSTALL) --no-deps --no-build-isolation --editable .
	@command -v dot >/dev/null || { test "$$(id -u)" = 0 && command -v apt-get >/dev/null && \
		echo "Installing Graphviz, which /plot draws with" && apt-get update -q >/dev/null && \
		apt-get install -y -q --no-install-recommends graphviz >/dev/null; } || \
		echo "Graphviz is not installed: /plot will answer 503 (apt-get install graphviz, or brew install graphviz)"
	@touch $@
