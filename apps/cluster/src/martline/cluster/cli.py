"""The command ``martline-cluster``."""

import os
import signal
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import click
from rich.table import Table

from martline.airflow_client import AirflowClient
from martline.cluster import access, programs, usage
from martline.cluster.images import Image, images, size
from martline.cluster.kind import NAMESPACE, Cluster
from martline.cluster.release import Release
from martline.command import confirm_removal, console_command
from martline.command.logins import print_logins
from martline.command.terminal import console, results
from martline.demo import report, run_demo


@click.group()
def martline_cluster() -> None:
    """Run the whole platform on a local kind cluster.

    The environment may set CLUSTER, the cluster's name (default: martline), KIND_NODE_IMAGE, the image of its
    nodes, and VALUES, a file with values for the Helm chart. The chart is in the folder charts/ of the current
    folder.
    """
    # SIGTERM acts like Ctrl-C, so that the port-forwards end with the program.
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@dataclass(frozen=True)
class _Context:
    """The settings from the environment and the current folder."""

    cluster: Cluster
    release: Release
    images: Sequence[Image]

    @classmethod
    def read(cls) -> "_Context":
        checkout = Path.cwd()
        name = os.environ.get("CLUSTER") or "martline"
        cluster = Cluster(checkout, name, os.environ.get("KIND_NODE_IMAGE") or None)
        values = os.environ.get("VALUES")
        return cls(cluster, Release(cluster, [Path(values)] if values else []), images(checkout))


@console_command
def up() -> None:
    """Make the cluster if there is none, build and load changed images, and install or upgrade the platform."""
    context = _Context.read()
    programs.require_programs()
    started = time.monotonic()
    with ThreadPoolExecutor() as beside:
        cluster = beside.submit(context.cluster.up)
        _build(context)
        cluster.result()
    _deploy(context)
    console.print(f"The platform is up after {time.monotonic() - started:.0f} s")
    _show_where()


@console_command
def down() -> None:
    """Delete the cluster with everything in it. Asks first, unless YES=1 is set."""
    context = _Context.read()
    programs.require_installed("kind", "kubectl")
    if not context.cluster.exists() and not context.cluster.is_unfinished:
        console.print(f"There is no cluster {context.cluster.name}: there is nothing to delete")
        return
    confirm_removal(f"kind's cluster {context.cluster.name} {context.cluster.volumes()}")
    context.cluster.down()
    console.print(f"The cluster {context.cluster.name} is deleted")


@console_command
def deploy() -> None:
    """Build and load changed images, and install or upgrade the platform in the existing cluster."""
    context = _Context.read()
    context.cluster.require()
    _build(context)
    _deploy(context)


@console_command
def build_images() -> None:
    """Build the changed images, and show the sizes of all images."""
    context = _Context.read()
    programs.require_programs()
    _build(context)
    table = Table("image", title="Images", title_justify="left")
    table.add_column("MB", justify="right")
    for image in context.images:
        table.add_row(image.reference, f"{size(image.reference) / 1e6:,.0f}")
    results.print(table)


@console_command
def ui() -> None:
    """Forward every service's usual port to this machine, until Ctrl-C."""
    context = _Context.read()
    context.cluster.require()
    services = access.installed(context.cluster)
    access.require_free_ports(services)
    with access.forwarded(context.cluster, *services, usual=True):
        print_logins(access.logins(context.cluster, services))
        console.print("Ctrl-C ends it")
        access.wait_for_interrupt()


@console_command
@click.option("--scale", type=click.IntRange(min=1), default=1, help="How many times the default size.")
def demo(scale: int) -> None:
    """Run the four DAGs through the cluster's Airflow, and show the marts."""
    context = _Context.read()
    context.cluster.require()
    cluster = context.cluster
    with access.forwarded(cluster, access.AIRFLOW, access.POSTGRES, access.MYSQL) as ports:
        console.print("Running the DAGs")
        with AirflowClient(access.airflow_login(cluster, ports[access.AIRFLOW])) as airflow:
            steps = run_demo(airflow, scale)
        with (
            access.connect_postgres(cluster, ports[access.POSTGRES]) as source,
            access.connect_mysql(cluster, ports[access.MYSQL]) as replica,
        ):
            report(source, replica, steps, access.logins(cluster, access.installed(cluster)))
    address = f"http://127.0.0.1:{access.DASHBOARD.local_port}"
    results.print(f"`make ui` opens these addresses; the dashboard: {address}", markup=False, soft_wrap=True)


@console_command
def test() -> None:
    """Run the charts' own tests (`helm test`); show one line for each, and the log of those that fail."""
    context = _Context.read()
    context.cluster.require()
    context.release.test()


@console_command
def logs() -> None:
    """Follow the logs of all pods."""
    context = _Context.read()
    context.cluster.require()
    options = ("--all-containers", "--prefix", "--follow", "--tail=20", "--max-log-requests=100")
    _become(context.cluster.kubectl("logs", "--selector=app.kubernetes.io/part-of=martline", *options))


@console_command
def psql() -> None:
    """Open psql in PostgreSQL's pod."""
    _open_client("statefulset/postgres", access.PSQL)


@console_command
def mysql() -> None:
    """Open mysql in MySQL's pod."""
    _open_client("statefulset/mysql", access.MYSQL_CLIENT)


@console_command
@click.option("--seconds", type=click.IntRange(min=30), default=60, help="How long to watch.")
def show_usage(seconds: int) -> None:
    """Show the memory and cores that each pod uses, and the sum."""
    context = _Context.read()
    context.cluster.require()
    table = Table("pod", title=f"Memory and cores over {seconds} s", title_justify="left")
    table.add_column("MiB", justify="right")
    table.add_column("cores", justify="right")
    usages = usage.measure(context.cluster, seconds)
    ours = [pod for pod in usages if pod.namespace == NAMESPACE]
    for pod in ours:
        table.add_row(pod.pod, f"{pod.memory / 2**20:,.0f}", f"{pod.cores:.3f}")
    for title, pods in (("the platform", ours), ("all pods, Kubernetes' own too", usages)):
        memory, cores = sum(pod.memory for pod in pods), sum(pod.cores for pod in pods)
        table.add_row(f"[bold]{title}[/]", f"{memory / 2**20:,.0f}", f"{cores:.3f}")
    results.print(table)


for _command in (up, down, deploy, ui, demo, test, logs, psql, mysql):
    martline_cluster.add_command(_command)
martline_cluster.add_command(build_images, "images")
martline_cluster.add_command(show_usage, "usage")


def _build(context: _Context) -> None:
    for image in context.images:
        image.build()


def _deploy(context: _Context) -> None:
    context.release.package()
    own = [image.reference for image in context.images]
    context.cluster.load([*own, *sorted(context.release.third_party_images(context.images))])
    context.release.deploy(context.images)


def _show_where() -> None:
    console.print(
        "`make ui` opens every web page and database on this machine and shows the logins, `make cluster-demo` "
        "runs the four DAGs, `make cluster-down` deletes it all"
    )


def _open_client(pod: str, script: str) -> None:
    context = _Context.read()
    context.cluster.require()
    terminal = ["--tty"] if sys.stdin.isatty() else []
    _become(context.cluster.kubectl("exec", "--stdin", *terminal, "--quiet", pod, "--", "sh", "-c", script))


def _become(command: tuple[str, ...]) -> None:
    sys.stdout.flush()
    os.execvp(command[0], command)  # noqa: S606
