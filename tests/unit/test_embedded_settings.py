"""The settings file: what is read from it, and the errors about what is wrong in it."""

import re
from pathlib import Path

import pytest

from martline.command import WrongSettings
from martline.embedded.settings import Settings, read_settings

CHECKOUT = Path(__file__).parent.parent.parent


def written(folder: Path, text: str) -> Path:
    file = folder / ".env"
    file.write_text(text)
    return file


def test_the_projects_own_file_holds_every_setting_with_its_default() -> None:
    file = CHECKOUT / ".env"
    assert read_settings(file) == Settings()
    assert set(re.findall(r"^(\w+)=", file.read_text(), re.MULTILINE)) == {
        name.upper() for name in Settings.model_fields
    }


def test_values_comments_and_blanks_are_read(tmp_path: Path) -> None:
    settings = read_settings(
        written(tmp_path, "# a comment\n\nPGPORT=5432\nMYSQL_TCP_PORT=\nSHOP_USERS=7 # few\n")
    )
    assert (settings.pgport, settings.mysql_tcp_port, settings.shop_users) == (5432, None, 7)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "\n# ports\n\nPGPORT=70000\n",
            r"line 4: PGPORT does not take '70000': it takes a port from 1 to 65535",
        ),
        ("SHOP_USERS=many\n", r"line 1: SHOP_USERS does not take 'many': it takes a whole number from 0"),
        (
            "PGUSER=a\nPGDATABASE=My Shop\n",
            r"line 2: PGDATABASE does not take 'My Shop': it takes up to 32 lower-case",
        ),
        ("PGHOST=elsewhere\n", r"line 1: PGHOST is not a setting: the settings are PGDATABASE, PGUSER"),
        ("PGUSER=shop\n= 3\n", r"line 2: a line is NAME=value"),
    ],
)
def test_a_wrong_line_is_named_with_what_is_allowed(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(WrongSettings, match=sentence):
        read_settings(written(tmp_path, text))


def test_a_wrong_password_is_not_repeated(tmp_path: Path) -> None:
    with pytest.raises(WrongSettings) as raised:
        read_settings(written(tmp_path, "PGPASSWORD='two words'\n"))
    assert "two words" not in str(raised.value)
    assert "line 1: PGPASSWORD does not take this value" in str(raised.value)


@pytest.mark.parametrize(
    ("setting", "name"),
    [
        *(("PGUSER", name) for name in ("postgres", "airflow", "public", "none", "pg_monitor", "pg_mine")),
        *(("PGDATABASE", name) for name in ("postgres", "airflow", "template0", "template1")),
        *(("MYSQL_USER", name) for name in ("root", "mysql", "public")),
        *(("MYSQL_DATABASE", name) for name in ("mysql", "sys", "information_schema", "performance_schema")),
        *(("PGUSER", name) for name in ("PUBLIC", "o'hara", 'a"b', "a b", "a;b", "mariadb.sys", "")),
        *(("MYSQL_USER", name) for name in ("mariadb.sys", "a`b", "a\\b")),
    ],
)
def test_a_name_that_a_server_has_or_cannot_have_is_refused(tmp_path: Path, setting: str, name: str) -> None:
    with pytest.raises(WrongSettings, match=rf"line 1: {setting} does not take .*up to 32 lower-case .*none of"):
        read_settings(written(tmp_path, f"{setting}={name}\n"))
