"""Scripts reach the hosts of their rules by the egress process, and nothing else."""

import asyncio
import contextlib
import json
import os
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from attrs import define, evolve

from adapters.egress.client import EgressClient
from adapters.egress.control import Configure
from adapters.egress.launch import EgressSandbox
from adapters.remote_runtime.options import RuntimeOptions
from adapters.remote_runtime.script_runner import HttpScriptRunner
from adapters.sandbox.isolation.seccomp import egress_filter
from adapters.sandbox.network import Networks
from adapters.sandbox.options import SandboxOptions
from adapters.sandbox.runner import SandboxScriptRunner
from adapters.sandbox.zygote.sandbox_builder import SandboxBuilder
from domain.egress.traffic import RefusalReason
from domain.scripts.language import Language
from domain.scripts.report import ScriptReport
from domain.secrets.redaction import Redaction
from domain.secrets.run import RunSecrets
from domain.secrets.values import GivenSecrets
from entrypoints.runtime_host.application import HostApi
from entrypoints.runtime_host.options import RuntimeHostOptions
from tests.contracts.script_runs import Heard, new_session, report_of, run_of
from tests.contracts.served_hosts import served
from tests.support.certificates import Authority
from tests.support.https import HttpsServer, https_server
from tests.support.ports import unix_socket
from tests.support.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

URLLIB = """
import json, urllib.request
request = urllib.request.Request(params["url"], data=b"hello", headers={"Authorization": "Bearer s3cret"})
with urllib.request.urlopen(request, timeout=5) as response:
    result = json.load(response)
"""
FETCH = """
module.exports = async ({ params }) => {
  const headers = { Authorization: 'Bearer s3cret' };
  const response = await fetch(params.url, { method: 'POST', body: 'hello', headers });
  return response.json();
};
"""
HTTPS = """
module.exports = ({ params }) => new Promise((resolve, reject) => {
  const headers = { Authorization: 'Bearer s3cret', 'Content-Length': 5 };
  const request = require('node:https').request(params.url, { method: 'POST', headers }, (response) => {
    let text = '';
    response.on('data', (piece) => { text += piece; });
    response.on('end', () => resolve(JSON.parse(text)));
  });
  request.on('error', reject);
  request.end('hello');
});
"""
CLIENTS = [(Language.PYTHON, URLLIB), (Language.NODEJS, FETCH), (Language.NODEJS, HTTPS)]
NAMES = ["urllib", "fetch", "https"]


@define
class World:
    runner: SandboxScriptRunner
    server: HttpsServer
    client: EgressClient
    started: "list[subprocess.Popen[bytes]]"

    async def run(self, source: str, network: list[str], params: object = None, **options: object) -> ScriptReport:
        """Run a script in a session of its own; return its report."""
        asked = run_of(source, json.dumps(params), network=tuple(network), **options)
        worker = await self.runner.acquire(asked)
        try:
            return await worker.run()
        finally:
            await worker.release()

    def rule(self, name: str = "api.example.com", suffix: str = "") -> str:
        return f"{name}:{self.server.port}{suffix}"

    def url(self, name: str = "api.example.com") -> dict[str, str]:
        return {"url": f"https://{name}:{self.server.port}/items"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(runtimes_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    folder = runtimes_dir / "egress"
    folder.mkdir(mode=0o755, exist_ok=True)
    authority = Authority(folder)
    hosts = folder / "hosts"
    hosts.write_text(
        "127.0.0.1 api.example.com other.example.com\n10.0.0.1 mixed.example.com\n127.0.0.1 mixed.example.com\n"
    )
    options = SandboxOptions(runtimes_dir, prewarmed=0, queue_timeout_s=10)
    (folder / "host.conf").write_text("multi on\n")  # by which a name in two lines has two addresses
    names = [(hosts, "/etc/hosts"), (folder / "host.conf", "/etc/host.conf")]
    names += [(Path("/etc/nsswitch.conf"), "/etc/nsswitch.conf")]
    uid = options.sandbox_uid + 1 if os.geteuid() == 0 else None
    builder = SandboxBuilder(options)
    sandbox = EgressSandbox(lambda: builder.spec(Language.PYTHON).programs.bwrap, uid, names=names)
    configuration = Configure(16, 1 << 20, 2.0, ["127.0.0.0/8"], [], [], [], egress_filter())
    started: list[subprocess.Popen[bytes]] = []

    def launch(control: int) -> "subprocess.Popen[bytes]":
        started.append(sandbox(control))
        return started[-1]

    client = EgressClient(configuration, launch)
    runner = SandboxScriptRunner(options, builder, networks=Networks(client, authority.file))
    async with https_server(authority.vouch("api.example.com")) as server:
        await runner.open()
        yield World(runner, server, client, started)
        await runner.close(5)
        await client.close()


@pytest.mark.parametrize(("language", "source"), CLIENTS, ids=NAMES)
async def test_a_client_posts_to_a_host_of_its_rules(world, language, source):
    report = await world.run(source, [world.rule()], world.url(), language=language)
    assert (report.failure, report.result) == (None, '{"heard":"hello"}')
    assert b"authorization: bearer s3cret" in world.server.requests[-1].lower()
    (traffic,) = report.traffic.hosts
    assert (traffic.host, traffic.port, traffic.connections, traffic.refused) == (
        "api.example.com",
        world.server.port,
        1,
        0,
    )
    assert traffic.sent_bytes > 300
    assert traffic.received_bytes > 300


@pytest.mark.parametrize(("language", "source"), CLIENTS, ids=NAMES)
async def test_another_name_fails_with_an_error_that_names_the_rules(world, language, source):
    report = await world.run(source, [world.rule()], world.url("other.example.com"), language=language)
    assert report.failure is not None
    assert f"The script may reach only {world.rule()} (network.allow)" in report.failure.message


@pytest.mark.parametrize(("language", "source"), CLIENTS, ids=NAMES)
async def test_a_name_with_one_private_address_is_refused(world, language, source):
    report = await world.run(
        source, [world.rule("mixed.example.com")], world.url("mixed.example.com"), language=language
    )
    assert report.failure is not None
    assert f"refused: mixed.example.com:{world.server.port}: {RefusalReason.ADDRESS}" in report.failure.message
    assert report.traffic.last_refusal.reason is RefusalReason.ADDRESS


@pytest.mark.parametrize(("language", "source"), CLIENTS, ids=NAMES)
async def test_an_address_that_a_rule_names_is_the_one_that_a_script_connects_to(world, language, source):
    """The judge refuses it here: it is in no network that is allowed."""
    for address in ("10.77.0.1", "192.0.2.7"):
        rules = [world.rule(address, "/tcp"), world.rule("10.77.0.2", "/tcp")]
        report = await world.run(source, rules, world.url(address), language=language)
        assert report.failure is not None
        assert f"refused: {address}:{world.server.port}: {RefusalReason.ADDRESS}" in report.failure.message


@pytest.mark.parametrize(("language", "source"), CLIENTS, ids=NAMES)
async def test_a_client_posts_to_a_host_of_a_pattern(world, language, source):
    ref = new_session()
    for _ in range(2):
        report = await world.run(source, [world.rule("*.example.com")], world.url(), language=language, ref=ref)
        assert (report.failure, report.result) == (None, '{"heard":"hello"}')
        (traffic,) = report.traffic.hosts
        assert (traffic.host, traffic.port, traffic.connections) == ("api.example.com", world.server.port, 1)


@pytest.mark.parametrize(("language", "source"), CLIENTS, ids=NAMES)
async def test_beside_a_pattern_a_host_is_reached_by_its_own_rule(world, language, source):
    for rules in (["*.example.org:443", world.rule()], [world.rule("*.example.com"), "example.com:443"]):
        report = await world.run(source, rules, world.url(), language=language)
        assert (report.failure, report.result) == (None, '{"heard":"hello"}')


@pytest.mark.parametrize(("language", "source"), CLIENTS, ids=NAMES)
async def test_a_host_that_a_pattern_does_not_lead_to_is_refused(world, language, source):
    for rule, name, reason in (
        ("*.example.org", "api.example.com", RefusalReason.NOT_ALLOWED),
        ("*.example.com", "mixed.example.com", RefusalReason.ADDRESS),
    ):
        report = await world.run(source, [world.rule(rule)], world.url(name), language=language)
        assert report.failure is not None
        assert f"refused: {name}:{world.server.port}: {reason}" in report.failure.message


GIVEN = {
    Language.PYTHON: URLLIB.replace('"Bearer s3cret"', '"Bearer " + secrets["TOKEN"]') + "print(secrets['TOKEN'])\n",
    Language.NODEJS: FETCH.replace("'Bearer s3cret'", "`Bearer ${secrets.TOKEN}`") + "console.log(secrets.TOKEN);\n",
}
IMPORTS = {
    Language.PYTHON: "from pglambda import secrets\n",
    Language.NODEJS: "const { secrets } = require('pglambda');\n",
}


@pytest.mark.parametrize("language", Language)
async def test_by_a_runtime_host_a_script_gives_its_secret_to_the_host_of_its_rule_alone(world, language, runtimes_dir):
    path = runtimes_dir / "egress" / f"{language}.sock"
    values = {"TOKEN": "t0ken-of-trial"}
    app = HostApi(world.runner, RuntimeHostOptions(bind=f"unix:{path}")).app()
    remote = HttpScriptRunner(RuntimeOptions(), {each: [f"unix:{path}"] for each in Language})
    async with served(app, unix_socket(path)):
        await remote.open()
        await until(lambda: remote.stats().states["ready"])
        reports = []
        for name in ("api.example.com", "other.example.com"):
            source, heard, given = IMPORTS[language] + GIVEN[language], Heard(), RunSecrets(given_secrets(values))
            asked = run_of(source, json.dumps(world.url(name)), network=(world.rule(),), secrets=values)
            run = evolve(asked, language=language, listener=given.listening(heard))
            report = given.shown(await report_of(remote, run))
            assert (heard.stdout.decode(), "t0ken" in str(report)) == (report.stdout, False)
            reports.append(report)
        await remote.close()
    reached, refused = reports
    assert (reached.failure, reached.result, reached.stdout) == (None, '{"heard":"hello"}', "[secret TOKEN]\n")
    assert b"authorization: bearer t0ken-of-trial" in world.server.requests[-1].lower()
    assert f"The script may reach only {world.rule()} (network.allow)." in refused.failure.message


def given_secrets(values: dict[str, str]) -> GivenSecrets:
    return GivenSecrets(values, dict.fromkeys(values, 1), Redaction.of(values))


@pytest.mark.parametrize(("language", "source"), CLIENTS, ids=NAMES)
async def test_a_certificate_of_another_authority_fails_with_an_error_that_names_the_setting(
    world, language, source, runtimes_dir
):
    vouched = Authority(runtimes_dir / "egress", "another").vouch("api.example.com")
    async with https_server(vouched) as server:
        params = {"url": f"https://api.example.com:{server.port}/items"}
        report = await world.run(source, [f"api.example.com:{server.port}"], params, language=language)
    assert "from no authority that the script trusts: by default those in EGRESS_CA_FILE." in report.failure.message
    assert "the sandbox refuses" not in report.failure.message


@contextlib.asynccontextmanager
async def silent_host() -> AsyncIterator[tuple[int, asyncio.Event]]:
    """A host that accepts connections and says nothing; yields its port, and an event that its first one sets."""
    connected, writers = asyncio.Event(), []

    async def accept(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        connected.set()

    async with await asyncio.start_server(accept, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1], connected
        for writer in writers:
            writer.close()


HANGING = """
import urllib.request
urllib.request.urlopen(params["url"], timeout=params["timeout"])
"""


async def test_a_host_that_hangs_in_its_handshake_ends_by_the_limit_of_the_script(world):
    async with silent_host() as (port, connected):
        params = {"url": f"https://api.example.com:{port}/", "timeout": 0.5}
        report = await world.run(HANGING, [f"api.example.com:{port}"], params)
        assert connected.is_set()
    assert "timed out" in report.failure.message
    (traffic,) = report.traffic.hosts
    assert (traffic.connections, traffic.received_bytes, traffic.refused) == (1, 0, 0)
    assert traffic.sent_bytes > 200


async def test_a_kill_of_the_egress_process_ends_the_connection_and_the_next_session_is_connected(world):
    async with silent_host() as (port, connected):
        params = {"url": f"https://api.example.com:{port}/", "timeout": 10}
        running = asyncio.ensure_future(world.run(HANGING, [f"api.example.com:{port}"], params))
        await asyncio.wait_for(connected.wait(), 10)
        starts = len(world.started)
        world.started[-1].kill()
        report = await running
    assert report.traffic.is_lost
    assert "The process that connects scripts ended during the execution." in report.failure.message
    again = await world.run(URLLIB, [world.rule()], world.url())
    assert (again.failure, again.result, len(world.started)) == (None, '{"heard":"hello"}', starts + 1)
