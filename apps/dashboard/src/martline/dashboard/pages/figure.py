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
    """A column of a table: its name in CSV, its title on the page, and the format of its values."""

    name: str
    title: str
    kind: str = "text"
    """The name of a method of :class:`Formats`; or ``text`` or ``plain`` for values that stay as they are; or a
    kind of names."""

    @property
    def is_number(self) -> bool:
        """Whether its values are aligned to the right."""
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
        """The marts' values, after a line of names. NULL is empty."""
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
    """The content of a card on the page. Without rows, the card says that there are none."""

    name: str
    title: str
    unit: str
    table: Table
    draw: Callable[[int], Picture]
    """Draws the chart with a width in pixels."""
    note: str = ""
    is_wide: bool = False
    missing: str | None = None
    """The mart that the figure needs, if it is missing."""
