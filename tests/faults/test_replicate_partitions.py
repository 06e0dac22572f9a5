"""Random trees of partitions, whose rows and partitions change between runs, are equal after each run."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest
from psycopg import sql
from tests.connections import to_mysql

pytestmark = [pytest.mark.pairs, pytest.mark.timeout(0)]
RUNS = 6
STEPS = 12
IDS = 40
SCHEMAS = ["public", "elsewhere"]


@dataclass
class Part:
    """A partition that exists or has existed. ``bounds`` say which rows it takes."""

    name: str
    parent: str
    bounds: str
    ids: range
    split: str | None = None
    """How its own partitions are chosen; None if it has the rows itself."""
    children: list["Part"] = field(default_factory=list)


class Tree:
    """A partitioned table in PostgreSQL that changes at random; each statement must succeed."""

    def __init__(self, source: psycopg.Connection, chance: random.Random, name: str) -> None:
        self.name = name
        self.log: list[str] = []
        self.columns = ["v"]
        self._source = source
        self._chance = chance
        self._names = 0
        self._young: set[str] = set()
        """Made in this transaction. PostgreSQL does not report a TRUNCATE of them that removes rows again."""
        self._root = Part(name, "", "", range(IDS), chance.choice(["range", "list", "hash"]))
        self._run(f"CREATE TABLE {name} (id int PRIMARY KEY, v text) PARTITION BY {self._root.split} (id)")
        self._fill(self._root)

    def step(self) -> None:
        """Change rows, or partitions, or columns, some at once in one transaction."""
        self._young.clear()
        with self._source.transaction():
            for _ in range(self._chance.randrange(1, 4)):
                draw = self._chance.random()
                if draw < 0.6:
                    self._change_rows()
                elif draw < 0.95:
                    self._change_partitions()
                else:
                    self._change_columns()

    def rows(self) -> list[tuple[Any, ...]]:
        columns = ", ".join(["id", *self.columns])
        return self._source.execute(f"SELECT {columns} FROM {self.name} ORDER BY id").fetchall()

    def _change_rows(self) -> None:
        number, other = self._chance.randrange(IDS), self._chance.randrange(IDS)
        column = self._chance.choice(self.columns)
        value = "x" * self._chance.choice([1, 1, 10_000]) + str(self._chance.random())
        what = self._chance.choice(["insert", "insert", "insert", "update", "move", "delete", "truncate", "leaf"])
        target = self.name
        leaves = [part for part in self._parts(self._root) if not part.split]
        if what == "leaf" and leaves:  # by its own name
            target, what = self._chance.choice(leaves).name, "update"
        if what == "insert":
            if self._holds(self._root, number):
                self._run(
                    f"INSERT INTO {target} (id, {column}) VALUES ({number}, '{value}') ON CONFLICT DO NOTHING"
                )
        elif what == "update":
            self._run(f"UPDATE {target} SET {column} = '{value}' WHERE mod(id, 5) = {number % 5}")
        elif what == "move":
            if self._holds(self._root, other):
                self._run(
                    f"UPDATE {target} SET id = {other} WHERE id = {number}"
                    f" AND NOT EXISTS (SELECT FROM {target} WHERE id = {other})"
                )
        elif what == "delete":
            self._run(f"DELETE FROM {target} WHERE id = {number}")
        elif self._chance.random() < 0.1:
            self._run(f"TRUNCATE {target}")

    def _change_partitions(self) -> None:
        parts = self._parts(self._root)
        parents = [part for part in [self._root, *parts] if part.split]
        what = self._chance.choice(
            ["create", "create", "attach", "detach", "again", "drop", "truncate", "identity"]
        )
        if what in ("create", "attach"):
            parent = self._chance.choice(parents)
            if missing := self._missing(parent):
                make = self._create if what == "create" else self._attach
                make(parent, *self._chance.choice(missing))
        elif not parts:
            return
        elif what == "again":
            part = self._chance.choice(parts)
            self._detach(part)
            if not part.split:
                self._run(f"UPDATE {part.name} SET v = 'while detached' WHERE mod(id, 2) = 0")
            self._attach_again(part)
        elif what in ("detach", "drop"):
            part = self._chance.choice(parts)
            if what == "detach":
                self._detach(part)
            self._remove(part)
            self._run(f"DROP TABLE {part.name}")
        else:
            part = self._chance.choice(parts)
            young = any(below.name in self._young for below in [part, *self._parts(part)])
            if what == "truncate" and not young:
                self._run(f"TRUNCATE {part.name}")
            elif not part.split:
                self._run(f"ALTER TABLE {part.name} REPLICA IDENTITY {self._chance.choice(['FULL', 'DEFAULT'])}")

    def _change_columns(self) -> None:
        if self._chance.random() < 0.5:
            name = self._name("c")
            default = self._chance.choice(["", " DEFAULT 'added'"])
            self._run(f"ALTER TABLE {self.name} ADD {name} text{default}")
            self.columns.append(name)
        else:
            old = self._chance.choice(self.columns)
            if old != "v":
                new = self._name("c")
                self._run(f"ALTER TABLE {self.name} RENAME {old} TO {new}")
                self.columns[self.columns.index(old)] = new

    def _create(self, parent: Part, bounds: str, ids: range) -> Part:
        split = self._chance.choice(["range", "list"]) if parent is self._root and len(ids) > 2 else None
        split = split if self._chance.random() < 0.4 else None
        part = Part(self._table_name(), parent.name, bounds, ids, split)
        by = f" PARTITION BY {split} (id)" if split else ""
        self._run(f"CREATE TABLE {part.name} PARTITION OF {parent.name} {bounds}{by}")
        parent.children.append(part)
        if split:
            self._fill(part)
        return part

    def _attach(self, parent: Part, bounds: str, ids: range) -> None:
        part = Part(self._table_name(), parent.name, bounds, ids)
        self._run(f"CREATE TABLE {part.name} (LIKE {self.name} INCLUDING ALL)")
        # The rows that a partition takes are known here, unless its parent or the root is partitioned by hash.
        if "hash" not in (parent.split, self._root.split) and self._chance.random() < 0.7:
            numbers = ", ".join(f"({number}, 'attached')" for number in ids)
            self._run(f"INSERT INTO {part.name} (id, v) VALUES {numbers}")
        self._attach_again(part)
        parent.children.append(part)

    def _attach_again(self, part: Part) -> None:
        self._run(f"ALTER TABLE {part.parent} ATTACH PARTITION {part.name} {part.bounds}")

    def _detach(self, part: Part) -> None:
        self._run(f"ALTER TABLE {part.parent} DETACH PARTITION {part.name}")

    def _remove(self, part: Part) -> None:
        for parent in [self._root, *self._parts(self._root)]:
            if part in parent.children:
                parent.children.remove(part)

    def _fill(self, parent: Part) -> None:
        for bounds, ids in self._missing(parent):
            if self._chance.random() < 0.8:
                self._create(parent, bounds, ids)

    def _missing(self, parent: Part) -> list[tuple[str, range]]:
        """The bounds of the partitions that the parent could have but does not."""
        there = {part.bounds for part in parent.children}
        return [(bounds, ids) for bounds, ids in self._possible(parent) if bounds not in there]

    def _possible(self, parent: Part) -> list[tuple[str, range]]:
        if parent.split == "hash":
            return [(f"FOR VALUES WITH (MODULUS 3, REMAINDER {n})", parent.ids) for n in range(3)]
        third = max(1, len(parent.ids) // 3)
        parts = [parent.ids[n : n + third] for n in range(0, len(parent.ids), third)]
        if parent.split == "list":
            return [(f"FOR VALUES IN ({', '.join(map(str, ids))})", ids) for ids in parts]
        return [(f"FOR VALUES FROM ({ids.start}) TO ({ids.stop})", ids) for ids in parts]

    def _holds(self, parent: Part, number: int) -> bool:
        """Whether some partition takes a row with this key for certain."""
        if parent.split is None:
            return number in parent.ids
        if parent.split == "hash":
            return len(parent.children) == 3 and all(self._holds_all(part) for part in parent.children)
        return any(number in part.ids and self._holds(part, number) for part in parent.children)

    def _holds_all(self, part: Part) -> bool:
        return all(self._holds(part, number) for number in part.ids)

    def _parts(self, parent: Part) -> list[Part]:
        return [part for child in parent.children for part in [child, *self._parts(child)]]

    def _table_name(self) -> str:
        name = f"{self._chance.choice(SCHEMAS)}.{self._name(self.name + '_')}"
        self._young.add(name)
        return name

    def _name(self, prefix: str) -> str:
        self._names += 1
        return f"{prefix}{self._names}"

    def _run(self, statement: str) -> None:
        self.log.append(statement[:200])
        self._source.execute(sql.SQL(statement))


def target_rows(settings: dict[str, str], tree: Tree) -> list[tuple[Any, ...]]:
    with to_mysql(settings) as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(['id', *tree.columns])} FROM {tree.name} ORDER BY id")
        return list(cursor.fetchall())


def test_partitions_that_change_at_random_between_runs_end_equal_and_the_source_is_never_hindered(
    servers: dict[str, str], source: psycopg.Connection, run: Callable[..., Any], scale: int
) -> None:
    seed = random.randrange(10**9)
    print(f"seed {seed}")
    chance = random.Random(seed)
    source.execute("CREATE SCHEMA elsewhere")
    trees = [Tree(source, chance, f"t{n}") for n in range(3)]
    for _ in range(RUNS * scale):
        ended = run("replicate", *(tree.name for tree in trees), env=servers, check=False)
        assert ended.status == 0, (ended.log, [tree.log for tree in trees])
        for tree in trees:
            assert target_rows(servers, tree) == tree.rows(), (ended.log, tree.log)
        for _ in range(chance.randrange(1, STEPS)):
            chance.choice(trees).step()
