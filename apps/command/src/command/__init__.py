"""What every command of the platform has in common: settings, log, progress, result, errors, exit status."""

from command.confirm import confirm_removal
from command.mysql import MySQLSettings
from command.network import port_is_free
from command.progress import progress
from command.run import Failure, PassingFailure, Result, WrongSettings, console_command

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
