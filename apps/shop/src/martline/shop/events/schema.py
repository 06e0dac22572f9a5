"""The events: their format, what is refused, and the rows that they become.

An event is a JSON object in UTF-8. ``docs/events`` has the JSON schemas, made from the classes here.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Literal
from uuid import UUID

import msgspec
from msgspec import Meta, Struct

MAX_EVENT_BYTES = 1024 * 1024
"""A larger message is refused unread."""
FIRST_SENT_USER = 2**40
"""The sender of a registration chooses the user's id from here on; the database assigns smaller ids."""
LAST_SENT_USER = 2**53 - 1
"""The largest integer that every JSON reader keeps exactly."""
REASON_LENGTH = 300

NULL = r"\N"
ESCAPES = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})

EVENT_ID = Annotated[UUID, Meta(description="An event whose id was stored before changes nothing.")]
MOMENT = Annotated[
    datetime, Meta(description="RFC 3339, such as 2026-01-02T03:04:05.678901Z; without an offset it is UTC.")
]
NAME = Annotated[str, Meta(min_length=1, max_length=100)]
# :meth:`NewUser.check` checks the pattern, in a fifth of the time that a regular expression takes.
EMAIL = Annotated[str, Meta(max_length=255, extra_json_schema={"pattern": r"^[^@\s]+@[^@\s]+$"})]
PHONE = Annotated[str, Meta(max_length=32)]
SENT_USER = Annotated[
    int,
    Meta(ge=FIRST_SENT_USER, le=LAST_SENT_USER, description="Chosen by the sender, or else by the database."),
]
ID = Annotated[int, Meta(ge=1, le=2**63 - 1)]
RATING = Annotated[int, Meta(ge=1, le=5)]


class Refused(ValueError):
    """An event that can't be stored; the text says why, on one line of limited length."""

    def __init__(self, reason: object) -> None:
        super().__init__(one_line(str(reason)))


@dataclass(frozen=True, eq=False)
class Target:
    """The table and columns that rows are copied into. Each exists once, so that it is found quickly."""

    table: str
    columns: tuple[str, ...]


class Event(Struct, frozen=True, forbid_unknown_fields=True, gc=False, kw_only=True):
    """What all events have in common."""

    topic: ClassVar[str]

    event_id: EVENT_ID
    schema_version: Literal[1]
    occurred_at: MOMENT

    @property
    def target(self) -> Target:
        """The table and columns for the event's row."""
        raise NotImplementedError

    def line(self) -> str:
        """The row in the text format of ``COPY``; texts must not contain characters that have a meaning there."""
        raise NotImplementedError

    def check(self) -> None:
        """Raise :class:`Refused` for errors that the fields' types can't express."""


class NewUser(Event, frozen=True, kw_only=True):
    """Somebody has registered."""

    topic: ClassVar[str] = "new_user_events"
    _columns: ClassVar = ("first_name", "last_name", "email", "phone", "registration_date", "loyalty_status")
    _numbered: ClassVar = Target("users", ("user_id", *_columns))
    _unnumbered: ClassVar = Target("users", _columns)

    event_type: Literal["new_user"] = "new_user"
    user_id: SENT_USER | None = None
    first_name: NAME
    last_name: NAME
    email: EMAIL
    phone: PHONE | None
    loyalty_status: Literal["Gold", "Silver", "Bronze"]

    @property
    def target(self) -> Target:
        """The database assigns an id to a user without one."""
        return self._unnumbered if self.user_id is None else self._numbered

    def line(self) -> str:
        """A user registers when the event occurs."""
        number = "" if self.user_id is None else f"{self.user_id}\t"
        phone = NULL if self.phone is None else self.phone
        return (
            f"{number}{self.first_name}\t{self.last_name}\t{self.email}\t{phone}\t{utc(self.occurred_at)}"
            f"\t{self.loyalty_status}\n"
        )

    def check(self) -> None:
        """An e-mail address has something on both sides of its only ``@``, and no space."""
        name, _, domain = self.email.partition("@")
        if not name or not domain or "@" in domain or self.email.split() != [self.email]:
            raise Refused(f"email: {self.email!r} is not an address")


class NewReview(Event, frozen=True, kw_only=True):
    """A user has reviewed a product."""

    topic: ClassVar[str] = "new_review_events"
    _target: ClassVar = Target("reviews", ("user_id", "product_id", "rating", "review_text", "created_at"))

    event_type: Literal["new_review"] = "new_review"
    user_id: ID
    product_id: ID
    rating: RATING
    review_text: str | None

    @property
    def target(self) -> Target:
        """The table of reviews."""
        return self._target

    def line(self) -> str:
        """A review is written when the event occurs."""
        text = NULL if self.review_text is None else self.review_text
        return f"{self.user_id}\t{self.product_id}\t{self.rating}\t{text}\t{utc(self.occurred_at)}\n"


KINDS: tuple[type[Event], ...] = (NewUser, NewReview)
_encode = msgspec.json.Encoder().encode
DECODERS: Mapping[type[Event], msgspec.json.Decoder[Any]] = {
    kind: msgspec.json.Decoder(kind, strict=True) for kind in KINDS
}


def read_event(kind: type[Event], message: bytes | None) -> tuple[Event, str]:
    """Read the event in a message, and its row's line for ``COPY``, or raise :class:`Refused`.

    Only a text from JSON with a backslash in it can contain a character that has a meaning in ``COPY``.
    """
    if message is None:
        raise Refused("the message has no value")
    if len(message) > MAX_EVENT_BYTES:
        raise Refused(too_long(len(message)))
    try:
        event: Event = DECODERS[kind].decode(message)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(_why(error)) from None
    event.check()
    return event, event.line() if b"\\" not in message else _escaped(event).line()


def utc(moment: datetime) -> str:
    """The moment in UTC, as PostgreSQL reads it; a moment without a zone is in UTC."""
    if moment.tzinfo is not None and moment.tzinfo is not UTC:
        try:
            moment = moment.astimezone(UTC)
        except OverflowError:
            raise Refused(f"occurred_at: {moment.isoformat()} is not in the years 1 to 9999 in UTC") from None
    return _encode(moment).decode()[1:-1]  # the JSON text without quotes takes a tenth of isoformat()'s time


def json_schema(kind: type[Event]) -> dict[str, Any]:
    """The format of an event as JSON Schema (draft 2020-12)."""
    schema = msgspec.json.schema(kind)
    definition = schema["$defs"][kind.__name__]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **definition}


def too_long(size: int) -> str:
    """Why a message of this size in bytes is refused."""
    return f"the message is too long: {size} bytes; the maximum is {MAX_EVENT_BYTES}"


def one_line(text: str) -> str:
    """The text on one line, cut where it is too long, without characters that can't be shown."""
    start = text[: REASON_LENGTH + 1]
    shown = "".join(character if character.isprintable() else repr(character)[1:-1] for character in start)
    return shown if len(shown) <= REASON_LENGTH else f"{shown[: REASON_LENGTH - 1]}…"


def _why(error: Exception) -> str:
    """The reason in a readable order: first the field, then the fault."""
    if not isinstance(error, msgspec.ValidationError):
        return f"not JSON in UTF-8: {error}"
    what = str(error)
    found = re.fullmatch(r"(?s)(.{1,400}?) - at `\$\.?(\w+)`", what)
    return f"{found[2]}: {found[1]}" if found else what


def _escaped(event: Event) -> Event:
    """The event with its texts escaped for ``COPY`` (PostgreSQL's documentation, "Text Format")."""
    texts = {}
    for name in event.__struct_fields__:
        value = getattr(event, name)
        if isinstance(value, str):
            if "\0" in value:
                raise Refused(f"{name}: PostgreSQL can't store the character with code zero")
            texts[name] = value.translate(ESCAPES)
    return msgspec.structs.replace(event, **texts)
