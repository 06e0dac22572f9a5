"""The question before something is removed for good."""

import os
import sys

import click

from pg_to_mysql.errors import Failure, WrongSettings


def confirm_removal(what: str) -> None:
    """Say what is removed, and ask the person who is there; raise :class:`Failure` where it is to stay.

    ``YES=1`` in the environment is the answer of whoever can't be asked.
    """
    click.echo(f"This removes {what}", err=True)
    if os.environ.get("YES") == "1":
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise WrongSettings("Nobody can be asked here whether it may be removed: set YES=1 to say so")
    try:
        agreed = click.confirm("Remove it?", err=True)
    except click.Abort:
        agreed = False
    if not agreed:
        raise Failure("Nothing was removed: the answer was not yes")
