"""The formats of numbers, dates and ages in each language."""

from datetime import date, datetime, timedelta
from decimal import Decimal

from babel import Locale
from babel.dates import format_date, format_timedelta
from babel.numbers import format_compact_decimal, format_decimal, format_percent

ABSENT = "–"
LOCALES = {"en": Locale("en", "GB"), "ru": Locale("ru", "RU")}


class Formats:
    """The formats of one language. A missing value becomes a dash."""

    def __init__(self, language: str) -> None:
        self._locale = LOCALES[language]

    def count(self, value: int | None) -> str:
        """A whole number with all its digits."""
        return ABSENT if value is None else format_decimal(value, "#,##0", locale=self._locale)

    def money(self, value: Decimal | None) -> str:
        """An amount with all its digits, at least two after the point."""
        return ABSENT if value is None else format_decimal(value, "#,##0.00########", locale=self._locale)

    def short(self, value: Decimal | int | None) -> str:
        """A number in about four characters."""
        if value is None:
            return ABSENT
        size = abs(Decimal(value))
        if size < 10_000:
            has_cents = isinstance(value, Decimal) and size < 1000
            return format_decimal(value, "#,##0.00" if has_cents else "#,##0", locale=self._locale)
        digits = 2 if size >= 1_000_000 else 1
        return format_compact_decimal(value, fraction_digits=digits, locale=self._locale)

    def percent(self, share: Decimal | float | None) -> str:
        """A share in percent with one digit after the point."""
        return ABSENT if share is None else format_percent(share, "#,##0.0 %", locale=self._locale)

    def change(self, share: Decimal | None) -> str:
        """A relative change in percent, with its sign."""
        if share is None:
            return ABSENT
        return format_percent(share, "+#,##0.0 %;\N{MINUS SIGN}#,##0.0 %", locale=self._locale)

    def day(self, value: date | None) -> str:
        """A day with its year."""
        return ABSENT if value is None else format_date(value, "medium", locale=self._locale)

    def month(self, value: date) -> str:
        """A month with its year."""
        return format_date(value, "LLL yyyy", locale=self._locale)

    def moment(self, value: datetime | None) -> str:
        """A day and a time in UTC, to the second."""
        if value is None:
            return ABSENT
        return f"{format_date(value, 'medium', locale=self._locale)}, {value:%H:%M:%S} UTC"

    def age(self, seconds: float | None) -> str:
        """An age in its largest unit."""
        if seconds is None:
            return ABSENT
        ago = timedelta(seconds=-max(1, int(seconds)))
        return format_timedelta(ago, threshold=1, add_direction=True, locale=self._locale)

    def seconds(self, value: float | None) -> str:
        """A length of time in seconds."""
        return ABSENT if value is None else format_decimal(value, "#,##0.0", locale=self._locale)
