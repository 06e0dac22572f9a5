"""What the shop's console scripts share."""

import signal
import threading

import click

SEED = click.IntRange(min=0, max=2**63 - 1)
"""Seeds that fit PostgreSQL's bigint."""


def stopped_by_signals() -> threading.Event:
    """An event that SIGTERM and Ctrl-C set from now on."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    return stop
