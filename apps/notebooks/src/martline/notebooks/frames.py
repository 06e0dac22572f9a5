"""Rows of a database as a pandas DataFrame."""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pandas as pd


def frame(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> pd.DataFrame:
    """The rows, with types that pandas can compute with and plot.

    Decimal numbers become floats, which have 15 digits; days and times become ``datetime64``, in UTC.
    """
    made = pd.DataFrame(rows, columns=list(names))
    for name in names:
        values = made[name]
        first = next((value for value in values if value is not None), None)
        if isinstance(first, Decimal):
            made[name] = values.astype(float)
        elif isinstance(first, datetime) and first.tzinfo:
            made[name] = pd.to_datetime(values, utc=True).dt.tz_localize(None)
        elif isinstance(first, date):
            made[name] = values.astype("datetime64[us]")
    return made
