"""All marts: each module of :mod:`martline.marts.models` has one."""

import importlib
import pkgutil
from collections.abc import Iterable

from martline.marts import models
from martline.marts.definition import Mart


def _found() -> list[Mart]:
    names = [module.name for module in pkgutil.iter_modules(models.__path__)]
    return [importlib.import_module(f"{models.__name__}.{name}").MART for name in sorted(names)]


MARTS = {mart.name: mart for mart in _found()}


def chosen(names: Iterable[str]) -> list[Mart]:
    """The marts of these names, each once, in the order of :data:`MARTS`; without names, all of them."""
    wanted = set(names) or set(MARTS)
    return [mart for name, mart in MARTS.items() if name in wanted]
