"""Makes a plan's rows in other processes: first the sums that rows depend on, then any range of any table."""

from collections.abc import Callable, Iterator
from typing import TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from martline.shop.generation.csv import PIECE, as_csv, pieces
from martline.shop.generation.numbers import Integers
from martline.shop.generation.orders import Index
from martline.shop.generation.plan import Plan
from martline.shop.generation.shop import Shop
from martline.shop.generation.users import loyalty_statuses
from martline.shop.generation.workers import State, Workers

BLOCKS_AT_ONCE = 64
Rows = TypeVar("Rows")
Asked = tuple[str, int, int]
"""A table and the range of its rows."""


class Maker:
    """Makes the rows of a plan."""

    def __init__(self, plan: Plan, workers: Workers) -> None:
        self._workers = workers
        self.shop = Shop(plan)
        workers.each(_take_plan, plan)
        counted = workers.map(_count_blocks, pieces(self.shop.orders.blocks, BLOCKS_AT_ONCE))
        self._set_index(Index.of(counted))

    def give_ids(self, plan: Plan) -> None:
        """Continue with ``plan``, which is the same plan with its final ids."""
        index = self.shop.orders.known_index
        self.shop = Shop(plan)
        self._workers.each(_take_plan, plan)
        self._set_index(index)

    def as_csv(self, table: str, piece: int = PIECE) -> Iterator[tuple[int, bytes]]:
        """The rows as CSV, in order and in pieces, each with its number of rows."""
        for (first, end), made in self._made(table, piece, _csv_rows):
            yield end - first, made

    def as_arrow(self, table: str, piece: int = PIECE) -> Iterator[pa.RecordBatch]:
        """The rows as Arrow's record batches, in order."""
        for _, made in self._made(table, piece, _arrow_rows):
            yield made

    def _made(
        self, table: str, piece: int, make: Callable[[State, Asked], Rows]
    ) -> Iterator[tuple[tuple[int, int], Rows]]:
        ranges = pieces(self.shop.count(table), piece)
        if table == "users" and ranges:
            self._add_statuses()
        asked = ((table, first, end) for first, end in ranges)
        return zip(ranges, self._workers.map(make, asked), strict=True)

    def _add_statuses(self) -> None:
        """Give all processes the users' statuses, after each has added up the points of some entries."""
        for _ in self._workers.map(_add_points, pieces(self.shop.loyalty.count)):
            pass
        statuses = loyalty_statuses(np.sum(self._workers.each(_take_points, None), axis=0))
        self.shop.statuses = statuses
        self._workers.each(_take_statuses, statuses)

    def _set_index(self, index: Index) -> None:
        self.shop.orders.index = index
        self._workers.each(_take_index, index)


def _take_plan(state: State, plan: Plan) -> None:
    state.shop = Shop(plan)


def _take_index(state: State, index: Index) -> None:
    state.shop.orders.index = index


def _count_blocks(state: State, blocks: tuple[int, int]) -> Integers:
    return state.shop.orders.count_blocks(*blocks)


def _add_points(state: State, entries: tuple[int, int]) -> None:
    if state.points is None:
        state.points = np.zeros(state.shop.users.count, dtype=np.int64)
    state.shop.add_points(state.points, *entries)


def _take_points(state: State, _: None) -> Integers:
    points, state.points = state.points, None
    return np.zeros(state.shop.users.count, dtype=np.int64) if points is None else points


def _take_statuses(state: State, statuses: NDArray[np.uint8]) -> None:
    state.shop.statuses = statuses


def _arrow_rows(state: State, asked: Asked) -> pa.RecordBatch:
    return state.shop.rows(*asked)


def _csv_rows(state: State, asked: Asked) -> bytes:
    return as_csv(_arrow_rows(state, asked))
