"""The connection pool's own log, thinned: an outage is told every ten seconds, not at every attempt."""

import logging
import time
from collections.abc import Callable

from typing_extensions import override

_INTERVAL_S = 10.0
_KINDS_MAX = 64


class Thinned(logging.Filter):
    """Lets a message of each kind (text before its arguments) through once in `interval_s` seconds."""

    def __init__(self, interval_s: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._interval_s = interval_s
        self._monotonic = monotonic
        self._told_at_s: dict[str, float] = {}

    @override
    def filter(self, record: logging.LogRecord) -> bool:
        now_s = self._monotonic()
        if now_s - self._told_at_s.get(str(record.msg), float("-inf")) < self._interval_s:
            return False
        if len(self._told_at_s) >= _KINDS_MAX:
            self._told_at_s.clear()
        self._told_at_s[str(record.msg)] = now_s
        return True


_THINNED = Thinned(_INTERVAL_S)


def thin_pool_log() -> None:
    """Thin the pool's log; doing so again changes nothing."""
    logging.getLogger("psycopg.pool").addFilter(_THINNED)
