"""The shop's console scripts."""

import secrets
import signal
import threading
from dataclasses import asdict

import click

from martline.command import Result, console_command
from martline.shop.source import connect, create_tables, require_tables

COUNT = click.IntRange(min=0)
# What PostgreSQL's bigint holds; Python's generator takes a negative seed for the positive one.
SEED = click.IntRange(min=0, max=2**63 - 1)


@console_command
def shop_init() -> Result:
    """Create the source's tables in PostgreSQL, where they are not there."""
    with connect() as connection:
        return {"tables": create_tables(connection)}


@console_command
@click.option("--users", type=COUNT, default=0, help="How many users to add.")
@click.option("--products", type=COUNT, default=0, help="How many products to add.")
@click.option("--orders", type=COUNT, default=0, help="How many orders to add, with one to five details each.")
@click.option("--reviews", type=COUNT, default=0, help="How many reviews to add.")
@click.option("--loyalty", type=COUNT, default=0, help="How many loyalty entries to add.")
@click.option("--seed", type=SEED, help="Makes the rows; a seed's batch is added once. [default: a random one]")
def shop_generate(users: int, products: int, orders: int, reviews: int, loyalty: int, seed: int | None) -> Result:
    """Add generated rows to the source's tables, all of them or none."""
    from martline.shop.generate import Sizes, generate

    seed = secrets.randbelow(2**31) if seed is None else seed
    with connect() as connection:
        require_tables(connection)
        rows = generate(connection, Sizes(users, products, orders, reviews, loyalty), seed)
    return {"seed": seed, "rows": rows, "rows_written": sum(rows.values())}


@console_command
@click.option("--users", type=COUNT, default=0, help="How many events of new users to send.")
@click.option("--reviews", type=COUNT, default=0, help="How many events of new reviews to send.")
@click.option("--rate", type=click.FloatRange(min=0, min_open=True), help="Events a second. [default: no limit]")
@click.option("--seed", type=SEED, help="Makes the events and their ids. [default: a random one]")
def shop_produce(users: int, reviews: int, rate: float | None, seed: int | None) -> Result:
    """Send events to Kafka."""
    from martline.shop.produce import produce

    seed = secrets.randbelow(2**31) if seed is None else seed
    with connect() as connection:
        require_tables(connection)
        events = produce(connection, users, reviews, rate, seed)
    return {"seed": seed, "events": events, "events_sent": sum(events.values())}


@console_command
@click.option("--until-caught-up", is_flag=True, help="End when all that is there now has been read.")
@click.option("--batch-size", type=click.IntRange(min=1), default=5000, help="Events in a transaction at most.")
def shop_consume(until_caught_up: bool, batch_size: int) -> Result:
    """Store the events of Kafka in PostgreSQL, each exactly once, until SIGTERM or Ctrl-C."""
    from martline.shop.consume import Consumer

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    with connect() as connection:
        require_tables(connection)
        consumer = Consumer(connection, batch_size)
        try:
            counts = consumer.run(stop, until_caught_up)
        finally:
            consumer.close()
    return {**asdict(counts), "rows_written": counts.stored}
