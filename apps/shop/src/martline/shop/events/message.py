"""A message as it is in Kafka, whatever it contains."""

from dataclasses import dataclass, field

from confluent_kafka import TIMESTAMP_NOT_AVAILABLE
from confluent_kafka import Message as KafkaMessage

Header = tuple[str, bytes | None]


@dataclass(frozen=True, slots=True)
class Message:
    """A message with its place and all its bytes."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int | None
    key: bytes | None
    value: bytes | None
    headers: list[Header] = field(default_factory=list)

    @property
    def place(self) -> str:
        """The message's place, for people."""
        return f"{self.topic} {self.partition}/{self.offset}"

    def parts(self) -> dict[str, bytes]:
        """Its bytes, by the names of its parts, without parts that are null."""
        parts = {"key": self.key, "value": self.value}
        for number, (name, value) in enumerate(self.headers):
            parts[f"header {number} name"] = name.encode()
            parts[f"header {number} value"] = value
        return {name: part for name, part in parts.items() if part is not None}


def from_kafka(message: KafkaMessage) -> Message:
    """The message, without the client's own object."""
    kind, timestamp = message.timestamp()
    return Message(
        topic=str(message.topic()),
        partition=int(message.partition() or 0),
        offset=int(message.offset() or 0),
        timestamp_ms=None if kind == TIMESTAMP_NOT_AVAILABLE else timestamp,
        key=_bytes(message.key()),
        value=_bytes(message.value()),
        headers=_headers(message),
    )


def value_of(message: KafkaMessage | Message) -> bytes | None:
    """The bytes of a message's value."""
    return message.value if isinstance(message, Message) else message.value()


def _headers(message: KafkaMessage) -> list[Header]:
    try:
        headers = message.headers()
    except UnicodeDecodeError:
        return [("headers whose names are not UTF-8 are not kept", None)]
    pairs = headers.items() if isinstance(headers, dict) else headers or []
    return [(name, _bytes(value)) for name, value in pairs]


def _bytes(data: str | bytes | None) -> bytes | None:
    return data.encode() if isinstance(data, str) else data
