"""The terminal that a person watches; results go to standard output, everything else here."""

from rich.console import Console

console = Console(stderr=True, highlight=False)
