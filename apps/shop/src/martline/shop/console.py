"""What the shop's console scripts have in common."""

import signal
import threading

import click

SEED = click.IntRange(min=0, max=2**63 - 1)
"""What PostgreSQL's bigint holds."""


def stopped_by_signals() -> threading.Event:
    """Set by SIGTERM and Ctrl-C from now on."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    return stop
