"""The definitions of the marts are consistent."""

import pytest

from martline.marts.catalogue import MARTS, chosen
from martline.marts.checks import checks_of
from martline.marts.definition import Mart


def test_all_marts_are_chosen_when_none_is_named() -> None:
    assert [mart.name for mart in chosen([])] == list(MARTS)


def test_a_mart_that_is_named_twice_is_chosen_once() -> None:
    assert [mart.name for mart in chosen(["mart_average_check"] * 2)] == ["mart_average_check"]


@pytest.mark.parametrize("mart", MARTS.values(), ids=MARTS)
def test_a_mart_has_its_key_and_its_indexes_among_its_columns(mart: Mart) -> None:
    columns = {column.name for column in mart.columns}
    assert {*mart.key, *(name for index in mart.indexes for name in index)} <= columns


@pytest.mark.parametrize("mart", MARTS.values(), ids=MARTS)
def test_the_checks_of_a_mart_have_names_of_their_own(mart: Mart) -> None:
    names = [check.name for check in checks_of(mart)]
    assert sorted(names) == sorted(set(names))
