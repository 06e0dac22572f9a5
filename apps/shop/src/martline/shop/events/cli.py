"""The console scripts of the events."""

import base64
import gc
import json
import logging
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from martline.command import Failure, Result, console_command
from martline.shop.console import SEED, stopped_by_signals

if TYPE_CHECKING:
    import psycopg

log = logging.getLogger(__name__)

SHOWN_BYTES = 64 * 1024


@console_command
@click.option("--users", type=click.IntRange(0, 2**24), default=0, help="How many events of new users to send.")
@click.option("--reviews", type=click.IntRange(min=0), default=0, help="How many events of new reviews to send.")
@click.option(
    "--rate",
    type=click.FloatRange(min=0, min_open=True),
    help="How many events to send a second. [default: no limit]",
)
@click.option("--seed", type=SEED, help="Determines the events and their ids. [default: random]")
@click.option(
    "--delivery-timeout",
    type=click.FloatRange(1, 86_400),
    default=120,
    metavar="SECONDS",
    help="How long to retry while a broker is down or refuses messages.",
)
def shop_produce(
    users: int, reviews: int, rate: float | None, seed: int | None, delivery_timeout: float
) -> Result:
    """Send events to Kafka, until all are sent or SIGTERM or Ctrl-C ends it."""
    from martline.shop.events.producer import produce, read_purchases

    stop = stopped_by_signals()
    seed = secrets.randbelow(2**31) if seed is None else seed
    purchases = []
    if reviews:
        with _shop() as connection:
            purchases = read_purchases(connection)
    return {"seed": seed, **produce(users, reviews, rate, seed, purchases, delivery_timeout, stop)}


@console_command
@click.option(
    "--until-caught-up", is_flag=True, help="End when everything that is in the topics now has been stored."
)
@click.option(
    "--batch-size",
    type=click.IntRange(1, 1_000_000),
    default=10_000,
    help="Maximum number of events in one transaction.",
)
@click.option(
    "--wait-for-user",
    type=click.FloatRange(0, 86_400),
    default=10,
    metavar="SECONDS",
    help="How long a review may wait for its user's registration.",
)
@click.option(
    "--start-over",
    multiple=True,
    metavar="TOPIC",
    help="Read this topic again from its first message. May be given several times.",
)
@click.option("--metrics-port", type=click.IntRange(1, 65535), help="Serve /metrics and /healthz on this port.")
@click.option("--metrics-address", default="127.0.0.1", help="The address to serve them on.")
def shop_consume(
    until_caught_up: bool,
    batch_size: int,
    wait_for_user: float,
    start_over: tuple[str, ...],
    metrics_port: int | None,
    metrics_address: str,
) -> Result:
    """Store the events from Kafka in PostgreSQL, each exactly once, until SIGTERM or Ctrl-C.

    Several consumers at the same time share the work.
    """
    from martline.shop.events.consumer import Consumer, Options
    from martline.shop.events.metrics import Metrics

    stop = stopped_by_signals()
    # Loaded modules stay, and messages form no reference cycles, so the search for cycles can be rare.
    gc.freeze()
    gc.set_threshold(50_000)
    # The writing thread often waits for PostgreSQL, and should not also wait long for the reading thread.
    sys.setswitchinterval(0.001)
    metrics = Metrics()
    if metrics_port is not None:
        metrics.serve(metrics_address, metrics_port)
    counts = Consumer(Options(until_caught_up, start_over, batch_size, wait_for_user), metrics).run(stop)
    return {**asdict(counts), "rows_written": counts.stored}


@console_command
@click.option("--max", "most", type=click.IntRange(min=1), default=100, help="How many to list, oldest first.")
def list_dead_letters(most: int) -> Result:
    """List the messages that could not be stored, one line of JSON each, and then their number."""
    from martline.shop.events import dead_letters

    with _shop() as connection:
        for letter in dead_letters.list_letters(connection, most):
            click.echo(json.dumps(letter.as_result(), ensure_ascii=False))
        return {"dead_letters": dead_letters.count_letters(connection)}


@console_command
@click.argument("letter_id", metavar="ID", type=click.IntRange(1, 2**63 - 1))
@click.option("--raw", is_flag=True, help="Write the original bytes of the message's value, and nothing else.")
def show_dead_letter(letter_id: int, raw: bool) -> Result | None:
    """Show a message that could not be stored, with its key, value and headers."""
    from martline.shop.events import dead_letters

    with _shop() as connection:
        found = dead_letters.list_letters(connection, ids=[letter_id])
        if not found:
            raise Failure(f"There is no dead letter {letter_id}: shop-dead-letters list shows the existing ones")
        message = dead_letters.read_message(connection, found[0])
    if raw:
        sys.stdout.buffer.write(message.value or b"")
        return None
    return {
        **found[0].as_result(),
        "key": _shown(message.key),
        "value": _shown(message.value),
        "headers": [[name, _shown(value)] for name, value in message.headers],
    }


@console_command
@click.option("--dry-run", is_flag=True, help="Say what would happen to them, and change nothing.")
@click.option("--max", "most", type=click.IntRange(min=1), help="How many to try, oldest first. [default: all]")
def replay_dead_letters(dry_run: bool, most: int | None) -> Result:
    """Try to store the messages again. Those that are stored leave the list; the log says why others fail."""
    from martline.shop.events.dead_letters import count_letters
    from martline.shop.events.replay import Replayed, replay
    from martline.shop.events.topics import Topics

    total = Replayed()
    with _shop() as connection:
        for outcome in replay(connection, Topics().kinds, most, dry_run=dry_run):
            for letter, reason in outcome.failed:
                log.warning("%d (%s %d/%d): %s", letter.id, letter.topic, letter.partition, letter.offset, reason)
            total.add(outcome)
        left = count_letters(connection)
    return {
        "tried": total.tried,
        "stored": total.stored,
        "repeated": total.repeated,
        "failed": len(total.failed),
        "dead_letters": left,
        "dry_run": dry_run,
    }


@console_command
@click.option(
    "--older-than",
    "days",
    type=click.FloatRange(min=0),
    required=True,
    metavar="DAYS",
    help="The minimum age in days.",
)
def discard_dead_letters(days: float) -> Result:
    """Delete old dead letters for good."""
    from martline.shop.events.dead_letters import count_letters, remove_older

    with _shop() as connection:
        removed = remove_older(connection, days)
        return {"removed": removed, "dead_letters": count_letters(connection)}


@click.group()
def shop_dead_letters() -> None:
    """List, show, replay and discard the messages that could not be stored."""


shop_dead_letters.add_command(list_dead_letters, "list")
shop_dead_letters.add_command(show_dead_letter, "show")
shop_dead_letters.add_command(replay_dead_letters, "replay")
shop_dead_letters.add_command(discard_dead_letters, "discard")


@contextmanager
def _shop() -> Iterator["psycopg.Connection"]:
    """A connection to the database, after a check of its tables. shop-produce starts faster without it."""
    from martline.shop.source import connect, require_tables

    with connect() as connection:
        require_tables(connection)
        connection.commit()
        yield connection


def _shown(part: bytes | None) -> str | dict[str, str] | None:
    """A text unchanged, other bytes in base64, and only the beginning if it is long."""
    if part is None:
        return None
    start = part[:SHOWN_BYTES]
    try:
        text = start.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(start).decode()}
    return text if len(part) <= SHOWN_BYTES else f"{text}… ({len(part)} bytes; --raw writes them)"
