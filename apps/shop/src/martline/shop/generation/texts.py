"""The pools of names and texts of a locale."""

from functools import cache

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from martline.shop.generation.columns import Column, chosen, joined
from martline.shop.generation.numbers import Integers
from martline.shop.generation.pool_files import read_pools


class Texts:
    """The pools, whose entries are chosen by number. A pool of names has the men's names before the women's."""

    def __init__(self, locale: str) -> None:
        pools = read_pools(locale)
        self.first_names = _joined_pools(pools["first_names"])
        self.first_names_latin = _joined_pools(pools["first_names_latin"])
        self.last_names = _joined_pools(pools["last_names"])
        self.last_names_latin = _joined_pools(pools["last_names_latin"])
        self.first_starts = _starts(pools["first_names"])
        self.last_starts = _starts(pools["last_names"])
        self.brands = pa.array(pools["brands"])
        self.texts = pa.array(pools["texts"])
        self._openings = pa.array([text for texts in pools["openings"] for text in texts])
        self.openings_of_rating = len(pools["openings"][0])

    def review(self, ratings: Integers, openings: Integers, texts: Integers) -> Column:
        """An opening that fits the rating, and a text."""
        opening = chosen(self._openings, (ratings - 1) * self.openings_of_rating + openings)
        return joined(opening, chosen(self.texts, texts), separator=" ")


def _joined_pools(pools: list[list[str]]) -> Column:
    return pa.array([name for pool in pools for name in pool])


def _starts(pools: list[list[str]]) -> Integers:
    """Where each pool starts in the joined pool, and where the last one ends."""
    return np.cumsum([0, *map(len, pools)])


def within(starts: Integers, pools: Integers, fractions: NDArray[np.float64]) -> Integers:
    """Numbers of entries in the joined pool. Each fraction is the entry's position within its own pool."""
    return starts[pools] + (fractions * (starts[pools + 1] - starts[pools])).astype(np.int64)


@cache
def texts(locale: str) -> Texts:
    """The pools of a locale, read once."""
    return Texts(locale)
