"""Controllers and hosts of other releases read these bytes, so both sides write them exactly."""

from datetime import timedelta
from uuid import UUID

import httpx2
import msgspec
import pytest

from adapters.memory.script_runner import MemoryScriptRunner
from adapters.runtime_protocol import FAULT_SIZE_MAX, Granted, MalformedMessage, decode
from adapters.runtime_replies import CheckReply
from domain.grants.secrets import SECRETS_MAX
from domain.identity import Owner, SessionRef
from domain.scripts.language import Language
from domain.scripts.report import Failure, FailureCode, ScriptReport
from domain.scripts.script import InputForm
from entrypoints.runtime_host.application import HostApi
from entrypoints.runtime_host.options import RuntimeHostOptions
from tests.contracts.script_runs import report_of, run_of, script_of
from tests.unit.runtimes.conftest import HOST
from tests.unit.runtimes.replies import own
from tests.unit.runtimes.test_runtime_host import execute_body

SESSION = UUID(int=1)
EXECUTE = (
    '{"request_id":"00000000-0000-0000-0000-000000000001","params":{"a":  1.50},"context":{"b":"é"},'
    '%s"execution_id":"00000000-0000-0000-0000-000000000002","owner":"älice","language":"python",'
    '"isolation":"session","limits":{"timeout_ms":5000,"memory_mb":128},"time_left_ms":%d,'
    '"session_left_ms":3600000,"script_hash":"819605c3308507a7a3db09b38464e315df06ede8452c652723a64594eefaba81"}'
)
SUCCEEDED = (
    '{"result":{"n":  1e2},"execution_time_ms":12.5,"memory_usage_bytes":4096,"stdout":"out","stderr":"err?",'
    '"cpu_time_ms":3.25,"queue_time_ms":0.5,"cold_start":true,"error":null}'
)
WITHOUT_RESULT = (
    '{"result":null,"execution_time_ms":12.5,"memory_usage_bytes":null,"stdout":"","stderr":"","cpu_time_ms":null,'
    '"queue_time_ms":null,"cold_start":null,"error":null,"result_given":false}'
)
FAILED = (
    '{"result":null,"execution_time_ms":12.5,"memory_usage_bytes":null,"stdout":"","stderr":"","cpu_time_ms":null,'
    '"queue_time_ms":null,"cold_start":null,"error":{"code":"MEMORY_LIMIT","message":"missing ?","name":"KeyError",'
    '"stack":"line 3","line":3,"column":7,"limit":128,"observed":129}}'
)
FAILED_IN_SHORT = (
    '{"result":null,"execution_time_ms":12.5,"memory_usage_bytes":null,"stdout":"","stderr":"","cpu_time_ms":null,'
    '"queue_time_ms":null,"cold_start":null,"error":{"code":"SCRIPT_ERROR","message":"missing","name":null,"stack":null,'
    '"line":null,"column":null,"limit":null,"observed":null}}'
)


class FixedWorker:
    """Ends at once with the report that it was given."""

    def __init__(self, report: ScriptReport) -> None:
        self.report = report

    async def run(self) -> ScriptReport:
        return self.report

    async def release(self) -> None:
        return


class FixedRunner(MemoryScriptRunner):
    """Every run ends with this report."""

    report: ScriptReport

    async def acquire(self, run) -> FixedWorker:
        return FixedWorker(self.report)


def sent(host, index=-1) -> str:
    return host.calls[index].request.content.decode()


async def test_a_controller_sends_the_script_once_and_its_hash_from_then_on(runner, host):
    host.post(f"{HOST}/execute").respond(content=own())
    run = run_of(
        "result = 1",
        '{"a":  1.50}',
        context='{"b":"é"}',
        ref=SessionRef(Owner("älice"), SESSION),
        execution_id=UUID(int=2),
        session_left=timedelta(hours=1),
    )
    for source in ('"script_content":"result = 1",', ""):
        await report_of(runner, run)
        time_left_ms = int(sent(host).partition('"time_left_ms":')[2].partition(",")[0])
        assert sent(host) == EXECUTE % (source, time_left_ms)


async def test_a_controller_sends_checks_and_evictions(runner, host):
    host.post(f"{HOST}/check").respond(json={"parsed": True})
    host.post(f"{HOST}/evict").respond(204)
    assert await runner.check(Language.NODEJS, script_of("return 1;"), Owner("älice")) is InputForm.PLAIN
    assert sent(host) == '{"language":"nodejs","owner":"älice","script_content":"return 1;","modules":true}'
    await runner.evict(SESSION)
    assert sent(host) == '{"request_id":"00000000-0000-0000-0000-000000000001"}'


@pytest.mark.parametrize(
    ("report", "body"),
    [
        (ScriptReport('{"n":  1e2}', None, 12.5, "out", "err\ud800", 4096, 3.25, 0.5, True), SUCCEEDED),
        (
            ScriptReport(
                None, Failure(FailureCode.MEMORY_LIMIT, "missing \ud800", "KeyError", "line 3", 3, 7, 128, 129), 12.5
            ),
            FAILED,
        ),
        (ScriptReport(None, Failure(FailureCode.SCRIPT_ERROR, "missing"), 12.5), FAILED_IN_SHORT),
        (ScriptReport(None, None, 12.5), WITHOUT_RESULT),
    ],
    ids=["succeeded", "failed", "failed in short", "without a result"],
)
async def test_a_host_replies_with_every_field(report, body):
    runner = FixedRunner()
    runner.report = report
    transport = httpx2.ASGITransport(HostApi(runner, RuntimeHostOptions()).app())
    async with httpx2.AsyncClient(transport=transport, base_url="http://host.test") as client:
        response = await client.post("/execute", json=execute_body())
        assert (response.status_code, response.text) == (200, body)
        assert response.headers["content-type"] == "application/json"
        check = {"language": "python", "owner": "a", "script_content": "x = 1"}
        assert (await client.post("/check", json=check)).text == '{"parsed":true}'


def test_the_fault_of_a_malformed_message_is_cut():
    with pytest.raises(MalformedMessage, match="Invalid enum value") as caught:
        decode(CheckReply, b'{"parsed": true, "form": "%b"}' % (b"x" * 10_000))
    assert len(str(caught.value)) == FAULT_SIZE_MAX


def test_a_host_takes_no_more_secrets_than_a_session_may_name():
    secrets = {f"S{number}": "value" for number in range(SECRETS_MAX + 1)}
    with pytest.raises(MalformedMessage, match="length <= 16"):
        decode(Granted, msgspec.json.encode({"secrets": secrets}))
    del secrets["S0"]
    assert decode(Granted, msgspec.json.encode({"secrets": secrets})).secrets == secrets
