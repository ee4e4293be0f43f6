"""The service as in production: callers authenticated and limited, requests logged, metrics scraped."""

import threading
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from adapters.jwt.claims import ClaimRules
from adapters.jwt.issuer import issue_token
from domain.access.principal import Scope
from domain.identity import Owner
from tests.benchmarks.servers import NotServing

SECRET = "a secret for this benchmark alone"
CALLER = Owner("caller")

SETTINGS: Mapping[str, str] = {
    "JWT_SECRET": SECRET,
    "RATE_LIMITS": "sessions=1000000/1,execute=1000000/1,functions=1000000/1",
    "MAX_SESSIONS_PER_OWNER": "10000",
    "MAX_STORED_MB_PER_OWNER": "1048576",
    "MAX_CONCURRENT_PER_OWNER": "100000",
}
"""Everything is judged, and nothing refused."""

_SCRAPE_INTERVAL_S = 1.0
_SCRAPE_TIMEOUT_S = 10.0


def bearer(owner: Owner, scopes: Iterable[Scope] = (Scope.EXECUTE_ALL,)) -> dict[str, str]:
    """Return the header by which the service knows this owner for an hour."""
    span = datetime.now(UTC), timedelta(hours=1)
    return {"authorization": f"Bearer {issue_token(SECRET, owner, scopes, ClaimRules(), span)}"}


@contextmanager
def scraped(url: str) -> Iterator[None]:
    """Scrape the metrics every second meanwhile, more often than Prometheus does; raises NotServing at the end."""
    request = urllib.request.Request(f"{url}/metrics", headers=bearer(Owner("prometheus"), (Scope.ADMIN,)))
    over = threading.Event()
    failures: list[OSError] = []

    def scrape() -> None:
        while not over.wait(_SCRAPE_INTERVAL_S):
            try:
                with urllib.request.urlopen(request, timeout=_SCRAPE_TIMEOUT_S) as response:
                    response.read()
            except OSError as failure:
                failures.append(failure)

    thread = threading.Thread(target=scrape)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    if failures:
        raise NotServing(f"/metrics does not respond: {failures[0]}")
