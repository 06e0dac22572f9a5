"""The user's rules for values that MySQL can't hold."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from pg_to_mysql.errors import Setting, WrongSettings
from pg_to_mysql.tables.table import Table
from pg_to_mysql.tables.types import Unfit


@dataclass(frozen=True)
class UnfitRules:
    """The user's rules for values that MySQL can't hold: a general rule, and rules for single columns."""

    general: Unfit = Unfit.STOP
    columns: Mapping[tuple[str, str], Unfit] = field(default_factory=dict)
    """Rules by table name and column name."""

    @classmethod
    def parse(cls, rules: Iterable[str]) -> "UnfitRules":
        """Parse rules as the user writes them: ``stop``, ``null``, ``text`` or ``TABLE.COLUMN=RULE``."""
        general = Unfit.STOP
        columns = {}
        for rule in rules:
            where, _, name = rule.rpartition("=")
            table, _, column = where.partition(".")
            if name not in list(Unfit) or (where and not (table and column)):
                raise WrongSettings(
                    f"unfit is {rule!r}: use stop, null or text, or TABLE.COLUMN= and one of these",
                    settings={Setting.UNFIT: None},
                )
            if where:
                columns[table, column] = Unfit(name)
            else:
                general = Unfit(name)
        return cls(general, columns)

    def rule(self, table: str, column: str) -> Unfit:
        """The rule for a column."""
        return self.columns.get((table, column), self.general)

    def kept(self, stored: Table, live: Table) -> Table:
        """The table as it is now, with the rules that it had before. A newer column may have its own rule."""
        before = {column.attnum: column.unfit for column in stored.columns}
        columns = tuple(
            replace(
                column,
                unfit=before.get(column.attnum) or self.columns.get((live.name, column.name)) or stored.unfit,
            )
            for column in live.columns
        )
        return replace(live, columns=columns, unfit=stored.unfit)
