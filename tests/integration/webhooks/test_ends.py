"""Receivers hear of the ends of executions that ran later, with signatures that a library of receivers accepts."""

import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from entrypoints.composition.controller import create_controller
from tests.integration.application.conftest import Api, data_dir, serving, settings_for
from tests.integration.application.test_asynchronous import ADD, accepted, read
from tests.integration.webhooks.test_sender import OK, Receiver, answering
from tests.support.waiting import until

pytestmark = pytest.mark.timeout(120)

__all__ = ["data_dir"]


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver(answering(OK)).running() as started:
        yield started


async def controller(receiver: Receiver, database_url: str, folder: Path, running_max: int) -> AsyncIterator[Api]:
    settings = settings_for(
        database_url,
        folder,
        MAX_ASYNC_EXECUTIONS=str(running_max),
        WEBHOOK_KEY="k" * 32,
        WEBHOOK_ALLOW_HTTP="true",
        WEBHOOK_PORTS=str(receiver.port),
        WEBHOOK_ALLOWED_NETWORKS="127.0.0.0/8",
    )
    async with serving(create_controller(settings)) as api:
        yield api


@pytest.fixture
async def accepting(receiver: Receiver, database_url: str, data_dir: Path) -> AsyncIterator[Api]:
    """A controller that accepts executions, sends messages, and runs nothing."""
    async for api in controller(receiver, database_url, data_dir, 0):
        yield api


@pytest.fixture
async def running(receiver: Receiver, database_url: str, data_dir: Path) -> AsyncIterator[Api]:
    """A controller that runs executions and sends messages as well."""
    async for api in controller(receiver, database_url, data_dir, 4):
        yield api


async def registered(api: Api, receiver: Receiver, path: str, events: list[str]) -> Any:
    body = {"url": f"http://127.0.0.1:{receiver.port}{path}", "events": events}
    response = await api.client.post("/api/v1/webhooks", json=body)
    assert response.status_code == 201, response.text
    return response.json()


async def received(receiver: Receiver, number: int) -> list[tuple[str, dict[str, str], bytes]]:
    """Return path, headers and body of so many requests."""

    async def has_come() -> bool:
        return len(receiver.requests) >= number

    await until(has_come, timeout_s=30)
    found = []
    for request in receiver.requests:
        head, _, body = request.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        found.append((first.split(" ")[1], headers, body))
    return found


def is_signed(headers: dict[str, str], body: bytes, secret: str) -> bool:
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    return headers["webhook-signature"] == f"v1,{digest}"


async def test_every_end_of_an_accepted_execution_reaches_the_webhooks_that_hear_of_it(
    accepting: Api, running: Api, receiver: Receiver
) -> None:
    session_id = await accepting.initialize("python-adder", ADD)
    hears = await registered(accepting, receiver, "/all", ["execution.cancelled", "execution.expired"])
    named = await registered(accepting, receiver, "/named", [])
    ended = (await accepted(accepting, session_id, {"a": 1}, callback=named["webhook_id"]))["execution_id"]
    assert (await read(accepting, ended, wait_s=30))["status"] == "succeeded"
    assert (await running.execute(session_id, a=1)).status_code == 200  # its caller waits, so no webhook hears of it

    failing = await accepting.initialize("python-failing", "raise ValueError('no')")
    retry = {"max_attempts": 2, "on": ["script_error"]}
    first = await accepted(accepting, failing, {}, callback=named["webhook_id"], retry=retry)
    second = (await read(accepting, first["execution_id"], wait_s=30))["next_attempt"]
    assert (await read(accepting, second, wait_s=30))["status"] == "failed"

    waiting = (await accepted(accepting, session_id, {}, delay_seconds=600))["execution_id"]
    assert (await accepting.client.post(f"/api/v1/executions/{waiting}/cancel")).status_code == 200
    requests = await received(receiver, 3)
    messages = {json.loads(request[2])["data"]["execution_id"]: request for request in requests}
    assert messages.keys() == {ended, second, waiting}
    secrets = {"/all": hears["secret"], "/named": named["secret"]}
    assert all(is_signed(headers, body, secrets[path]) for path, headers, body in messages.values())
    assert {key: path for key, (path, _, _) in messages.items()} == {ended: "/named", second: "/named", waiting: "/all"}
    succeeded, failed, cancelled = [json.loads(messages[each][2]) for each in (ended, second, waiting)]
    assert (succeeded["type"], succeeded["data"]["result"]) == ("execution.succeeded", 2)
    assert (failed["data"]["attempt"], failed["data"]["error"]["code"]) == (2, "SCRIPT_ERROR")
    assert (cancelled["type"], cancelled["data"]["error"]["code"]) == ("execution.cancelled", "EXECUTION_CANCELLED")


async def test_a_webhook_hears_of_an_execution_that_never_started(accepting: Api, receiver: Receiver) -> None:
    session_id = await accepting.initialize("python-adder", ADD)
    await registered(accepting, receiver, "/", ["execution.expired"])
    late = (await accepted(accepting, session_id, {}, expires_in_seconds=1))["execution_id"]
    assert (await read(accepting, late, wait_s=20))["status"] == "expired"
    ((_, _, body),) = await received(receiver, 1)
    message = json.loads(body)
    assert (message["type"], message["data"]["execution_id"]) == ("execution.expired", late)
    assert message["data"]["error"]["code"] == "EXECUTION_EXPIRED"


async def test_a_callback_that_the_caller_does_not_have_is_refused(accepting: Api) -> None:
    session_id = await accepting.initialize("python-adder", ADD)
    body = {"params": {"a": 1}, "async": {"callback": session_id}}
    response = await accepting.client.post(
        f"/api/v1/execute/{session_id}", headers={"Prefer": "respond-async"}, json=body
    )
    assert (response.status_code, response.json()["error"]["code"]) == (400, "INVALID_REQUEST")
    assert f"no webhook {session_id}" in response.json()["error"]["message"]
    assert (await accepting.client.get("/api/v1/queue")).json()["queued"] == 0
