"""The servers' addresses and logins, for the person at the terminal."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.table import Table

from martline.command.terminal import results


@dataclass(frozen=True)
class Login:
    """The address of a server and its login."""

    server: str
    address: str
    user: str = ""
    password: str = field(default="", repr=False)


def print_logins(logins: Sequence[Login]) -> None:
    """Print the servers' addresses and logins."""
    table = Table("what", "address", "user", "password", title="Addresses and logins", title_justify="left")
    for login in logins:
        table.add_row(login.server, login.address, login.user, login.password)
    results.print(table)
