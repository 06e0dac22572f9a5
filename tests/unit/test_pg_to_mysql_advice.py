"""What the command line adds to an error: its own names of the settings that the error is about."""

import logging

import pytest

from pg_to_mysql import Failure, OtherSource, Setting, TablesGone, WrongSettings
from pg_to_mysql.command_line.advice import AdvisingFormatter, advice


@pytest.mark.parametrize("setting", Setting)
def test_each_setting_has_a_name_on_the_command_line(setting: Setting) -> None:
    assert advice({setting: None}).startswith(" (here set by ")


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (Failure("No luck"), ""),
        (WrongSettings("slot is 'A'", settings={Setting.SLOT: None}), " (here set by --slot)"),
        (
            Failure("In clear", settings={Setting.TARGET_SSL_MODE: "REQUIRED"}),
            " (here set by MYSQL_SSL_MODE=REQUIRED)",
        ),
        (
            TablesGone("Too many", ["a", "b", "c", "d"]),
            " (here set by --drop-gone 4, REPLICATION_DROP_GONE=4)",
        ),
        (
            OtherSource("Another one"),
            " (here set by PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE, --schema, --slot, --start-over)",
        ),
    ],
)
def test_an_error_is_told_with_the_names_that_its_settings_have_here(failure: Failure, expected: str) -> None:
    assert advice(failure.settings) == expected


def test_a_line_of_the_log_may_advise_too() -> None:
    record = logging.LogRecord("name", logging.ERROR, "file", 1, "copy %s again", ("t",), None)
    record.settings = {Setting.RECOPY: "t"}
    assert AdvisingFormatter("%(message)s").format(record) == "copy t again (here set by --recopy t)"
