"""The source's settings: a password is not shown, and not sent in plain text over an unencrypted connection."""

import pytest

from pg_to_mysql import Source
from pg_to_mysql.postgres.connection import _login


def test_a_source_does_not_show_its_password() -> None:
    source = Source("postgresql://someone:secret@example.org/shop", sslpassword="secret")
    assert repr(source) == "Source('user=someone dbname=shop host=example.org')"


@pytest.mark.parametrize(
    ("parameters", "environment", "login"),
    [
        ({}, {}, {"require_auth": "!password"}),
        ({}, {"PGSSLMODE": "require"}, {"sslmode": "require"}),
        ({"sslmode": "verify-full"}, {"PGSSLMODE": "disable"}, {"sslmode": "verify-full"}),
        ({"sslmode": "prefer"}, {"PGSSLMODE": "require"}, {"require_auth": "!password"}),
        ({}, {"PGREQUIREAUTH": "password, scram-sha-256"}, {"require_auth": "scram-sha-256"}),
        ({"require_auth": "!md5"}, {"PGREQUIREAUTH": "password"}, {"require_auth": "!md5,!password"}),
    ],
)
def test_a_password_goes_in_clear_only_where_the_connection_is_encrypted(
    parameters: dict[str, str],
    environment: dict[str, str],
    login: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("PGSSLMODE", "PGREQUIREAUTH", "PGSERVICE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert _login(parameters) == login
