"""A figure: a chart, the table of its numbers, and the same as CSV."""

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from martline.dashboard.charts.picture import Picture
from martline.dashboard.pages.formats import Formats
from martline.dashboard.pages.texts import Texts

Value = str | int | date | Decimal | None


@dataclass(frozen=True)
class Column:
    """A column of a table: its name in CSV, what it is called on the page, and how its values are written."""

    name: str
    title: str
    kind: str = "text"
    """A method of :class:`Formats`; ``text`` and ``plain``, which are left as they are; or the kind of a name."""

    @property
    def is_number(self) -> bool:
        """Whether its values stand to the right, digit below digit."""
        return self.kind in ("plain", "count", "money")


@dataclass(frozen=True)
class Table:
    """The numbers of a figure."""

    columns: Sequence[Column]
    rows: Sequence[tuple[Value, ...]]

    def written(self, formats: Formats, texts: Texts) -> Iterator[list[str]]:
        """The values as the page writes them."""
        for row in self.rows:
            yield [_write(column, value, formats, texts) for column, value in zip(self.columns, row, strict=True)]

    def csv(self) -> str:
        """The values as the marts have them: a line of names first, nothing for what is null."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\r\n")
        writer.writerow([column.name for column in self.columns])
        writer.writerows(["" if value is None else str(value) for value in row] for row in self.rows)
        return text.getvalue()


def _write(column: Column, value: Value, formats: Formats, texts: Texts) -> str:
    if column.kind in ("text", "plain"):
        return "" if value is None else str(value)
    if isinstance(value, str):
        return texts.name_of(column.kind, value)
    return str(getattr(formats, column.kind)(value))


@dataclass(frozen=True)
class Figure:
    """What a card of the page shows. Without rows it says that there are none."""

    name: str
    title: str
    unit: str
    table: Table
    draw: Callable[[int], Picture]
    """Draws the chart in a width in pixels."""
    note: str = ""
    is_wide: bool = False
    missing: str | None = None
    """The mart that it is made of, if that is not there."""
