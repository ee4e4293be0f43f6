"""How far the run is."""

import sys
import time

from attrs import define, field

_WIDTH = 30


@define(eq=False)
class Progress:
    """A bar on a terminal, a line for each step elsewhere; `total` is in steps of about the same length."""

    total: int
    _done: int = 0
    _started_s: float = field(factory=time.monotonic)

    def begin(self, label: str) -> None:
        """Say what is being done."""
        self._show(label)

    def end(self) -> None:
        """One more step is done."""
        self._done += 1

    def close(self) -> None:
        """Leave the line to others."""
        self._show("done")
        sys.stderr.write("\n")

    def _show(self, label: str) -> None:
        took_s = time.monotonic() - self._started_s
        share = self._done / max(1, self.total)
        left = f"about {took_s / share - took_s:.0f} s left" if share else ""
        if sys.stderr.isatty():
            bar = "#" * int(share * _WIDTH)
            sys.stderr.write(f"\r[{bar:<{_WIDTH}}] {share:4.0%}  {label:<60.60} {left:<20}")
        else:
            sys.stderr.write(f"{share:4.0%}  {took_s:4.0f} s  {label}\n")
        sys.stderr.flush()
