"""Passing errors of both servers: nobody needs to change a setting, and the same may succeed later.

They are recognised by SQLSTATE and by MySQL's error numbers. Only libpq's errors about a failed connection have
neither, so their words are looked at.
"""

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

import psycopg
import pymysql

from pg_to_mysql.errors import Failure, Kind, PassingFailure

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True)
class Cause:
    """Why something failed that may succeed later."""

    kind: Kind
    sentence: str


POSTGRES = {
    "08": Kind.CONNECTION,
    "57P": Kind.CONNECTION,
    "57014": Kind.CONNECTION,
    "25P03": Kind.CONNECTION,
    "25P04": Kind.CONNECTION,
    "40001": Kind.LOCK,
    "40P01": Kind.LOCK,
    "55006": Kind.LOCK,
    "55P03": Kind.LOCK,
    "25006": Kind.READ_ONLY,
    "533": Kind.CONNECTIONS,
    "534": Kind.CONNECTIONS,
    "53": Kind.RESOURCES,
    "58030": Kind.RESOURCES,
}
"""By SQLSTATE, or by its first characters."""
INTERNAL = "XX"
"""The first characters of the SQLSTATE of PostgreSQL's internal errors: corrupt data, a plan it can't make."""
REFUSED = (
    "authentication failed",
    "does not exist",
    "no pg_hba.conf entry",
    "not permitted to log in",
    "password",
)
"""Words in the error of a connection that PostgreSQL refuses permanently."""
MYSQL = {
    **dict.fromkeys(
        # Among them: the query was interrupted by KILL or a time limit; the server is in offline mode.
        (0, 1053, 1077, 1079, 1080, 1129, 1152, 1158, 1159, 1160, 1161, 1184, 1317, 1927, 1969, 3024, 3032, 3169),
        Kind.CONNECTION,
    ),
    **dict.fromkeys((2002, 2003, 2006, 2012, 2013, 2014, 2026, 2027, 2055, 4031), Kind.CONNECTION),
    **dict.fromkeys((1205, 1213, 1614, 3058, 3572), Kind.LOCK),
    **dict.fromkeys((1792, 1836), Kind.READ_ONLY),
    **dict.fromkeys((1040, 1135, 1203, 1226), Kind.CONNECTIONS),
    **dict.fromkeys((3, 1021, 1037, 1038, 1041, 1114), Kind.RESOURCES),
}
OPTION_PREVENTS, STORAGE_ENGINE = 1290, 1030


def cause_of(error: BaseException) -> Cause | None:
    """Why it failed, if the cause passes; None if the error is final. The errors that led to it count too."""
    sentence = str(error) if isinstance(error, Failure) else None
    for one in _chain(error):
        kind = _kind(one)
        if kind is not None:
            return Cause(kind, sentence or _sentence(one))
    return None


def in_sentences(function: Callable[P, R]) -> Callable[P, R]:
    """Turn passing errors into :class:`PassingFailure`, and a server's internal errors into :class:`Failure`."""

    @functools.wraps(function)
    def wrapped(*arguments: P.args, **options: P.kwargs) -> R:
        try:
            return function(*arguments, **options)
        except Failure:
            raise
        except Exception as error:
            if cause := cause_of(error):
                raise PassingFailure(f"{cause.sentence}: run this again later", cause.kind) from error
            if isinstance(error, psycopg.Error) and (error.sqlstate or "").startswith(INTERNAL):
                raise Failure(f"{_sentence(error)}: check PostgreSQL's log and its settings") from error
            raise

    return wrapped


def kind_of_sqlstate(state: str) -> Kind | None:
    """The kind of a PostgreSQL error; None if it is final."""
    return next((POSTGRES[state[:length]] for length in (5, 3, 2) if state[:length] in POSTGRES), None)


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen = set()
    one: BaseException | None = error
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        yield one
        one = one.__cause__ or (None if one.__suppress_context__ else one.__context__)


def _kind(error: BaseException) -> Kind | None:
    if isinstance(error, PassingFailure):
        return error.kind
    if isinstance(error, psycopg.Error):
        return _postgres_kind(error)
    if isinstance(error, pymysql.MySQLError):
        return _mysql_kind(error)
    return Kind.CONNECTION if isinstance(error, ConnectionError | TimeoutError) else None


def _postgres_kind(error: psycopg.Error) -> Kind | None:
    if error.sqlstate is not None:
        return kind_of_sqlstate(error.sqlstate)
    if not isinstance(error, psycopg.OperationalError) or any(words in str(error) for words in REFUSED):
        return None
    return Kind.CONNECTION


def _mysql_kind(error: pymysql.MySQLError) -> Kind | None:
    number, text = (*error.args, None, None)[:2]
    if number == OPTION_PREVENTS:
        return Kind.READ_ONLY if "read" in str(text) else None
    if number == STORAGE_ENGINE:
        return Kind.RESOURCES if " 28 " in f"{text} " else None
    return MYSQL.get(number) if isinstance(number, int) else None


def _sentence(error: BaseException) -> str:
    if isinstance(error, psycopg.Error):
        return f"PostgreSQL: {_first_line(error)}"
    if isinstance(error, pymysql.MySQLError):
        return f"MySQL: {error.args[-1] if error.args and error.args[-1] else 'the connection is lost'}"
    return f"A connection is lost ({_first_line(error)})"


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
