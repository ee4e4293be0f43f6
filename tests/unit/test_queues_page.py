"""The table of queues in docs/limits.md has the bounds of the program."""

import re
from pathlib import Path

import pytest

from adapters.postgres.batching.coalescer import CoalescerOptions
from adapters.postgres.gateway_options import GatewayOptions
from adapters.postgres.repositories.sessions import SessionRepositoryOptions
from adapters.remote_runtime.options import RuntimeOptions
from adapters.sandbox.options import MIB, SandboxOptions
from domain.access.authentication import KeyCacheOptions
from domain.usage import UsageBounds
from entrypoints.http.options import HttpOptions
from tests.unit.http.world import POLICY

PAGE = Path(__file__).parents[2] / "docs" / "limits.md"
ROW = re.compile(r"^\| (?P<what>[^|]+) \| (?P<at_once>[^|]+) \| (?P<waiting>[^|]+) \| (?P<wait>[^|]+) \|", re.MULTILINE)
KEYS, HTTP, HOSTS, CALLS = KeyCacheOptions(), HttpOptions(POLICY), RuntimeOptions(), CoalescerOptions()
USAGE = UsageBounds(1.0)
SANDBOX = SandboxOptions(Path())


def row(what: str) -> tuple[str, str, str]:
    """Return how many at once, how many more may wait, and how long."""
    (found,) = [match for match in ROW.finditer(PAGE.read_text()) if match["what"].startswith(what)]
    return found["at_once"], found["waiting"], found["wait"]


@pytest.mark.parametrize(
    ("what", "at_once", "waiting"),
    [
        ("requests in flight in an HTTP worker", HTTP.in_flight_max, 0),
        ("lookups of API keys", KEYS.lookups_max, KEYS.lookups_waiting_max),
        ("large bodies", 1, f"{HTTP.examination_bytes_max // MIB} MiB"),
        ("batches", f"{HTTP.batches_max}; of one owner {HTTP.owner_batches_max}", HTTP.batches_waiting_max),
        ("calls for [usage]", f"{USAGE.turns_max}; of one caller {USAGE.owner_turns_max}", USAGE.waiting_max),
        (
            "executions for a worker of the sandbox",
            f"`MAX_EXECUTIONS`; of one session {SANDBOX.session_workers_max}",
            SANDBOX.queue_length_max,
        ),
        ("[syntax checks]", "one batch of each checker", f"{SANDBOX.checks_waiting_bytes_max // MIB} MiB"),
        ("[executions for runtime hosts]", f"the windows of the hosts, at most {HOSTS.runs_max}", HOSTS.queue_max),
        (
            "syntax checks for a runtime host",
            f"{HOSTS.checks_max}; of one owner {HOSTS.owner_checks_max}",
            f"{HOSTS.checks_waiting_bytes_max // MIB} MiB",
        ),
        (
            "calls that leave in one statement",
            f"{CALLS.concurrency} statements",
            f"{CALLS.queue_max} calls, {CALLS.queue_bytes_max // MIB} MiB",
        ),
        ("other statements", "`DB_POOL_MAX`", GatewayOptions("").pool_queue_max),
        ("changes of one session", 1, f"{SessionRepositoryOptions().updates_max} in all sessions"),
    ],
)
def test_a_queue_has_its_bounds_on_the_page(what: str, at_once: object, waiting: object) -> None:
    assert row(what)[:2] == (str(at_once), str(waiting))


def test_the_wait_for_the_lookup_of_a_key_is_on_the_page() -> None:
    assert row("lookups of API keys")[2] == f"{KEYS.lookup_timeout_s:g} s"
