"""The command ``martline``."""

import os
import time
from pathlib import Path

import click
from rich.markup import escape
from rich.table import Table

from martline.airflow_client import AirflowClient
from martline.command import confirm_removal, console_command
from martline.command.logins import Login, print_logins
from martline.command.terminal import console, results
from martline.demo import report, run_demo
from martline.embedded import airflow, dashboard, databases, jupyter
from martline.embedded.environment import forget_foreign
from martline.embedded.folder import Folder, state_folder
from martline.embedded.platform import Platform
from martline.embedded.removal import remove, require_state_folder, size
from martline.embedded.supervision import Supervisor


@click.group()
def martline() -> None:
    """Run the whole platform as local processes: PostgreSQL, MariaDB, Kafka, Airflow and the dashboard.

    The settings are in .env in the current folder, the state is in .martline (or MARTLINE_HOME), and downloads
    are in the user's cache folder (or MARTLINE_CACHE).
    """
    forget_foreign()


@console_command
def up() -> None:
    """Start the servers, and wait until they are ready."""
    _start(Platform(Path.cwd()))


@console_command
def down() -> None:
    """Stop the servers. The data stays."""
    folder = Folder(state_folder(Path.cwd()))
    # Reads no file of the state, because a damaged file must not keep the platform from being stopped.
    if folder.run.exists():
        with folder.locked():
            Supervisor(folder).stop()
    console.print("All servers are stopped")


@console_command
def clean() -> None:
    """Stop the servers, and remove the state folder with all data. Asks first, unless YES=1 is set."""
    folder = Folder(state_folder(Path.cwd()))
    if not folder.folder.exists():
        console.print(f"There is nothing to remove: {folder.folder} is not there", markup=False, soft_wrap=True)
        return
    require_state_folder(folder)
    confirm_removal(
        f"{folder.folder} ({size(folder) / 1e6:,.0f} MB): all databases and topics, passwords, settings and logs"
    )
    with folder.locked():
        Supervisor(folder).stop()
        require_state_folder(folder)
        remove(folder)
    console.print(f"{folder.folder} is removed", markup=False, soft_wrap=True)


@console_command
def status() -> None:
    """Show the state of each server. The exit status is 1 if one does not run."""
    supervisor = Supervisor(Folder(state_folder(Path.cwd())))
    table = Table("server", "state", "since", "log")
    for process in supervisor.processes():
        log = escape(str(supervisor.log(process["name"])))
        table.add_row(process["name"], process["statename"], process["description"], log)
    results.print(table)
    supervisor.require()


@console_command
@click.option("--scale", type=click.IntRange(min=1), default=1, help="How many times the default size.")
@click.option("--no-dashboard", is_flag=True, help="Leave out the dashboard.")
def demo(scale: int, no_dashboard: bool) -> None:
    """Start the servers, run the four DAGs through Airflow, and show the marts.

    A second run continues where the first one ended. The servers keep running until `martline down`.
    """
    platform = Platform(Path.cwd())
    seconds = _start(platform, with_dashboard=not no_dashboard)
    console.print("Running the DAGs")
    state = platform.state
    with AirflowClient(airflow.login(state), platform.supervisor.require) as client:
        steps = run_demo(client, scale, platform.supervisor.require)
    with databases.source(state) as source, databases.replica(state) as replica:
        report(source, replica, steps, databases.logins(state), seconds)
    if not no_dashboard:
        results.print(f"The dashboard: {dashboard.base_url(state)}", markup=False, soft_wrap=True)


@console_command
def notebooks() -> None:
    """Start the servers, and run JupyterLab with the notebooks until Ctrl-C.

    The notebooks are copied to the folder my-notebooks. Existing copies stay as they are.
    """
    jupyter.require_installed()
    platform = Platform(Path.cwd())
    _start(platform)
    folder, port = jupyter.copy_notebooks(Path.cwd()), jupyter.free_port()
    state = platform.state
    address = f"http://127.0.0.1:{port}"
    print_logins([Login("JupyterLab", address, password=state.secrets["jupyter"])])
    console.print(f"JupyterLab opens at {address} with {folder}; Ctrl-C ends it", markup=False, soft_wrap=True)
    command = jupyter.command(folder, port)
    os.execvpe(command[0], command, {**platform.environment(), **jupyter.environment(state)})  # noqa: S606


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def run(command: tuple[str, ...]) -> None:
    """Run a command with the platform's settings, for example `martline run replication-status`."""
    environment = Platform(Path.cwd()).environment()
    try:
        os.execvpe(command[0], command, environment)  # noqa: S606
    except OSError as error:
        raise click.UsageError(f"{command[0]} can't be run: {error.strerror}") from error


for _command in (up, down, clean, status, demo, notebooks, run):
    martline.add_command(_command)


def _start(platform: Platform, *, with_dashboard: bool = True) -> float:
    began = time.monotonic()
    console.print("Starting the servers")
    started = platform.up(
        lambda name, seconds: console.print(f"  [green]✓[/] {name} [dim]{seconds:.1f} s[/]"),
        with_dashboard=with_dashboard,
    )
    seconds = time.monotonic() - began
    console.print(f"All servers are ready after {seconds:.0f} s" if started else "All servers run already")
    return seconds
