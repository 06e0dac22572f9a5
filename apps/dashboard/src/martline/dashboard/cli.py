"""The commands ``dashboard`` and ``dashboard-role``."""

import logging
from pathlib import Path

import click
import uvicorn

from martline.command import Failure, WrongSettings, console_command, port_is_free
from martline.dashboard.reading.elsewhere import Sources
from martline.dashboard.reading.watcher import Watcher
from martline.dashboard.tables import postgres_role_statements, role_statements
from martline.dashboard.web.application import application
from martline.dashboard.web.pages import Pages
from martline.dashboard.web.security import Door, is_loopback, read_password
from pg_to_mysql.command_line.environment import mysql_from_environment

log = logging.getLogger(__name__)


@console_command
@click.option("--host", default="127.0.0.1", help="The address to listen on.")
@click.option("--port", type=click.IntRange(1, 65535), default=8090, help="The port to listen on.")
@click.option(
    "--password-file",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="DASHBOARD_PASSWORD_FILE",
    help="A file with the password that opens the pages; needed where others than this machine reach them.",
)
def dashboard(host: str, port: int, password_file: Path | None) -> None:
    """Show the shop and the pipeline on pages for a browser, until interrupted.

    The variables MYSQL_HOST, MYSQL_TCP_PORT, MYSQL_USER, MYSQL_PWD and MYSQL_DATABASE give MySQL's address. The
    user needs only the rights that `dashboard-role` grants. While MySQL is away, the pages show its last state.

    The pipeline's page also shows PostgreSQL's state if PGDATABASE is set, Kafka's if KAFKA_BOOTSTRAP_SERVERS is
    set, and Airflow's if AIRFLOW_URL is set, with AIRFLOW_USER and AIRFLOW_PASSWORD or AIRFLOW_PASSWORD_FILE.
    """
    password = read_password(password_file, host)
    settings, sources = mysql_from_environment(), Sources()
    if is_loopback(host) and not port_is_free(port):
        raise Failure(f"Port {port} is taken: choose another one with --port")
    pages = Pages(with_login=password is not None)
    watcher = Watcher(settings, pages.warm)
    watcher.start()
    sources.start()
    log.info("the dashboard is at http://%s:%d", f"[{host}]" if ":" in host else host, port)
    try:
        uvicorn.run(
            application(watcher, sources, pages, Door(password) if password else None),
            host=host,
            port=port,
            log_level="warning",
            access_log=False,
            server_header=False,
        )
    finally:
        watcher.stop()
        sources.stop()


@console_command
@click.option("--user", default="dashboard", help="The role's name.")
@click.option("--host", default="%", help="The hosts that MySQL's role may come from.")
@click.option("--database", envvar="MYSQL_DATABASE", help="The database of the marts.")
@click.option(
    "--postgres", is_flag=True, help="The role in PostgreSQL instead; it is run in the shop's database."
)
def dashboard_role(user: str, host: str, database: str | None, postgres: bool) -> None:
    """Print SQL that makes a role in MySQL which can read the marts and the bookkeeping, and nothing else.

    With --postgres, print SQL for a role in PostgreSQL that can see how far events are stored and count dead
    letters. The SQL can be run again. It contains no password, and the role can't log in until it has one.
    """
    if not postgres and not database:
        raise WrongSettings("MYSQL_DATABASE is not set: set it, or --database, to the database of the marts")
    for statement in postgres_role_statements(user) if postgres else role_statements(user, host, database or ""):
        click.echo(f"{statement};")
