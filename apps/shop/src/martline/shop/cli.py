"""The shop's console scripts."""

import secrets
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from martline.command import Result, console_command
from martline.shop.console import SEED, stopped_by_signals
from martline.shop.generation.plan import LOCALES, TABLES, Sizes
from martline.shop.source import connect, create_tables, require_tables

if TYPE_CHECKING:
    from martline.shop.generation.request import Request

# With this limit, the product of a row's number and a weight stays below 2^63.
COUNT = click.IntRange(min=0, max=2**31 - 1)
RATE = click.FloatRange(min=0, min_open=True)
FOLDER = click.Path(path_type=Path)
DAY = click.DateTime(["%Y-%m-%d"])


@console_command
def shop_init() -> Result:
    """Create the source's tables in PostgreSQL, unless they exist."""
    with connect() as connection:
        return {"tables": create_tables(connection)}


@console_command
@click.option("--users", type=COUNT, default=0, help="How many users to add.")
@click.option("--products", type=COUNT, default=0, help="How many products to add.")
@click.option("--orders", type=COUNT, default=0, help="How many orders to add, with one to five details each.")
@click.option("--reviews", type=COUNT, default=0, help="How many reviews to add.")
@click.option("--loyalty", type=COUNT, default=0, help="How many loyalty entries to add.")
@click.option(
    "--seed", type=SEED, help="Determines the rows. The batch of a seed is added only once. [default: random]"
)
@click.option("--locale", type=click.Choice(LOCALES), help="The locale of names and texts. [default: en_US]")
@click.option("--until", type=DAY, help="The last day on which anything happens. [default: today, in UTC]")
@click.option("--append", is_flag=True, help="Add a batch after the existing ones, with the next seed.")
@click.option(
    "--only", type=click.Choice(TABLES), multiple=True, help="Add only this table. May be given several times."
)
@click.option(
    "--processes", type=COUNT, help="How many other processes make rows. [default: one per core, at most 4]"
)
@click.option("--to-csv", type=FOLDER, help="Write CSV files into this new folder instead, one for each table.")
@click.option("--to-parquet", type=FOLDER, help="Write Parquet files into this new folder instead.")
@click.option("--dirty", type=COUNT, default=0, help="How many rows of each kind of defect to add.")
@click.option(
    "--live", type=RATE, help="Keep changing the shop, at this many changes a second, until SIGTERM or Ctrl-C."
)
def shop_generate(
    append: bool, to_csv: Path | None, to_parquet: Path | None, live: float | None, **options: Any
) -> Result:
    """Add generated rows to the source's tables: either all of them or none."""
    if len([option for option in (append, to_csv, to_parquet, live) if option]) > 1:
        raise click.UsageError("--append, --to-csv, --to-parquet and --live exclude each other.")
    if append and options["seed"] is not None:
        raise click.UsageError("--append uses the next seed: leave --seed out.")
    if live:
        return _live(live, **options)
    request = _request(**options)
    if folder := to_csv or to_parquet:
        from martline.shop.generation.files import Form, generate_files

        return {"seed": request.seed, **generate_files(request, folder, Form.CSV if to_csv else Form.PARQUET)}
    from martline.shop.generate import generate

    with connect() as connection:
        require_tables(connection)
        return generate(connection, request, append=append)


def _live(rate: float, *, seed: int | None, locale: str | None, **options: Any) -> Result:
    """A run without a seed continues with seed 1."""
    from martline.shop.live import Live

    if given := sorted(name for name, value in options.items() if value):
        raise click.UsageError(f"--live can only be combined with --seed and --locale: leave --{given[0]} out.")
    seed = 1 if seed is None else seed
    stop = stopped_by_signals()
    with connect() as connection:
        require_tables(connection)
    live = Live(seed, locale or LOCALES[0], rate)
    live.run(stop)
    return {"seed": seed, "changes": dict(live.made), "changes_made": live.made.total()}


def _request(
    *,
    seed: int | None,
    locale: str | None,
    until: datetime | None,
    only: Sequence[str],
    dirty: int,
    processes: int | None,
    **sizes: int,
) -> "Request":
    from martline.shop.generation.request import Request

    return Request(
        Sizes(**sizes),
        secrets.randbelow(2**31) if seed is None else seed,
        locale,
        until.date() if until else None,
        only or TABLES,
        dirty,
        processes,
    )
