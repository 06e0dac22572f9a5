"""The view that an address asks for: the days, the category, the language and the look."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from urllib.parse import urlencode

from martline.dashboard.pages.texts import LANGUAGES, preferred

LOOKS = ("light", "dark")


class WrongAddress(Exception):
    """An address with a wrong value. The exception's text is the key of a sentence."""


@dataclass(frozen=True)
class Period:
    """Days from the first to the last, both included."""

    first: date
    last: date

    @property
    def days(self) -> int:
        """The number of days."""
        return (self.last - self.first).days + 1

    @property
    def before(self) -> "Period":
        """The period of the same length before it."""
        return Period(self.first - timedelta(days=self.days), self.first - timedelta(days=1))


@dataclass(frozen=True)
class View:
    """The values in the address. None means that the address does not contain a value."""

    path: str
    language: str
    """The language of the page."""
    asked_language: str | None = None
    look: str | None = None
    """``light`` or ``dark``; None for the look of the reader's system."""
    first: date | None = None
    last: date | None = None
    category: int | None = None

    @classmethod
    def of(cls, path: str, query: Mapping[str, str], accept_language: str) -> "View":
        """The view of an address with this query.

        :raises WrongAddress: a parameter has a value that is not allowed.
        """
        language, look = query.get("lang") or None, query.get("look") or None
        if language not in (None, *LANGUAGES):
            raise WrongAddress("wrong.language")
        if look not in (None, *LOOKS):
            raise WrongAddress("wrong.look")
        first, last = _day(query.get("from")), _day(query.get("to"))
        if first and last and first > last:
            raise WrongAddress("wrong.order")
        return cls(
            path,
            language or preferred(accept_language),
            language,
            look,
            first,
            last,
            _category(query.get("category")),
        )

    def address(self, path: str | None = None, **changes: object) -> str:
        """The address of this view with these changes."""
        view = replace(self, **changes)  # type: ignore[arg-type]
        query = {
            "from": view.first,
            "to": view.last,
            "category": view.category,
            "lang": view.asked_language,
            "look": view.look,
        }
        said = urlencode({name: value for name, value in query.items() if value is not None})
        return f"{path or view.path}?{said}" if said else path or view.path

    def period(self, first_day: date, last_day: date, usual_days: int) -> Period:
        """The days in the address; without them, the last days with data."""
        last = self.last or last_day
        first = self.first or max(min(first_day, last), last - timedelta(days=usual_days - 1))
        return Period(min(first, last), last)


def _day(text: str | None) -> date | None:
    if not text:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise WrongAddress("wrong.day") from None
    if not date(1900, 1, 1) <= day <= date(2999, 12, 31):
        raise WrongAddress("wrong.day")
    return day


def _category(text: str | None) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.removeprefix("-").isdecimal() and len(text) < 20):
        raise WrongAddress("wrong.category")
    return int(text)
