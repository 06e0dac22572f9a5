"""The terminal that a person watches: progress goes to standard error, results to standard output."""

import sys

from rich.console import Console

WIDTH_OF_A_FILE = 160

console = Console(stderr=True, highlight=False)
results = Console(width=None if sys.stdout.isatty() else WIDTH_OF_A_FILE)
