"""The messages of a slot are cut into pieces, at the end of a transaction wherever possible."""

import random

import pytest

from pg_to_mysql.postgres import stream
from pg_to_mysql.postgres.stream import PREFIX, pieces_of

END_OF_DATA = b"\xff\xff"
BLOCK_ROWS = 4
LONGEST = 60


def transaction(chance: random.Random) -> list[bytes]:
    rows = [b"I" + chance.randbytes(chance.randrange(LONGEST)) for _ in range(chance.randrange(8))]
    return [b"B" + bytes(8), *rows, b"C" + bytes(25)]


def blocks(messages: list[bytes], chance: random.Random) -> list[list[memoryview]]:
    """The messages as PostgreSQL's binary COPY sends them, several in a block."""
    rows = [b"\0\x01" + len(message).to_bytes(4, "big") + message for message in messages] + [END_OF_DATA]
    result = []
    while rows:
        count = chance.randrange(1, BLOCK_ROWS + 1)
        result.append([memoryview(row) for row in rows[:count]])
        rows = rows[count:]
    return result


@pytest.mark.parametrize("seed", range(200))
def test_pieces_have_each_message_once_and_are_complete_where_they_end_a_transaction(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(seed)
    most = chance.randrange(20, 500)
    monkeypatch.setattr(stream, "PIECE_BYTES", most)
    messages = [message for _ in range(chance.randrange(20)) for message in transaction(chance)]
    read: list[bytes] = []
    for piece in pieces_of(blocks(messages, chance)):
        starts = piece.messages.starts.tolist()
        lengths = [int.from_bytes(piece.messages.data[start - 4 : start], "big") for start in starts]
        read += [piece.messages.data[start : start + n] for start, n in zip(starts, lengths, strict=True)]
        assert piece.complete == read[-1].startswith(b"C")
        # What follows the last transaction of a piece is held back, and exceeds the limit with the next block.
        assert sum(lengths) + PREFIX * len(lengths) <= most + 2 * BLOCK_ROWS * (PREFIX + LONGEST)
    assert read == messages
