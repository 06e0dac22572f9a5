"""The published marts."""

import pandas as pd

from martline.command import Failure
from martline.notebooks.databases import replica
from pg_to_mysql.mysql.quoting import quote

_PRESENT = """
    SELECT COUNT(*) AS present FROM information_schema.tables
    WHERE table_schema = DATABASE() AND table_name = 'mart_versions'
"""
_MARTS = """
    SELECT mart, `rows`, built_at, lsn, table_comment AS meaning FROM mart_versions
    JOIN information_schema.tables ON table_schema = DATABASE() AND table_name = mart ORDER BY mart
"""


def marts() -> pd.DataFrame:
    """The marts: how many rows, when and from which position of PostgreSQL's log they were built, their meaning.

    :raises Failure: there are no marts yet.
    """
    if not replica(_PRESENT)["present"][0]:
        raise Failure("There are no marts yet: run build-marts, or the demo, which builds them")
    return replica(_MARTS)


def mart(name: str) -> pd.DataFrame:
    """All rows of a mart.

    :raises Failure: there is no mart of this name; the message lists the existing ones.
    """
    names = list(marts()["mart"])
    if name not in names:
        raise Failure(f"There is no mart {name}: choose one of {', '.join(names)}")
    return replica(f"SELECT * FROM {quote(name)}")  # noqa: S608
