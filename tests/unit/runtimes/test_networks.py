"""Runs with a network on their way to a runtime host, and what they used on its way back."""

import msgspec
import pytest

from adapters.remote_runtime.requests import granted_of
from adapters.runtime_protocol import ExecuteRequest, Granted, decode
from adapters.runtime_replies import ExecuteReply, TrafficFields
from domain.egress.traffic import ExecutionTraffic, HostTraffic, Refusal, RefusalReason
from domain.scripts.report import ScriptReport
from entrypoints.runtime_host.errors import MalformedRequest
from entrypoints.runtime_host.messages import script_run, write_report
from tests.contracts.script_runs import run_of, script_of

RULES = ("api.example.com:443", "db.example.com:5432/tcp")
TRAFFIC = ExecutionTraffic(
    (HostTraffic("api.example.com", 443, 1, 2, 3, 4),),
    (Refusal("api.example.com", 443, RefusalReason.IDLE),),
    is_lost=True,
)


def request_of(granted: Granted) -> ExecuteRequest:
    run = run_of("result = 1")
    encoded = msgspec.json.encode(
        {
            "request_id": run.ref.session_id,
            "params": {},
            "context": {},
            "execution_id": run.execution_id,
            "owner": "alice",
            "language": "python+granted",
            "isolation": "session",
            "limits": {"timeout_ms": 1000, "memory_mb": 128},
            "time_left_ms": 1000,
            "session_left_ms": 1000,
            "script_hash": run.script_hash,
            "grants": granted,
        }
    )
    return decode(ExecuteRequest, encoded)


def test_the_rules_of_a_run_arrive():
    granted = granted_of(run_of("result = 1", network=RULES))
    assert granted is not None
    assert tuple(map(str, script_run(request_of(granted), script_of("result = 1")).network)) == RULES


def test_what_belongs_to_the_service_arrives_with_the_run():
    guarded = (("10.0.0.1", 5432), ("db.example.com", 443))
    granted = granted_of(run_of("result = 1", network=RULES, guarded=guarded))
    assert granted is not None
    assert script_run(request_of(granted), script_of("result = 1")).guarded == guarded


def test_a_run_without_grants_has_no_such_member():
    assert granted_of(run_of("result = 1")) is None


def test_a_text_that_is_no_rule_is_refused():
    with pytest.raises(MalformedRequest, match="a rule of the network must be NAME:PORT"):
        script_run(request_of(Granted(network=("evil",))), script_of("result = 1"))


def test_the_traffic_of_a_run_arrives():
    reply = decode(ExecuteReply, write_report(ScriptReport(None, None, 1.0, traffic=TRAFFIC)))
    assert isinstance(reply.traffic, TrafficFields)
    assert reply.traffic.traffic() == TRAFFIC


def test_a_report_without_traffic_has_no_such_member():
    assert b"traffic" not in write_report(ScriptReport(None, None, 1.0))
