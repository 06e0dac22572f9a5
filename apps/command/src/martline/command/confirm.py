"""The question before something is removed for good."""

import os
import sys

import click

from pg_to_mysql.errors import Failure, WrongSettings


def confirm_removal(what: str) -> None:
    """Say what will be removed, and ask; raise :class:`Failure` if the answer is not yes.

    ``YES=1`` in the environment answers the question in advance.
    """
    click.echo(f"This removes {what}", err=True)
    if os.environ.get("YES") == "1":
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise WrongSettings("Without a terminal nobody can be asked: set YES=1 to remove it without a question")
    try:
        agreed = click.confirm("Remove it?", err=True)
    except click.Abort:
        agreed = False
    if not agreed:
        raise Failure("Nothing was removed: the answer was not yes")
