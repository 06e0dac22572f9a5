"""The settings file ``.env``: names, sizes, ports and passwords."""

from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated

from dotenv.parser import Binding, parse_stream
from pydantic import (
    AliasGenerator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from martline.command import WrongSettings


def _blank_to_none(value: object) -> object:
    return None if value == "" else value


Port = Annotated[
    Annotated[int, Field(ge=1, le=65535)] | None,
    BeforeValidator(_blank_to_none),
    Field(description="a port from 1 to 65535, or nothing for a free one"),
]
Name = Annotated[
    str,
    Field(pattern=r"^[a-z_][a-z0-9_]{0,31}$", description="up to 32 lower-case letters, digits and underscores"),
]
TAKEN = {
    "pguser": ("postgres", "airflow", "dashboard", "public", "none", "pg_*"),
    "pgdatabase": ("postgres", "airflow", "template0", "template1"),
    "mysql_user": ("root", "dashboard", "mysql", "public", "none", "current_role", "current_user"),
    "airflow_user": ("dashboard",),
    "mysql_database": ("mysql", "sys", "information_schema", "performance_schema"),
}
"""Names that a server already has or can't have, or that the platform itself uses in it."""
Password = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z0-9_.~!@#$^&*()+=-]*$",
        repr=False,
        description="letters, digits and any of _.~!@#$^&*()+=-, or nothing to generate one",
    ),
]
Size = Annotated[int, Field(ge=0, description="a whole number from 0")]


class Settings(BaseModel):
    """The settings in ``.env``. For a port of None a free one is chosen; a blank password is generated."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=AliasGenerator(alias=str.upper))

    pgdatabase: Name = "shop"
    pguser: Name = "shop"
    pgpassword: Password = ""
    pgport: Port = None
    mysql_database: Name = "shop"
    mysql_user: Name = "shop"
    mysql_pwd: Password = ""
    mysql_tcp_port: Port = None
    kafka_port: Port = None
    zookeeper_port: Port = None
    airflow_port: Port = None
    dashboard_port: Port = None
    airflow_user: Name = "admin"
    airflow_password: Password = ""
    shop_users: Size = 500
    shop_products: Size = 800
    shop_orders: Size = 3000
    shop_reviews: Size = 2000
    shop_loyalty: Size = 3000
    shop_user_events: Size = 200
    shop_review_events: Size = 200

    @field_validator(*TAKEN)
    @classmethod
    def _is_not_taken(cls, name: str, field: ValidationInfo) -> str:
        if any(fnmatchcase(name, taken) for taken in TAKEN[str(field.field_name)]):
            raise ValueError("taken")
        return name


def read_settings(file: Path) -> Settings:
    """Read ``.env``; without the file, the defaults apply.

    Raises :class:`WrongSettings` that names the file, the line, the setting and what is allowed.
    """
    bindings = _bindings(file) if file.exists() else {}
    try:
        return Settings.model_validate({name: binding.value or "" for name, binding in bindings.items()})
    except ValidationError as error:
        binding = bindings[str(error.errors()[0]["loc"][0])]
        raise WrongSettings(f"{file}, line {_line(binding)}: {_explanation(binding)}") from None


def _bindings(file: Path) -> dict[str, Binding]:
    bindings = {}
    with file.open(encoding="utf-8") as stream:
        for binding in parse_stream(stream):
            if binding.error:
                raise WrongSettings(f"{file}, line {_line(binding)}: a line is NAME=value, or a comment after #")
            if binding.key is not None:
                bindings[binding.key] = binding
    return bindings


def _line(binding: Binding) -> int:
    """The line of a setting. What the parser returns starts with the blank lines before it."""
    text = binding.original.string
    blank = text[: len(text) - len(text.lstrip())]
    return binding.original.line + blank.count("\n")


def _explanation(binding: Binding) -> str:
    fields = {name.upper(): field for name, field in Settings.model_fields.items()}
    field = fields.get(binding.key or "")
    if field is None:
        return f"{binding.key} is not a setting: the settings are {', '.join(fields)}"
    value = repr(binding.value) if field.repr else "this value"
    taken = TAKEN.get(str(binding.key).lower())
    exceptions = f", but none of {', '.join(taken)}" if taken else ""
    return f"{binding.key} does not take {value}: it takes {field.description}{exceptions}"
