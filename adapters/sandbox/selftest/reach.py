"""Whether scripts reach the host that they may reach: the control of attacks, and a trial for operators."""

import json
from collections.abc import Mapping
from datetime import timedelta
from uuid import uuid4

from adapters.sandbox.selftest.trial_hosts import TrialHosts
from domain.egress.rule import EgressRule
from domain.errors import DomainError
from domain.identity import ANONYMOUS, SessionRef
from domain.json_text import JsonText
from domain.scripts.language import Language
from domain.scripts.limits import Isolation, Limits
from domain.scripts.ports import ScriptRun, ScriptRunner
from domain.scripts.script import Script

_TIMEOUT_MS = 5000
_SAID = "x"
_SCRIPTS: Mapping[Language, str] = {
    Language.PYTHON: """
import socket
with socket.create_connection((params["allowed"], params["allowed_port"]), 3) as connection:
    connection.sendall(b"x")
    result = connection.recv(1).decode()
""",
    Language.NODEJS: """
const { allowed, allowed_port: port } = event.params;
return new Promise((resolve, reject) => {
  const socket = require('node:net').connect({ host: allowed, port }, () => socket.write('x'));
  socket.on('data', (piece) => { socket.destroy(); resolve(String(piece)); }).on('error', reject);
});
""",
}


async def why_not_reached(runner: ScriptRunner, hosts: TrialHosts, language: Language, memory_mb: int) -> str | None:
    """Let a script talk to the allowed host; return why it could not, None if it could."""
    source, facts = _SCRIPTS[language], hosts.params()
    script = Script.of(source, len(source))

    async def read() -> Script:
        return script

    run = ScriptRun(
        ref=SessionRef(ANONYMOUS, uuid4()),
        execution_id=uuid4(),
        language=language,
        limits=Limits(_TIMEOUT_MS, memory_mb, Isolation.SESSION),
        session_left=timedelta(hours=1),
        script_hash=script.hash,
        context=JsonText("{}"),
        params=JsonText(json.dumps(facts)),
        source=read,
        network=(EgressRule.parse(f"{facts['allowed']}:{facts['allowed_port']}/tcp"),),
    )
    try:
        worker = await runner.acquire(run)
        try:
            report = await worker.run()
        finally:
            await worker.release()
    except DomainError as error:
        return error.message
    await runner.evict(run.ref.session_id)
    if report.failure is not None:
        return report.failure.message
    return None if report.result == json.dumps(_SAID) else "the host was connected to, and was not heard"
