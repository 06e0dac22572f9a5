"""A batch to store together: rows made from messages, and how far each partition was read for them."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from confluent_kafka import Message as KafkaMessage

from martline.shop.events.dead_letters import Rejected
from martline.shop.events.message import Message, from_kafka, value_of
from martline.shop.events.offsets import Span
from martline.shop.events.schema import Event, Refused, Target, read_event
from martline.shop.events.topics import Partition


@dataclass
class Rows:
    """Events on their way into one table, as parallel lists.

    The events themselves are decoded again when they are needed. That is rare, and keeping them would take as
    long as decoding them.
    """

    kind: type[Event]
    ids: list[str] = field(default_factory=list)
    """The events' ids in a form that PostgreSQL reads as UUIDs: 32 hexadecimal digits."""
    lines: list[str] = field(default_factory=list)
    """The rows as lines of ``COPY``."""
    messages: list[KafkaMessage | Message] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.ids)

    def events(self) -> list[Event]:
        """The events that the rows were made from."""
        return [read_event(self.kind, value_of(message))[0] for message in self.messages]

    def pick(self, places: Iterable[int]) -> "Rows":
        """The rows at these positions."""
        picked = Rows(self.kind)
        for place in places:
            picked.ids.append(self.ids[place])
            picked.lines.append(self.lines[place])
            picked.messages.append(self.messages[place])
        return picked

    def rejected(self, place: int, reason: str, waits_for_user: int | None = None) -> Rejected:
        """The message at this position, as one that can't be stored."""
        message = self.messages[place]
        whole = message if isinstance(message, Message) else from_kafka(message)
        return Rejected(whole, reason, waits_for_user)


@dataclass
class Batch:
    """Rows, the messages that can't become rows, and the spans of the partitions that they came from."""

    rows: dict[Target, Rows] = field(default_factory=dict)
    rejected: list[Rejected] = field(default_factory=list)
    spans: dict[Partition, Span] = field(default_factory=dict)
    messages: int = 0
    size: int = 0
    """Bytes of the messages' values."""

    def add(self, kind: type[Event], message: KafkaMessage | Message, value: bytes | None) -> None:
        """Add a message, as a row if it can be one."""
        self.messages += 1
        self.size += len(value) if value else 0
        try:
            event, line = read_event(kind, value)
        except Refused as refused:
            whole = message if isinstance(message, Message) else from_kafka(message)
            self.rejected.append(Rejected(whole, str(refused)))
            return
        rows = self.rows.get(event.target)
        if rows is None:
            rows = self.rows[event.target] = Rows(kind)
        rows.ids.append(f"{event.event_id.int:032x}")
        rows.lines.append(line)
        rows.messages.append(message)
