"""Scripts in TypeScript and ES modules on their way to a runtime host, also of another release."""

import msgspec
import pytest

from adapters.memory.script_runner import MemoryScriptRunner
from adapters.remote_runtime.requests import check_request, granted_of
from adapters.runtime_protocol import CheckRequest, Granted
from domain.identity import ANONYMOUS
from domain.scripts.convention import Convention
from domain.scripts.language import Language
from domain.scripts.script import Script
from domain.scripts.syntax import Syntax
from entrypoints.runtime_host.application import HostApi
from entrypoints.runtime_host.errors import MalformedRequest
from entrypoints.runtime_host.messages import check_call, script_run
from entrypoints.runtime_host.options import RuntimeHostOptions
from tests.contracts.script_runs import run_of, script_of
from tests.unit.runtimes.test_networks import request_of
from tests.unit.runtimes.test_runtime_host import client_of

MODULE = script_of("export default 1")


def asked(script: Script = MODULE, syntax: Syntax | None = None) -> CheckRequest:
    return check_request(Language.NODEJS, script, ANONYMOUS, Convention.OWN, syntax)


@pytest.mark.parametrize("syntax", [None, *Syntax])
def test_the_syntax_of_a_run_arrives(syntax):
    granted = granted_of(run_of("return 1", language=Language.NODEJS, syntax=syntax))
    assert (granted is None) is (syntax is None)
    assert script_run(request_of(granted or Granted()), script_of("return 1")).syntax is syntax


@pytest.mark.parametrize(("syntax", "language"), [(None, "nodejs"), (Syntax.TYPESCRIPT, "nodejs+granted")])
def test_the_syntax_of_a_check_arrives_and_an_older_host_refuses_its_language(syntax, language):
    request = asked(syntax=syntax)
    assert request.language == language
    assert check_call(request) == (Language.NODEJS, Convention.OWN, syntax)


def test_a_check_with_grants_names_them_in_its_language():
    with pytest.raises(MalformedRequest, match="language must be one of nodejs\\+granted"):
        check_call(CheckRequest("nodejs", ANONYMOUS, "", grants=Granted(syntax=Syntax.TYPESCRIPT)))


async def test_a_host_names_modules_to_controllers_that_know_them():
    async with client_of(HostApi(MemoryScriptRunner(), RuntimeHostOptions())) as client:
        reply = await client.post("/check", json=msgspec.to_builtins(asked()))
        assert (reply.status_code, reply.json()) == (200, {"parsed": True, "form": "module"})
        older = {"language": "nodejs", "owner": "anonymous", "script_content": MODULE.source}
        refused = await client.post("/check", json=older)
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, "SCRIPT_SYNTAX_ERROR")
        assert "0.3.0" in refused.json()["error"]["message"]
