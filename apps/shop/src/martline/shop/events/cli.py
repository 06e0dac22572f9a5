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
@click.option("--rate", type=click.FloatRange(min=0, min_open=True), help="Events a second. [default: no limit]")
@click.option("--seed", type=SEED, help="Makes the events and their ids. [default: a random one]")
@click.option(
    "--delivery-timeout",
    type=click.FloatRange(1, 86_400),
    default=120,
    metavar="SECONDS",
    help="How long a broker that is away or refuses is tried.",
)
def shop_produce(
    users: int, reviews: int, rate: float | None, seed: int | None, delivery_timeout: float
) -> Result:
    """Send events to Kafka, all of them, or until SIGTERM or Ctrl-C."""
    from martline.shop.events.producer import produce, read_purchases

    stop = stopped_by_signals()
    seed = secrets.randbelow(2**31) if seed is None else seed
    purchases = []
    if reviews:
        with _shop() as connection:
            purchases = read_purchases(connection)
    return {"seed": seed, **produce(users, reviews, rate, seed, purchases, delivery_timeout, stop)}


@console_command
@click.option("--until-caught-up", is_flag=True, help="End when all that is there now has been stored.")
@click.option(
    "--batch-size", type=click.IntRange(1, 1_000_000), default=10_000, help="Events in a transaction at most."
)
@click.option(
    "--wait-for-user",
    type=click.FloatRange(0, 86_400),
    default=10,
    metavar="SECONDS",
    help="How long a review may wait for its user's registration.",
)
@click.option("--start-over", multiple=True, metavar="TOPIC", help="Read this topic from its beginning.")
@click.option("--metrics-port", type=click.IntRange(1, 65535), help="Serve /metrics and /healthz on this port.")
@click.option("--metrics-address", default="127.0.0.1", help="Serve them on this address.")
def shop_consume(
    until_caught_up: bool,
    batch_size: int,
    wait_for_user: float,
    start_over: tuple[str, ...],
    metrics_port: int | None,
    metrics_address: str,
) -> Result:
    """Store the events of Kafka in PostgreSQL, each exactly once, until SIGTERM or Ctrl-C.

    Several at the same time share the work.
    """
    from martline.shop.events.consumer import Consumer, Options
    from martline.shop.events.metrics import Metrics

    stop = stopped_by_signals()
    # What is loaded by now stays, and messages refer to nothing in circles: the search for circles is to be rare.
    gc.freeze()
    gc.set_threshold(50_000)
    # The thread that writes waits for PostgreSQL often, and is not to wait as long for that which reads.
    sys.setswitchinterval(0.001)
    metrics = Metrics()
    if metrics_port is not None:
        metrics.serve(metrics_address, metrics_port)
    counts = Consumer(Options(until_caught_up, start_over, batch_size, wait_for_user), metrics).run(stop)
    return {**asdict(counts), "rows_written": counts.stored}


@console_command
@click.option("--max", "most", type=click.IntRange(min=1), default=100, help="How many to list, oldest first.")
def list_dead_letters(most: int) -> Result:
    """List the messages that could not be stored, a line of JSON for each, and their number."""
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
            raise Failure(
                f"There is no dead letter {letter_id}: shop-dead-letters list shows those that are there"
            )
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
@click.option("--dry-run", is_flag=True, help="Say what would become of them, and change nothing.")
@click.option("--max", "most", type=click.IntRange(min=1), help="How many to try, oldest first. [default: all]")
def replay_dead_letters(dry_run: bool, most: int | None) -> Result:
    """Try to store the messages again: what is stored leaves the list, what fails says why."""
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
@click.option("--older-than", "days", type=click.FloatRange(min=0), required=True, metavar="DAYS")
def discard_dead_letters(days: float) -> Result:
    """Remove the messages for good that were put aside so many days ago."""
    from martline.shop.events.dead_letters import count_letters, remove_older

    with _shop() as connection:
        removed = remove_older(connection, days)
        return {"removed": removed, "dead_letters": count_letters(connection)}


@click.group()
def shop_dead_letters() -> None:
    """See after the messages that could not be stored."""


shop_dead_letters.add_command(list_dead_letters, "list")
shop_dead_letters.add_command(show_dead_letter, "show")
shop_dead_letters.add_command(replay_dead_letters, "replay")
shop_dead_letters.add_command(discard_dead_letters, "discard")


@contextmanager
def _shop() -> Iterator["psycopg.Connection"]:
    """A connection to the database, whose tables are there. shop-produce starts faster where it needs none."""
    from martline.shop.source import connect, require_tables

    with connect() as connection:
        require_tables(connection)
        connection.commit()
        yield connection


def _shown(part: bytes | None) -> str | dict[str, str] | None:
    """A text as it is, other bytes in base64, and of what is long the beginning."""
    if part is None:
        return None
    start = part[:SHOWN_BYTES]
    try:
        text = start.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(start).decode()}
    return text if len(part) <= SHOWN_BYTES else f"{text}… ({len(part)} bytes; --raw writes them)"
