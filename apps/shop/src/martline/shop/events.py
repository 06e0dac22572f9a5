"""The events: their form, and the topics that they go through.

An event is a JSON object in UTF-8. Version 1 has ``event_id`` (a UUID, which makes a repeat harmless),
``schema_version``, ``occurred_at`` (UTC, ISO 8601) and the fields of what happened.
"""

import os
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, NaiveDatetime

from martline.command import WrongSettings

DEAD_LETTER_SUFFIX = "_dead_letter"


def _without_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("PostgreSQL keeps no character of code zero")
    return text


Text = Annotated[str, AfterValidator(_without_nul)]
Id = Annotated[int, Field(ge=1, lt=2**63)]


class Event(BaseModel):
    """What all events have in common."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    topic: ClassVar[str]
    table: ClassVar[str]
    columns: ClassVar[tuple[str, ...]]
    """The columns of the table that the event's row fills, which are fields of the same names."""

    event_id: UUID
    schema_version: Literal[1]
    occurred_at: NaiveDatetime

    def row(self) -> tuple[Any, ...]:
        """The values of :attr:`columns`."""
        return tuple(getattr(self, column) for column in self.columns)


class NewUser(Event):
    """Somebody has registered."""

    topic = "new_user_events"
    table = "users"
    columns = ("first_name", "last_name", "email", "phone", "registration_date", "loyalty_status")

    first_name: Annotated[Text, Field(min_length=1, max_length=100)]
    last_name: Annotated[Text, Field(min_length=1, max_length=100)]
    email: Annotated[Text, Field(pattern=r"^[^@\s]+@[^@\s]+$", max_length=255)]
    phone: Annotated[Text, Field(max_length=32)] | None
    loyalty_status: Literal["Gold", "Silver", "Bronze"]

    @property
    def registration_date(self) -> datetime:
        """A user registers when the event occurs."""
        return self.occurred_at


class NewReview(Event):
    """A user has reviewed a product."""

    topic = "new_review_events"
    table = "reviews"
    columns = ("user_id", "product_id", "rating", "review_text", "created_at")

    user_id: Id
    product_id: Id
    rating: Annotated[int, Field(ge=1, le=5, strict=True)]
    review_text: Text | None

    @property
    def created_at(self) -> datetime:
        """A review is written when the event occurs."""
        return self.occurred_at


EVENTS: tuple[type[Event], ...] = (NewUser, NewReview)


def bootstrap_servers() -> list[str]:
    """``KAFKA_BOOTSTRAP_SERVERS``, a list of host:port with commas between."""
    servers = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
    if not servers:
        raise WrongSettings("KAFKA_BOOTSTRAP_SERVERS is not set: set it to the brokers' host:port")
    return servers.split(",")


def topic_name(event: type[Event]) -> str:
    """An event's topic; ``KAFKA_TOPIC_PREFIX`` stands before it, for clusters that several shops share."""
    return os.environ.get("KAFKA_TOPIC_PREFIX", "") + event.topic


def dead_letter_topic(topic: str) -> str:
    """Where the events of a topic go that can't be read or stored."""
    return topic + DEAD_LETTER_SUFFIX
