"""The numbers on an axis."""

import json
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Units:
    """Words for thousands, millions and billions, which axes use instead of many digits."""

    thousand: str = "K"
    million: str = "M"
    billion: str = "B"

    def expression(self, values: Iterable[float]) -> str:
        """Vega's expression for the labels of an axis with these values."""
        largest = max((abs(value) for value in values), default=0)
        for factor, word in ((1e9, self.billion), (1e6, self.million), (1e4, self.thousand)):
            if largest >= factor:
                size = 1e3 if factor == 1e4 else factor
                return (
                    f"datum.value == 0 ? '0' : format(datum.value / {size:.0f}, ',') + {json.dumps(' ' + word)}"
                )
        return "format(datum.value, ',')"
