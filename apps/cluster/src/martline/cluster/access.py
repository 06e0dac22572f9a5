"""Access to the services from this machine: port-forwards, and the logins that the cluster keeps."""

import base64
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import psycopg
import pymysql

from martline.airflow_client import AirflowLogin
from martline.cluster import programs
from martline.cluster.forwarding import forward
from martline.cluster.kind import Cluster
from martline.command import Failure, port_is_free
from martline.command.logins import Login
from pg_to_mysql.command_line.environment import mysql_from_environment


@dataclass(frozen=True)
class Service:
    """A service of the platform that people use, and its usual port."""

    title: str
    name: str
    port: str
    local_port: int
    secret: str = ""
    """The Secret with the login."""


POSTGRES = Service("PostgreSQL", "postgres", "5432", 5432, "postgres-client")
MYSQL = Service("MySQL", "mysql", "3306", 3306, "mysql-client")
AIRFLOW = Service("Airflow", "airflow-api-server", "8080", 8080, "airflow-login")
KAFKA = Service("Kafka", "kafka", "forwarded", 9092)
JUPYTER = Service("Jupyter", "jupyter", "8888", 8888, "jupyter-token")
SPARK = Service("Spark", "spark-master", "web", 8081)
DASHBOARD = Service("Dashboard", "dashboard", "8090", 8090, "dashboard-login")
# The clients run in the servers' own pods, and take the password there.
_EXPORT = 'for file in /run/secrets/shop/*; do export "$(basename "$file")=$(cat "$file")"; done; '
PSQL = f"{_EXPORT} exec psql"
MYSQL_CLIENT = f'{_EXPORT} exec mysql --user="$MYSQL_USER" "$MYSQL_DATABASE"'
SERVICES = (DASHBOARD, POSTGRES, MYSQL, AIRFLOW, KAFKA, JUPYTER, SPARK)


def require_free_ports(services: Sequence[Service]) -> None:
    """Raise :class:`Failure` if ports of the services are taken on this machine."""
    taken = [
        f"{service.local_port} (for {service.title})"
        for service in services
        if not port_is_free(service.local_port)
    ]
    if taken:
        raise Failure(f"Ports are taken by other programs: {', '.join(taken)}; stop these programs")


@contextmanager
def forwarded(cluster: Cluster, *services: Service, usual: bool = False) -> Iterator[dict[Service, int]]:
    """Forward a free local port, or the ``usual`` one, to each service; yield the ports."""
    with ExitStack() as stack:
        yield {
            service: stack.enter_context(
                forward(
                    cluster.kubectl("port-forward", f"service/{service.name}"),
                    service.title,
                    service.port,
                    service.local_port if usual else 0,
                )
            )
            for service in services
        }


def wait_for_interrupt() -> None:
    """Wait for Ctrl-C."""
    with suppress(KeyboardInterrupt):
        threading.Event().wait()


def installed(cluster: Cluster) -> list[Service]:
    """The services that run in the cluster. A database may be external instead."""
    names = programs.read(*cluster.kubectl("get", "services", "--output", "name")).split()
    return [service for service in SERVICES if f"service/{service.name}" in names]


def logins(cluster: Cluster, services: Sequence[Service]) -> list[Login]:
    """The address and login of each service while its usual port is forwarded."""
    return [_login(service, credentials(cluster, service)) for service in services]


def _login(service: Service, secret: Mapping[str, str]) -> Login:
    address = f"127.0.0.1:{service.local_port}"
    if service == POSTGRES:
        database = f"{address}/{secret['PGDATABASE']}"
        return Login(service.title, database, secret["PGUSER"], secret["PGPASSWORD"])
    if service == MYSQL:
        database = f"{address}/{secret['MYSQL_DATABASE']}"
        return Login(service.title, database, secret["MYSQL_USER"], secret["MYSQL_PWD"])
    if service == KAFKA:
        return Login(service.title, address)
    password = secret.get("password") or secret.get("token") or ""
    return Login(service.title, f"http://{address}", secret.get("username", ""), password)


def credentials(cluster: Cluster, service: Service) -> dict[str, str]:
    """The entries of the service's Secret; none if the service needs no login."""
    if not service.secret:
        return {}
    found = programs.read_json(*cluster.kubectl("get", "secret", service.secret, "--output", "json"))
    return {key: base64.b64decode(value).decode() for key, value in found["data"].items()}


def airflow_login(cluster: Cluster, port: int) -> AirflowLogin:
    """The login of Airflow's web server behind a forwarded port."""
    login = credentials(cluster, AIRFLOW)
    return AirflowLogin(f"http://127.0.0.1:{port}", login["username"], login["password"])


def connect_postgres(cluster: Cluster, port: int) -> psycopg.Connection:
    """A connection to PostgreSQL behind a forwarded port, as the shop's user."""
    login = credentials(cluster, POSTGRES)
    return psycopg.connect(
        host="127.0.0.1",
        port=port,
        user=login["PGUSER"],
        password=login["PGPASSWORD"],
        dbname=login["PGDATABASE"],
    )


def connect_mysql(cluster: Cluster, port: int) -> "pymysql.Connection[Any]":
    """A connection to MySQL behind a forwarded port, as the shop's user."""
    login = {**credentials(cluster, MYSQL), "MYSQL_HOST": "127.0.0.1", "MYSQL_TCP_PORT": str(port)}
    return mysql_from_environment(login).connect()
