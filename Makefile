# The targets, each with a line in `make`. Python first: the work is done by apps/embedded and pytest.
.DEFAULT_GOAL := help
PYTHON ?= python3
SCALE ?= 1
BIN := .venv/bin
# More than the cores of a small machine, as the tests often wait for servers.
TEST_PROCESSES ?= 3

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.venv/.ready: bootstrap.py uv.lock pyproject.toml apps/*/pyproject.toml dags/pyproject.toml
	@$(PYTHON) bootstrap.py

.PHONY: install
install: .venv/.ready ## Install the Python packages into .venv

.PHONY: demo
demo: .venv/.ready ## Start the platform, run the DAGs, show the marts (SCALE=100: a hundred times the rows)
	@$(BIN)/martline demo --scale $(SCALE)

.PHONY: up
up: .venv/.ready ## Start the platform
	@$(BIN)/martline up

.PHONY: status
status: .venv/.ready ## Show each server's state
	@$(BIN)/martline status

.PHONY: down
down: .venv/.ready ## Stop the platform; its data stays
	@$(BIN)/martline down

.PHONY: clean
clean: down ## Stop the platform and remove its data
	rm -rf .martline

.PHONY: check
check: .venv/.ready ## Ruff and mypy
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy

.PHONY: test
test: check ## Everything: checks and all tests, on real servers
	@$(BIN)/pytest tests/unit tests/dags
	@$(BIN)/pytest tests/integration tests/faults -n $(TEST_PROCESSES) --dist worksteal
	@$(BIN)/pytest tests/platform

.PHONY: bench-demo
bench-demo: .venv/.ready ## Measure the demo's time and memory
	@$(BIN)/python benchmarks/demo.py
