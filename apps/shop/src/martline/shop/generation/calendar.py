"""Gives rows their moments, in ascending order and in proportion to the weight of each hour."""

from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np

from martline.shop.generation.numbers import Integers, Rows

HOUR, DAY = 3600, 86400
TOTAL = 2**31
"""The approximate sum of the hours' weights. Its product with a row's number stays below 2^63."""
# Weights from Monday, January and midnight on. Sales are highest in the evening, at weekends and before New Year.
OF_WEEKDAY = (95, 92, 94, 100, 118, 126, 108)
OF_MONTH = (88, 84, 94, 92, 96, 94, 89, 93, 100, 106, 136, 152)
OF_HOUR = (30, 18, 11, 8, 7, 10, 20, 38, 55, 68, 78, 84, 88, 86, 84, 85, 88, 94, 104, 116, 124, 118, 92, 58)
EVEN = (1,)


class Calendar:
    """Spreads rows over the days in the order of their numbers. Moments are seconds since 1970."""

    def __init__(
        self,
        first_day: date,
        weights_of_days: Sequence[int],
        of_weekday: Sequence[int] = EVEN,
        of_month: Sequence[int] = EVEN,
        of_hour: Sequence[int] = EVEN,
    ) -> None:
        days = [first_day + timedelta(number) for number in range(len(weights_of_days))]
        of_days = [
            weight * of_weekday[day.weekday() % len(of_weekday)] * of_month[(day.month - 1) % len(of_month)]
            for day, weight in zip(days, weights_of_days, strict=True)
        ]
        hours = [of_hour[hour % len(of_hour)] for hour in range(24)]
        total = sum(of_days) * sum(hours)
        weights = [max(1, day * hour * TOTAL // total) for day in of_days for hour in hours]
        self._weights = np.array(weights, dtype=np.int64)
        self._starts = np.concatenate([[0], np.cumsum(self._weights)])
        self.first = (first_day - date(1970, 1, 1)).days * DAY
        self.end = self.first + len(weights_of_days) * DAY
        self.total = int(self._starts[-1])

    def moments(self, rows: Rows, count: int, jitter: Integers) -> Integers:
        """The moments of some of ``count`` rows. The jitter is below ``total``; row 0 gets the first moment."""
        positions = (rows * self.total + np.where(rows == 0, 0, jitter)) // count
        hours = np.searchsorted(self._starts, positions, side="right") - 1
        within = (positions - self._starts[hours]) * HOUR // self._weights[hours]
        moments: Integers = self.first + hours * HOUR + within
        return moments

    def rows_until(self, moments: Integers, count: int) -> Integers:
        """How many of ``count`` rows have happened by each moment, whatever their jitter was; at least 1."""
        seconds = np.clip(moments - self.first, 0, self.end - self.first - 1)
        hours = seconds // HOUR
        positions = self._starts[hours] + (seconds - hours * HOUR) * self._weights[hours] // HOUR
        rows: Integers = np.maximum(1, positions * count // self.total)
        return rows


def orders_calendar(until: date, years: int) -> Calendar:
    """The calendar of orders. They treble over the years, with daily, weekly and yearly seasons."""
    days = 365 * years
    growth = [1000 + 2000 * day // days for day in range(days)]
    return Calendar(until - timedelta(days - 1), growth, OF_WEEKDAY, OF_MONTH, OF_HOUR)


def arrivals_calendar(until: date, years: int) -> Calendar:
    """The calendar of new users and products: half come in the year before the first order, the rest evenly."""
    days = 365 * years
    return Calendar(until - timedelta(days + 365 - 1), [years] * 365 + [1] * days, of_hour=OF_HOUR)
