# Everything that one does with the project; `make` alone lists it.

PYTHON ?= python3
VENV ?= .venv
HOST ?= 127.0.0.1
PORT ?= 8000
DATA_DIR ?= var
export HOST PORT DATA_DIR

# Every command finds the environment's own programs first, and nothing of another project's settings.
export PATH := $(abspath $(VENV))/bin:$(PATH)
unexport DJANGO_SETTINGS_MODULE PYTHONPATH

SITE := $(VENV)/.site
ENDPOINT := $(VENV)/.endpoint
OPENVINO := $(VENV)/.openvino
DEV := $(VENV)/.dev

.DEFAULT_GOAL := help
.PHONY: help setup endpoint openvino dev browser gettext servers run superuser test coverage e2e fuzz contract lint audit format messages bench screenshots lock clean

help: ## list what can be made
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1~\2/p' $(MAKEFILE_LIST) | awk -F '~' '{ printf "%-18s %s\n", $$1, $$2 }'

# The environment ----------------------------------------------------------------------------------

setup: $(SITE) ## make the environment that the site runs in

endpoint: $(ENDPOINT) ## make the environment that models are exported, trained and served in

openvino: $(OPENVINO) ## make the smaller environment that models are served in with OpenVINO alone

dev: $(DEV) ## add what testing and linting need

$(VENV)/bin/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Python 3.11 or later is needed, and “$(PYTHON)” is not: name one, as in  make $(MAKECMDGOALS) PYTHON=python3.12" >&2; \
	  exit 1; }
	$(PYTHON) -m venv $(VENV)

$(SITE): requirements.txt | $(VENV)/bin/pip
	python -m pip install --disable-pip-version-check --quiet --require-hashes --no-deps -r requirements.txt
	@touch $@

$(ENDPOINT): endpoint/requirements.txt | $(VENV)/bin/pip
	python -m pip install --disable-pip-version-check --quiet --require-hashes --no-deps -r endpoint/requirements.txt
	@touch $@

$(OPENVINO): endpoint/requirements-openvino.txt | $(VENV)/bin/pip
	python -m pip install --disable-pip-version-check --quiet --require-hashes --no-deps -r endpoint/requirements-openvino.txt
	@touch $@

$(DEV): requirements-dev.txt $(SITE) $(ENDPOINT)
	python -m pip install --disable-pip-version-check --quiet --require-hashes --no-deps -r requirements-dev.txt
	@touch $@

# Debian's own Chromium, and letters for Japanese pages; other systems have theirs, which CHROMIUM may name.
browser: ## install Chromium and fonts for the browser tests (Debian; nothing where they are present)
	@set -e; missing=""; \
	for program in "$${CHROMIUM:-chromium}" chromium-browser google-chrome; do \
	  if command -v "$$program" >/dev/null; then found=1; fi; done; \
	if [ -z "$$found" ]; then missing="chromium"; fi; \
	if ! fc-list :lang=ja 2>/dev/null | grep -q . && ! dpkg -s fonts-noto-cjk >/dev/null 2>&1; then missing="$$missing fonts-noto-cjk"; fi; \
	if [ -z "$$missing" ]; then exit 0; fi; \
	if ! command -v apt-get >/dev/null; then \
	  echo "The browser tests need $$missing. Install them as this system does, and name the program in CHROMIUM." >&2; exit 1; fi; \
	if [ "$$(id -u)" != 0 ]; then root=sudo; fi; \
	$$root apt-get update -qq; \
	$$root env DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends $$missing

gettext: ## install the tools that translations are made and checked with (Debian; nothing where they are present)
	@set -e; if command -v msgfmt >/dev/null; then exit 0; fi; \
	if ! command -v apt-get >/dev/null; then echo "Install GNU gettext as this system does." >&2; exit 1; fi; \
	if [ "$$(id -u)" != 0 ]; then root=sudo; fi; \
	$$root apt-get update -qq; \
	$$root env DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends gettext

# OpenSearch comes from Maven Central, the others from Debian; what is no package is kept in .servers (SERVERS_DIR).
servers: $(DEV) ## install and start the servers that production is tested with, until Ctrl-C; prints how a site finds them
	@python -m tests.servers --install
	@python -m tests.servers

# The site -----------------------------------------------------------------------------------------

run: $(SITE) ## run the shop at http://localhost:8000 (HOST, PORT, DATA_DIR may be given)
	@python manage.py migrate --verbosity 0
	@python manage.py createcachetable --verbosity 0
	@if [ -n "$$(find $(wildcard static) catalogue search requirements.txt visualsearch/settings.py \
	    \( -path '*static/*' -o -name requirements.txt -o -name settings.py \) \
	    -cnewer "$$DATA_DIR/static/staticfiles.json" 2>&1)" ]; \
	then python manage.py collectstatic --no-input --verbosity 0; fi
	@python manage.py load_demo --if-empty
	@exec honcho -e '' -f deploy/Procfile start -p "$$PORT"

superuser: $(SITE) ## make an account for the admin
	@python manage.py createsuperuser

# The code -----------------------------------------------------------------------------------------

test: $(DEV) ## run the tests; those of the pages want “make browser” once
	@# In their order: what empties the database comes last.
	pytest -n 3 --dist load -m "not browser and not servers and not e2e and not attacks"
	pytest -m attacks
	pytest -m browser

coverage: $(DEV) ## run the tests that need no browser and no server with coverage, which takes them twice as long
	pytest -n 3 --dist load -m "not browser and not servers and not e2e and not attacks" --cov --cov-report=term

# What production is made of: each part with its failures, then all of them together, on real servers of this machine.
e2e: $(DEV) ## try production: S3, the endpoint, OpenSearch, Redis, PostgreSQL, web server and workers
	@python -m tests.servers --install
	python -m tests.servers -- pytest -m e2e
	@# The contract of indexes on a cluster of three nodes takes five minutes by itself: pytest -m cluster.
	pytest -m "servers and not cluster"

# “make test” has a hundred examples of each kind: pictures, containers, JSON, forms, addresses, files of imports.
fuzz: $(DEV) ## send generated pictures and requests for about ten minutes (FUZZ_EXAMPLES of each kind)
	FUZZ_EXAMPLES=$${FUZZ_EXAMPLES:-3000} pytest -n 2 -m "hypothesis and not attacks" \
	  tests/attacks tests/catalogue tests/visualsearch tests/search/web/test_bodies.py tests/search/web/test_forms.py

# The site runs in another terminal, from a demo catalogue: make run SEARCH_RATE=1000000/sec DATA_DIR=/tmp/contract
contract: $(DEV) ## try a running site against its own OpenAPI schema with Schemathesis (SEED, MINUTES)
	uv tool run schemathesis@4.32.5 run "http://$$HOST:$$PORT/api/schema/" --checks all --continue-on-failure \
	  --seed $${SEED:-1} --max-time $$(($${MINUTES:-7} * 60)) --request-timeout 20

lint: $(DEV) ## check style, types, Dockerfiles and docker/compose.yaml
	ruff check
	ruff format --check
	mypy
	hadolint docker/*.Dockerfile
	check-jsonschema --builtin-schema vendor.compose-spec docker/compose.yaml

# Where no advisories can be reached, it says so and lists how old each version is.
audit: $(DEV) ## ask which requirements have known vulnerabilities
	python .ci/audit.py requirements.txt requirements-dev.txt endpoint/requirements.txt endpoint/requirements-openvino.txt

format: $(DEV) ## mend style
	ruff check --fix
	ruff format

messages: $(DEV) ## collect what is to be translated into locale/, and compile it (needs “make gettext”)
	python manage.py makemessages --locale ja
	python manage.py compilemessages --locale ja --ignore .venv

bench: $(DEV) ## measure speed on this machine; PHOTOS=folder of classes adds quality, refusals, imports, searches
	python -m benchmarks.embedder
	python -m benchmarks.index
	-python -m benchmarks.pages
	python -m benchmarks.imports
ifdef PHOTOS
	python -m benchmarks.quality "$(PHOTOS)"
	python -m benchmarks.refusal "$(PHOTOS)"
	@data=$$(mktemp -d) && trap 'rm -rf "$$data"' EXIT && set -x && \
	python -m benchmarks.ingest "$(PHOTOS)" --data-dir "$$data" && \
	python -m benchmarks.latency "$(PHOTOS)" --data-dir "$$data" && \
	python -m benchmarks.results "$(PHOTOS)" --data-dir "$$data"
endif

screenshots: $(DEV) ## take the README's pictures of the demo shop anew (needs “make browser”)
	python -m benchmarks.screenshots

lock: $(DEV) ## resolve requirements*.in anew
	uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url requirements.in -o requirements.txt
	uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url endpoint/requirements.in -o endpoint/requirements.txt
	uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url endpoint/requirements-openvino.in -o endpoint/requirements-openvino.txt
	uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url requirements-dev.in -o requirements-dev.txt

clean: ## remove the environment and caches; the shop's data stay
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage htmlcov
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
