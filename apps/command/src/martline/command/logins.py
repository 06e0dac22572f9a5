"""Where the servers are and how to get in, for the person at the terminal."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.table import Table

from martline.command.terminal import results


@dataclass(frozen=True)
class Login:
    """Where a server is and who may log in."""

    server: str
    address: str
    user: str = ""
    password: str = field(default="", repr=False)


def print_logins(logins: Sequence[Login]) -> None:
    """Print where the servers are and how to get in."""
    table = Table("what", "address", "user", "password", title="Addresses and logins", title_justify="left")
    for login in logins:
        table.add_row(login.server, login.address, login.user, login.password)
    results.print(table)
