"""Finds which events of a batch fit the database, with a few queries for the whole batch."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from martline.shop.events.batch import Rows
from martline.shop.events.schema import Event, NewReview, NewUser, one_line


@dataclass(frozen=True)
class Misfit:
    """Why an event can't be stored."""

    reason: str
    waits_for_user: int | None = None
    """The user whom the event waits for, if nothing else is wrong with it."""


REPEATED = Misfit("the event was stored before")
Judge = Callable[[Any], Misfit | None]


def misfits(connection: psycopg.Connection, rows: Rows) -> Iterator[Misfit | None]:
    """For each event, in order: why it can't be stored, or :data:`REPEATED`, or None if it fits."""
    query = "SELECT event_id FROM shop.consumed_events WHERE event_id = ANY(%s)"
    done = {event_id.hex for event_id in _found(connection, query, rows.ids)}
    events = rows.events()
    judge = JUDGES[rows.kind](connection, events)
    for event_id, event in zip(rows.ids, events, strict=True):
        if event_id in done:
            yield REPEATED
            continue
        misfit = judge(event)
        if misfit is None:
            done.add(event_id)
        yield misfit


def _users(connection: psycopg.Connection, events: Sequence[NewUser]) -> Judge:
    emails = _found(
        connection, "SELECT email FROM public.users WHERE email = ANY(%s)", [event.email for event in events]
    )
    numbers = [event.user_id for event in events if event.user_id is not None]
    ids = _found(connection, "SELECT user_id FROM public.users WHERE user_id = ANY(%s)", numbers)

    def judge(event: NewUser) -> Misfit | None:
        if event.email in emails:
            return Misfit(one_line(f"email: another user has {event.email} (users_email_key)"))
        if event.user_id is not None and event.user_id in ids:
            return Misfit(f"user_id: another user has {event.user_id} (users_pkey)")
        emails.add(event.email)
        ids.add(event.user_id)
        return None

    return judge


def _reviews(connection: psycopg.Connection, events: Sequence[NewReview]) -> Judge:
    users = _found(
        connection,
        "SELECT user_id FROM public.users WHERE user_id = ANY(%s)",
        list({event.user_id for event in events}),
    )
    products = _found(
        connection,
        "SELECT product_id FROM public.products WHERE product_id = ANY(%s)",
        list({event.product_id for event in events}),
    )

    def judge(event: NewReview) -> Misfit | None:
        if event.product_id not in products:
            return Misfit(f"product_id: there is no product {event.product_id} (reviews_product_id_fkey)")
        if event.user_id not in users:
            return Misfit(f"user_id: there is no user {event.user_id} (reviews_user_id_fkey)", event.user_id)
        return None

    return judge


JUDGES: dict[type[Event], Callable[[psycopg.Connection, Sequence[Any]], Judge]] = {
    NewUser: _users,
    NewReview: _reviews,
}


def _found(connection: psycopg.Connection, query: str, values: Sequence[object]) -> set[Any]:
    return {value for (value,) in connection.execute(query.encode(), [list(values)])} if values else set()
