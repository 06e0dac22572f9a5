"""A separate cluster for the tests, with the platform from a copy of this checkout."""

import base64
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import psycopg
import pymysql
import pytest

from martline.airflow_client import AirflowClient
from martline.cluster import access, programs
from martline.cluster.kind import Cluster
from martline.command import Failure

CHECKOUT = Path(__file__).parent.parent.parent
PROGRAM = Path(sys.executable).with_name("martline-cluster")
WHAT_IS_INSTALLED = "apps", "charts", "dags", "images", "notebooks"
FILES = ".dockerignore", "bootstrap.py", "kind-config.yaml", "pyproject.toml", "uv.lock"
NAME = os.environ.get("MARTLINE_TEST_CLUSTER", "martline-test")


class Platform:
    """The platform in the tests' cluster, and the commands run on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cluster = Cluster(folder, NAME)
        self.environment = {**os.environ, "CLUSTER": NAME, "YES": "1"}
        self.environment.pop("VALUES", None)
        ignored = shutil.ignore_patterns("__pycache__", "*.tgz")
        for name in WHAT_IS_INSTALLED:
            shutil.copytree(CHECKOUT / name, folder / name, ignore=ignored)
        for name in FILES:
            shutil.copy(CHECKOUT / name, folder)

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start `martline-cluster` in a separate process group."""
        return subprocess.Popen(
            [str(PROGRAM), *arguments],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *arguments: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        """Run `martline-cluster` to its end."""
        process = self.start(*arguments)
        output, log = process.communicate(timeout=1500)
        if check:
            assert process.returncode == 0, log
        return subprocess.CompletedProcess(arguments, process.returncode, output, log)

    def get(self, *what: str) -> Any:
        """The result of `kubectl get`."""
        return programs.read_json(*self.cluster.kubectl("get", *what, "--output", "json"))

    def pods(self, selector: str) -> dict[str, str]:
        """The running pods with these labels: their unique ids by their names."""
        found = self.get("pods", "--selector", selector)["items"]
        return {
            pod["metadata"]["name"]: pod["metadata"]["uid"]
            for pod in found
            if pod["status"]["phase"] == "Running"
        }

    def forwarded(self, *services: access.Service) -> AbstractContextManager[dict[access.Service, int]]:
        """Forward free local ports to services."""
        return access.forwarded(self.cluster, *services)

    def source(self, ports: dict[access.Service, int]) -> psycopg.Connection:
        """A connection to PostgreSQL."""
        return access.connect_postgres(self.cluster, ports[access.POSTGRES])

    def replica(self, ports: dict[access.Service, int]) -> "pymysql.Connection[Any]":
        """A connection to MySQL."""
        return access.connect_mysql(self.cluster, ports[access.MYSQL])

    def airflow(self, ports: dict[access.Service, int]) -> AirflowClient:
        """A client of Airflow's API."""
        return AirflowClient(access.airflow_login(self.cluster, ports[access.AIRFLOW]))

    def secret(self, name: str) -> dict[str, str]:
        """The entries of a Secret."""
        return {key: base64.b64decode(value).decode() for key, value in self.get("secret", name)["data"].items()}

    def secrets(self) -> set[str]:
        """Every password, key and token in the namespace's Secrets."""
        kept = [secret["data"] for secret in self.get("secrets")["items"] if secret["type"] == "Opaque"]
        public = {"PGHOST", "PGPORT", "PGUSER", "PGDATABASE"}
        public |= {"MYSQL_HOST", "MYSQL_TCP_PORT", "MYSQL_USER", "MYSQL_DATABASE"}
        public |= {"AIRFLOW_URL", "AIRFLOW_USER", "username"}
        entries = [(key, value) for data in kept for key, value in data.items()]
        return {base64.b64decode(value).decode() for key, value in entries if key not in public}


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """The running platform. MARTLINE_TEST_CLUSTER names a cluster to use and to keep."""
    try:
        programs.require_programs()
    except Failure as failure:
        pytest.skip(str(failure))
    os.environ["KUBECONFIG"] = str(tmp_path_factory.mktemp("kube") / "config")
    platform = Platform(tmp_path_factory.mktemp("checkout"))
    try:
        platform.run("up")
        yield platform
    finally:
        if "MARTLINE_TEST_CLUSTER" not in os.environ:
            platform.run("down")
