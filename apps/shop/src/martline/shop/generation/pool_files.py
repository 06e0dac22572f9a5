"""The files of names and texts, one for each locale; :mod:`martline.shop.generation.make_pools` makes them."""

import json
from functools import cache
from importlib import resources
from typing import Any


@cache
def read_pools(locale: str) -> dict[str, Any]:
    """The pools of a locale by their names, read once.

    A pool of people's names has one list for men and one for women.
    """
    folder = resources.files("martline.shop.generation").joinpath("pools")
    pools: dict[str, Any] = json.loads(folder.joinpath(f"{locale}.json").read_text(encoding="utf-8"))
    return pools
