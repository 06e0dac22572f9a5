# The targets, each with a line in `make`. Python first: the work is done by apps/embedded, apps/cluster and pytest.
.DEFAULT_GOAL := help
PYTHON ?= python3
SCALE ?= 1
BIN := .venv/bin
# YES=1 answers the question of `make clean` and `make cluster-down`.
export YES
# The commands' Python is that of .venv, with nothing of another's.
unexport PYTHONHOME PYTHONPATH PYTHONSTARTUP PYTHONWARNINGS PYTHONPLATLIBDIR PYTHONOPTIMIZE PYTHONSAFEPATH
# More than the cores of a small machine, as the tests often wait for servers.
TEST_PROCESSES ?= 3

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.venv/.ready: bootstrap.py uv.lock pyproject.toml apps/*/pyproject.toml dags/pyproject.toml
	@$(PYTHON) bootstrap.py

# Copied or moved, .venv would run the other folder's code.
ifneq ($(shell cat .venv/.ready 2>/dev/null),$(CURDIR))
.PHONY: .venv/.ready
endif

.PHONY: install
install: .venv/.ready ## Install the Python packages into .venv

# What `make` installs again goes without the notebooks' packages.
.venv/.notebooks: .venv/.ready
	@$(PYTHON) bootstrap.py notebooks
	@touch $@

.PHONY: demo
demo: .venv/.ready ## Start the platform, run the DAGs, show the marts (SCALE=100: a hundred times the rows)
	@$(BIN)/martline demo --scale $(SCALE)

.PHONY: up
up: .venv/.ready ## Start the platform
	@$(BIN)/martline up

.PHONY: status
status: .venv/.ready ## Show each server's state
	@$(BIN)/martline status

.PHONY: notebooks
notebooks: .venv/.notebooks ## Open JupyterLab with the notebooks, until Ctrl-C; starts the platform
	@$(BIN)/martline notebooks

.PHONY: down
down: .venv/.ready ## Stop the platform; its data stays
	@$(BIN)/martline down

.PHONY: clean
clean: .venv/.ready ## Stop the platform and remove its data; asks first (YES=1: does not)
	@$(BIN)/martline clean

# CLUSTER, KIND_NODE_IMAGE and VALUES (a file) choose the cluster's name, its nodes' image and the chart's values.
export CLUSTER KIND_NODE_IMAGE VALUES

.PHONY: cluster-up
cluster-up: .venv/.ready ## Kubernetes: make the cluster, build and load what changed, install or upgrade
	@$(BIN)/martline-cluster up

.PHONY: cluster-demo
cluster-demo: .venv/.ready ## Kubernetes: run the DAGs in the cluster, show the marts
	@$(BIN)/martline-cluster demo --scale $(SCALE)

.PHONY: ui
ui: .venv/.ready ## Kubernetes: open every web page and database on this machine, show the logins
	@$(BIN)/martline-cluster ui

.PHONY: psql
psql: .venv/.ready ## Kubernetes: psql in PostgreSQL's pod
	@$(BIN)/martline-cluster psql

.PHONY: mysql
mysql: .venv/.ready ## Kubernetes: mysql in MySQL's pod
	@$(BIN)/martline-cluster mysql

.PHONY: logs
logs: .venv/.ready ## Kubernetes: follow every pod's log
	@$(BIN)/martline-cluster logs

.PHONY: cluster-usage
cluster-usage: .venv/.ready ## Kubernetes: each pod's memory and processor
	@$(BIN)/martline-cluster usage

.PHONY: helm-test
helm-test: .venv/.ready ## Kubernetes: the charts' own tests
	@$(BIN)/martline-cluster test

.PHONY: images
images: .venv/.ready ## Kubernetes: build the images that changed, show their sizes
	@$(BIN)/martline-cluster images

.PHONY: deploy
deploy: .venv/.ready ## Kubernetes: what cluster-up does, in a cluster that is there
	@$(BIN)/martline-cluster deploy

.PHONY: cluster-down
cluster-down: .venv/.ready ## Kubernetes: delete the cluster with its data; asks first (YES=1: does not)
	@$(BIN)/martline-cluster down

.PHONY: check
check: .venv/.ready ## Ruff and mypy
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy

.PHONY: lint-charts
lint-charts: .venv/.ready ## Have checkov judge the charts (it is fetched)
	@$(BIN)/python -m tests.charts.lint

.PHONY: picture
picture: .venv/.ready ## Take the README's picture of the dashboard, of a demo that runs (needs Chromium)
	@$(BIN)/python -m tests.picture

.PHONY: test
test: check .venv/.notebooks ## Everything: checks and all tests, on real servers
	@$(BIN)/pytest tests/unit tests/dags tests/charts
	@$(BIN)/pytest tests/integration tests/faults -n $(TEST_PROCESSES) --dist worksteal
	@$(BIN)/pytest tests/platform
	@$(BIN)/pytest tests/cluster

.PHONY: test-cluster
test-cluster: .venv/.ready ## The tests of the platform on Kubernetes alone, on a cluster of their own
	@$(BIN)/pytest tests/cluster

# How many times the work of `make test` the random tests do, and on more servers.
FAULTS ?= 20

.PHONY: test-faults
test-faults: .venv/.ready ## The long form of the random tests: kills, restarts, generated tables (FAULTS=20: times as much)
	@$(BIN)/pytest tests/faults tests/integration/test_replicate_properties.py --scale $(FAULTS) -n $(TEST_PROCESSES)

.PHONY: bench-demo
bench-demo: .venv/.ready ## Measure the demo's time and memory
	@$(BIN)/python -m benchmarks.demo

.PHONY: bench-cluster
bench-cluster: .venv/.ready ## Measure the cluster's times, memory and processor, and the images' sizes
	@$(BIN)/python -m benchmarks.cluster

.PHONY: bench-replication
bench-replication: .venv/.ready ## Measure replication beside plain pipes and Spark's JDBC (BENCH="sizes --more")
	@$(BIN)/python -m benchmarks.replication $(BENCH)

.PHONY: bench-generate
bench-generate: .venv/.ready ## Measure the generator beside COPY from ready files (BENCH="--orders 100000")
	@$(BIN)/python -m benchmarks.generation $(BENCH)

.PHONY: bench-marts
bench-marts: .venv/.ready ## Measure the marts beside SQL in MySQL and beside the limit (BENCH="--orders 100000")
	@$(BIN)/python -m benchmarks.marts $(BENCH)

.PHONY: bench-events
bench-events: .venv/.ready ## Measure sending and storing events beside the bare clients
	@$(BIN)/python -m benchmarks.events $(BENCH)

.PHONY: bench-dashboard
bench-dashboard: .venv/.ready ## Measure the dashboard's pages, memory and Lighthouse's scores (BENCH="--orders 100000")
	@$(BIN)/python -m benchmarks.dashboard $(BENCH)
