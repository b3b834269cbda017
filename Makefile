# `make run` starts PainChain, `make test` runs the tests. Both set up what they need first.
PYTHON ?= python3
COMPILE = .venv/bin/uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --python-version 3.11 pyproject.toml

# Payloads, descriptions and servers that tests compare with. Where there is no npm, the tests that need them are skipped.
NODE = $(if $(shell command -v npm),tests/node/node_modules/.package-lock.json)

.PHONY: run test test-all test-fuzz test-faults test-soak test-newest test-kubernetes test-far bench lint lock lock-check wheel-check screenshots preset-pages clean

run: .venv/.run
	.venv/bin/python app.py

# A test that fails runs once more: on a busy machine, one in some thousands acts before a page or thread is ready. One
# that fails twice fails; one that passes the second time is listed at the end, and must be mended too.
test: .venv/.dev $(NODE)
	env -u PYTHONDONTWRITEBYTECODE .venv/bin/python -m pytest -n 4 --dist worksteal --reruns 1 $(ARGS)

# Further cases too, and every test that has a database on SQLite and on PostgreSQL (PAINCHAIN_TEST_POSTGRES names it).
test-all: override ARGS += --all-databases --thorough
test-all: test

# Many generated requests for each operation of the API's description, on both databases: some minutes.
test-fuzz: .venv/.dev
	PAINCHAIN_TEST_FUZZ=1 .venv/bin/python -m pytest -rs -k schemathesis --all-databases tests/web/api/test_openapi.py $(ARGS)

# Killed 20 times, full and damaged disks, locks, clocks that jump: some minutes. `make test` runs a short form of each.
test-faults: .venv/.dev
	PAINCHAIN_TEST_FAULTS=1 .venv/bin/python -m pytest -rs tests/faults $(ARGS)

# The load of an incident, and a kill every two minutes, for half an hour on each database: make test-soak MINUTES=4.
test-soak: .venv/.dev
	PAINCHAIN_TEST_SOAK=$(or $(MINUTES),30) .venv/bin/python -m pytest -rs -s tests/faults/test_soak.py $(ARGS)

# What may differ between versions of Python, on the newest one that is installed.
test-newest: .venv/.dev
	.ci/newest

# Against a real kube-apiserver with etcd, built once from Debian's sources: minutes, and 130 MB in .kubernetes.
test-kubernetes: .venv/.dev
	PAINCHAIN_TEST_KUBERNETES=.kubernetes .venv/bin/python -m pytest -rs tests/kubernetes $(ARGS)

# With a real Unleash too, installed once: minutes, and 190 MB in .far. PAINCHAIN_TEST_POSTGRES names its database server.
test-far: .venv/.dev .far/node_modules/.package-lock.json
	PAINCHAIN_TEST_FAR=.far .venv/bin/python -m pytest -rs tests/far tests/browser/test_alertmanager.py $(ARGS)

.far/node_modules/.package-lock.json:
	npm install --prefix .far --ignore-scripts --no-audit --no-fund --silent unleash-server@7.5.1

bench: .venv/.dev
	.venv/bin/python -m tests.bench $(ARGS)

lint: .venv/.dev
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports

# The wheel, installed outside the checkout, serves its pages.
wheel-check: .venv/.dev
	.venv/bin/python .ci/check_wheel.py

screenshots: .venv/.dev
	.venv/bin/python -m tests.browser.screenshots

# docs/connectors/webhook: one page for each preset of the webhook connector.
preset-pages: .venv/.dev
	.venv/bin/python -m tests.project.preset_pages

# The lock files: names, versions and hashes of everything that is installed. `make test` compares more of them.
lock: .venv/.dev
	$(COMPILE) -o requirements.lock
	$(COMPILE) --extra dev -o requirements-dev.lock

lock-check: .venv/.dev
	cp requirements.lock .venv/run.lock && $(COMPILE) -o .venv/run.lock && diff requirements.lock .venv/run.lock
	cp requirements-dev.lock .venv/dev.lock && $(COMPILE) --extra dev -o .venv/dev.lock && diff requirements-dev.lock .venv/dev.lock

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "PainChain needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Name another one: make run PYTHON=python3.12")'
	$(PYTHON) -m venv .venv

.venv/.run: .venv/bin/python requirements.lock pyproject.toml setup.py
	.venv/bin/python -m pip install --quiet --require-hashes -r requirements.lock
	.venv/bin/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

# uv installs in a tenth of pip's time. It is told the index that pip is configured to use. If it fails, pip installs.
.venv/.dev: .venv/bin/python requirements.lock requirements-dev.lock pyproject.toml setup.py
	@awk '/^[^ ]/ {ours = /^uv==/} ours' requirements-dev.lock >.venv/uv.lock
	.venv/bin/python -m pip install --quiet --require-hashes -r .venv/uv.lock
	index=$$(.venv/bin/python -m pip config list | sed -n "s/^[^=]*[.]index-url='\(.*\)'$$/\1/p" | head -n 1); \
	export UV_DEFAULT_INDEX="$${UV_DEFAULT_INDEX:-$$index}"; [ -n "$$UV_DEFAULT_INDEX" ] || unset UV_DEFAULT_INDEX; \
	.venv/bin/uv pip install --quiet --python .venv/bin/python --require-hashes -r requirements-dev.lock || \
	.venv/bin/python -m pip install --quiet --require-hashes -r requirements-dev.lock
	.venv/bin/uv pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation -e .
	@touch .venv/.run $@

# Of GitHub's descriptions only that of github.com is used: the others take 380 MB.
tests/node/node_modules/.package-lock.json: tests/node/package-lock.json
	-cd tests/node && npm ci --ignore-scripts --no-audit --no-fund --silent
	-find tests/node/node_modules/@octokit/openapi*/generated -name '*.json' ! -name api.github.com.json -delete
	-@touch -c $@

clean:
	rm -rf .venv tests/node/node_modules .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist *.egg-info
