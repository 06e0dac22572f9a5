"""All marts."""

from collections.abc import Iterable

from martline.marts import average_check, product_rating, user_activity
from martline.marts.definition import Mart

MARTS = {mart.name: mart for mart in (user_activity.MART, product_rating.MART, average_check.MART)}


def chosen(names: Iterable[str]) -> list[Mart]:
    """The marts of these names, each once, in the order of :data:`MARTS`; without names, all of them."""
    wanted = set(names) or set(MARTS)
    return [mart for name, mart in MARTS.items() if name in wanted]
