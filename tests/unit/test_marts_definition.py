"""What the marts declare."""

import pytest

from martline.command import MySQLSettings
from martline.marts.catalogue import MARTS, chosen
from martline.marts.definition import Mart
from martline.marts.sources import SOURCES
from martline.marts.spark import jdbc_options


def test_all_marts_are_chosen_when_none_is_named() -> None:
    assert [mart.name for mart in chosen([])] == list(MARTS)


def test_a_mart_that_is_named_twice_is_chosen_once() -> None:
    assert [mart.name for mart in chosen(["mart_average_check"] * 2)] == ["mart_average_check"]


@pytest.mark.parametrize("mart", MARTS.values(), ids=MARTS)
def test_a_mart_has_its_key_among_its_columns_and_known_sources(mart: Mart) -> None:
    assert set(mart.key) <= {column.name for column in mart.columns}
    assert set(mart.sources) <= set(SOURCES)


def test_the_url_that_spark_may_log_has_neither_user_nor_password() -> None:
    options = jdbc_options(MySQLSettings("mysql", 3306, "shop-user", "shop", password="s3cret"))
    assert options["url"] == "jdbc:mysql://mysql:3306/shop"
    assert (options["user"], options["password"]) == ("shop-user", "s3cret")
