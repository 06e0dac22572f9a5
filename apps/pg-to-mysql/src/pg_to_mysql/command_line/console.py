"""How a command runs: log on standard error, result on standard output, an error in one sentence."""

import functools
import json
import logging
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import click

from pg_to_mysql.command_line.advice import AdvisingFormatter
from pg_to_mysql.errors import Failure, SettingsToChange, WrongSettings

log = logging.getLogger(__name__)
Result = Mapping[str, Any]


def console_command(function: Callable[..., Result | None]) -> click.Command:
    """Make a console script of a function.

    The function's docstring is the help text. Its return value is printed as one line of JSON, with the
    ``seconds`` it took, so that a person, a shell pipe and Airflow's XCom read the same result. A command that is
    only for people returns None and prints what it likes.
    """

    @functools.wraps(function)
    def run(debug: bool, **arguments: Any) -> None:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(AdvisingFormatter("%(asctime)s %(levelname)-7s %(message)s"))
        logging.basicConfig(handlers=[handler])
        # Libraries log only warnings.
        for ours in (__name__, function.__module__):
            logging.getLogger(ours.partition(".")[0]).setLevel(logging.DEBUG if debug else logging.INFO)
        started = time.monotonic()
        try:
            result = function(**arguments)
        except click.ClickException:
            raise
        except KeyboardInterrupt:
            _end("interrupted", 130, debug)
        except Failure as failure:
            _end(str(failure), 2 if isinstance(failure, WrongSettings) else 1, debug, failure.settings)
        except Exception as error:
            what = " ".join(str(error).split())
            _end(f"unexpected {type(error).__name__}: {what} (--debug shows the traceback)", 1, debug)
        if result is not None:
            seconds = round(time.monotonic() - started, 2)
            click.echo(json.dumps({**result, "seconds": seconds}, default=str, ensure_ascii=False))

    name = function.__name__.replace("_", "-")
    option = click.option("--debug", is_flag=True, help="Log more, and show the traceback of an error.")
    return click.command(name, context_settings={"show_default": True})(option(run))


def _end(sentence: str, exit_status: int, debug: bool, settings: SettingsToChange | None = None) -> NoReturn:
    log.error("%s", sentence, exc_info=debug, extra={"settings": settings or {}})
    sys.exit(exit_status)
