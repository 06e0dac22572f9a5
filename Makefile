# `make` lists each target with one line. The work itself is done in Python, by apps/embedded, apps/cluster and pytest.
.DEFAULT_GOAL := help
PYTHON ?= python3
SCALE ?= 1
BIN := .venv/bin
# YES=1 answers the question of `make clean` and `make cluster-down`.
export YES
# The commands run with .venv's Python, and no setting for another Python reaches them.
unexport PYTHONHOME PYTHONPATH PYTHONSTARTUP PYTHONWARNINGS PYTHONPLATLIBDIR PYTHONOPTIMIZE PYTHONSAFEPATH
# More than a small machine has cores, because the tests often wait for servers.
TEST_PROCESSES ?= 3

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.venv/.ready: bootstrap.py uv.lock pyproject.toml apps/*/pyproject.toml dags/pyproject.toml
	@$(PYTHON) bootstrap.py

# After a copy or a move of the checkout, .venv would run the code of the other folder.
ifneq ($(shell cat .venv/.ready 2>/dev/null),$(CURDIR))
.PHONY: .venv/.ready
endif

.PHONY: install
install: .venv/.ready ## Install the Python packages into .venv

# When `make` installs the packages again, the notebooks' packages are missing.
.venv/.notebooks: .venv/.ready
	@$(PYTHON) bootstrap.py notebooks
	@touch $@

.PHONY: demo
demo: .venv/.ready ## Start the platform, run the DAGs, show the marts (SCALE=100: a hundred times as many rows)
	@$(BIN)/martline demo --scale $(SCALE)

.PHONY: up
up: .venv/.ready ## Start the platform
	@$(BIN)/martline up

.PHONY: status
status: .venv/.ready ## Show the state of each server
	@$(BIN)/martline status

.PHONY: notebooks
notebooks: .venv/.notebooks ## Start the platform and open JupyterLab with the notebooks, until Ctrl-C
	@$(BIN)/martline notebooks

.PHONY: down
down: .venv/.ready ## Stop the platform; the data stays
	@$(BIN)/martline down

.PHONY: clean
clean: .venv/.ready ## Stop the platform and remove its data; asks first (YES=1 skips the question)
	@$(BIN)/martline clean

# CLUSTER, KIND_NODE_IMAGE and VALUES (a file) choose the cluster's name, its nodes' image and the chart's values.
export CLUSTER KIND_NODE_IMAGE VALUES

.PHONY: cluster-up
cluster-up: .venv/.ready ## Kubernetes: make the cluster, build and load changed images, install or upgrade
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
logs: .venv/.ready ## Kubernetes: follow the logs of all pods
	@$(BIN)/martline-cluster logs

.PHONY: cluster-usage
cluster-usage: .venv/.ready ## Kubernetes: show the memory and cores that each pod uses
	@$(BIN)/martline-cluster usage

.PHONY: helm-test
helm-test: .venv/.ready ## Kubernetes: run the charts' own tests
	@$(BIN)/martline-cluster test

.PHONY: images
images: .venv/.ready ## Kubernetes: build the changed images, show all sizes
	@$(BIN)/martline-cluster images

.PHONY: deploy
deploy: .venv/.ready ## Kubernetes: build, load, and install or upgrade in an existing cluster
	@$(BIN)/martline-cluster deploy

.PHONY: cluster-down
cluster-down: .venv/.ready ## Kubernetes: delete the cluster with its data; asks first (YES=1 skips the question)
	@$(BIN)/martline-cluster down

.PHONY: check
check: .venv/.ready ## Run ruff and mypy
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy

.PHONY: lint-charts
lint-charts: .venv/.ready ## Check the charts with checkov, which is downloaded
	@$(BIN)/python -m tests.charts.lint

.PHONY: picture
picture: .venv/.ready ## Take the README's picture of the dashboard, of a demo that runs (needs Chromium)
	@$(BIN)/python -m tests.picture

.PHONY: test
test: check .venv/.notebooks ## Run the checks and all tests, on real servers
	@$(BIN)/pytest tests/unit tests/dags tests/charts
	@$(BIN)/pytest tests/integration tests/faults -n $(TEST_PROCESSES) --dist worksteal
	@$(BIN)/pytest tests/platform
	@$(BIN)/pytest tests/cluster

.PHONY: test-cluster
test-cluster: .venv/.ready ## Run only the tests on Kubernetes, in a separate cluster
	@$(BIN)/pytest tests/cluster

# How many times the work of `make test` the random tests do.
FAULTS ?= 20

.PHONY: test-faults
test-faults: .venv/.ready ## Run the random tests longer: kills, restarts, generated tables (FAULTS=20: 20 times as long)
	@$(BIN)/pytest tests/faults tests/integration/test_replicate_properties.py --scale $(FAULTS) --all-pairs -n $(TEST_PROCESSES)

.PHONY: test-pairs
test-pairs: .venv/.ready ## Run each test of replication on all pairs of PostgreSQL and MySQL or MariaDB
	@$(BIN)/pytest tests/integration tests/faults -m pairs --all-pairs -n $(TEST_PROCESSES) --dist worksteal

.PHONY: bench-demo
bench-demo: .venv/.ready ## Measure the demo's time and memory
	@$(BIN)/python -m benchmarks.demo

.PHONY: bench-cluster
bench-cluster: .venv/.ready ## Measure the cluster's times, memory and cores, and the images' sizes
	@$(BIN)/python -m benchmarks.cluster

.PHONY: bench-replication
bench-replication: .venv/.ready ## Compare replication with plain pipes and Spark's JDBC (BENCH="sizes --more")
	@$(BIN)/python -m benchmarks.replication $(BENCH)

.PHONY: bench-generate
bench-generate: .venv/.ready ## Compare the generator with COPY from ready files (BENCH="--orders 100000")
	@$(BIN)/python -m benchmarks.generation $(BENCH)

.PHONY: bench-marts
bench-marts: .venv/.ready ## Compare the marts with SQL in MySQL and with the bare libraries (BENCH="--orders 100000")
	@$(BIN)/python -m benchmarks.marts $(BENCH)

.PHONY: bench-events
bench-events: .venv/.ready ## Compare sending and storing events with the bare clients
	@$(BIN)/python -m benchmarks.events $(BENCH)

.PHONY: bench-dashboard
bench-dashboard: .venv/.ready ## Measure the dashboard's pages, memory and Lighthouse's scores (BENCH="--orders 100000")
	@$(BIN)/python -m benchmarks.dashboard $(BENCH)
