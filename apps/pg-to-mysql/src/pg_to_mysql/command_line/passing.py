"""What passes ends a command with a sentence."""

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from pg_to_mysql.errors import Failure, PassingFailure
from pg_to_mysql.passing import cause_of

P = ParamSpec("P")
R = TypeVar("R")


def in_sentences(command: Callable[P, R]) -> Callable[P, R]:
    """Let what passes end the command with a sentence."""

    @functools.wraps(command)
    def wrapped(*arguments: P.args, **options: P.kwargs) -> R:
        try:
            return command(*arguments, **options)
        except Failure:
            raise
        except Exception as error:
            if cause := cause_of(error):
                raise PassingFailure(f"{cause.sentence}: run this again later") from error
            raise

    return wrapped
