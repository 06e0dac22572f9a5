"""Writes a batch as files, one for each table. The folder appears only when it is complete."""

import json
import shutil
from collections.abc import Iterator, Sequence
from enum import Enum
from itertools import chain
from pathlib import Path
from typing import IO, Any

import pyarrow.parquet as pq

from martline.command import Failure, progress
from martline.shop.generation.csv import as_csv
from martline.shop.generation.dirty import as_result, defects, rows_of
from martline.shop.generation.make import Maker
from martline.shop.generation.request import Request, require_parents
from martline.shop.generation.schemas import SCHEMAS

ROWS_OF_A_GROUP = 2**18
"""Rows in a row group of a Parquet file."""


class Form(Enum):
    """The format of the files."""

    CSV = "csv"
    PARQUET = "parquet"


def generate_files(request: Request, folder: Path, form: Form) -> dict[str, Any]:
    """Write a batch into a new or empty folder, with ids from 1.

    Returns the number of rows by table, and where the defects are, which ``defects.json`` lists too.
    """
    plan = request.plan
    require_parents(plan.sizes)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Failure(f"{folder} already exists and is not an empty folder: choose another name")
    folder = folder.absolute()
    unfinished = folder.with_name(f".{folder.name}.unfinished")
    try:
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        with request.workers() as workers:
            result = _Writer(Maker(plan, workers), unfinished, form).write(request.only)
        unfinished.replace(folder)
    except OSError as error:
        raise Failure(f"{folder} can't be written: {error.strerror}") from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return result


class _Writer:
    """Writes the files of one batch."""

    def __init__(self, maker: Maker, folder: Path, form: Form) -> None:
        self._maker = maker
        self._folder = folder
        self._form = form
        self._defects = defects(maker.shop, maker.shop.plan.dirty, forbidden=True)

    def write(self, tables: Sequence[str]) -> dict[str, Any]:
        counts: dict[str, int] = {}
        known = sum(self._maker.shop.count(table) for table in tables)
        write = self._write_csv if self._form is Form.CSV else self._write_parquet
        with progress(known, "rows", "generating") as bar:
            for table in tables:
                for rows in write(table, self._folder / f"{table}.{self._form.value}"):
                    counts[table] = counts.get(table, 0) + rows
                    bar.update(rows)
        found = as_result(self._defects)
        if found:
            places = json.dumps(found["defects"], indent=2) + "\n"
            (self._folder / "defects.json").write_text(places, encoding="utf-8")
        return {"rows": counts, "rows_written": sum(counts.values()), **found}

    def _write_csv(self, table: str, path: Path) -> Iterator[int]:
        with path.open("wb") as file:
            file.write((",".join(SCHEMAS[table].names) + "\n").encode())
            for count, rows in self._maker.as_csv(table):
                file.write(rows)
                yield count
            for extra in rows_of(self._defects, table):
                file.write(as_csv(extra))
                yield extra.num_rows

    def _write_parquet(self, table: str, path: Path) -> Iterator[int]:
        file: IO[bytes]
        with path.open("wb") as file, pq.ParquetWriter(file, SCHEMAS[table]) as writer:
            for rows in chain(self._maker.as_arrow(table, ROWS_OF_A_GROUP), rows_of(self._defects, table)):
                writer.write_batch(rows, row_group_size=ROWS_OF_A_GROUP)
                yield rows.num_rows
