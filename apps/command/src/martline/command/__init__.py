"""What all commands of the platform share: settings, log, progress, result, errors and exit status."""

from martline.command.confirm import confirm_removal
from martline.command.network import port_is_free
from pg_to_mysql.command_line.console import Result, console_command
from pg_to_mysql.command_line.progress import progress
from pg_to_mysql.errors import Failure, PassingFailure, WrongSettings
from pg_to_mysql.mysql.settings import MySQLSettings

__all__ = [
    "Failure",
    "MySQLSettings",
    "PassingFailure",
    "Result",
    "WrongSettings",
    "confirm_removal",
    "console_command",
    "port_is_free",
    "progress",
]
