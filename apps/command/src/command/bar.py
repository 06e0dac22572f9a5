"""The bar that a person sees in a terminal."""

from types import TracebackType

from tqdm import tqdm


class TerminalBar:
    """Draws a bar on standard error, and takes it away at the end."""

    def __init__(self, total: int | None, unit: str, description: str) -> None:
        in_bytes = unit == "B"
        self._bar = tqdm(
            total=total,
            unit=unit if in_bytes else f" {unit}",
            unit_scale=in_bytes,
            unit_divisor=1024,
            desc=description,
            dynamic_ncols=True,
            leave=False,
        )

    def __enter__(self) -> "TerminalBar":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()

    def update(self, more: int) -> None:
        """See :class:`command.progress.Bar`."""
        self._bar.update(more)

    def update_to(self, done: int, note: str | None = None) -> None:
        """See :class:`command.progress.Bar`."""
        if note is not None:
            self._bar.set_postfix_str(note, refresh=False)
        self._bar.update(done - self._bar.n)
