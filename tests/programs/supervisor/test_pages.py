"""The pages with steps for a shell, run as their readers run them, on one service."""

import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx2
import pytest

from tests.integration.embedded.conftest import seed
from tests.programs.supervisor.conftest import ROOT, Service
from tests.support.folders import quick_parent, shared_folder
from tests.support.indexes import locked_wheels, needs_uv
from tests.support.ports import free_port
from tests.support.programs import unmeasured

pytestmark = pytest.mark.timeout(120)

STARTED, SCHEDULES, ASYNCHRONOUS, STATE, FILES, SECRETS, NETWORK, ENVIRONMENTS = (
    (ROOT / "docs" / f"{name}.md").read_text()
    for name in ("getting-started", "schedules", "asynchronous", "state", "files", "secrets", "network", "environments")
)
TRIAL_PORT, INDEX_PORT = free_port(), free_port()
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.DOTALL | re.MULTILINE)
START = "make run\n"
SHOWN = re.compile(r"(?:^# .*\n)(?:^#   .*\n)*", re.MULTILINE)
"""An output that the page shows; the rest of a long line follows with more blanks."""
CERTIFICATE, SERVER, START_WITH_NETWORK, *CALLS, START_WITH_BOTH, BUILD, CALLS_OF_PACKAGES = BLOCK.findall(
    re.search(r"^## Try it on this machine\n(.*?)^## Certificates", NETWORK, re.DOTALL | re.MULTILINE)[1].replace(
        "8443", str(TRIAL_PORT)
    )
)
PACKAGE, START_WITH_INDEX, *IMPORT = BLOCK.findall(ENVIRONMENTS.replace("8090", str(INDEX_PORT)))
RULE = f"127.0.0.1:{TRIAL_PORT}/tcp"
PACKAGES = (
    *("anyio", "certifi", "charset-normalizer", "h11", "httpcore", "httpx", "idna", "requests", "typing-extensions"),
    "urllib3",
)
POST = {
    "urllib": """
import urllib.request
def post(url, headers):
    return urllib.request.urlopen(urllib.request.Request(url, b"hello", headers)).read().decode()
""",
    "requests": """
import requests
def post(url, headers):
    return requests.post(url, b"hello", headers=headers).text
""",
    "httpx": """
import httpx
def post(url, headers):
    return httpx.post(url, content=b"hello", headers=headers).text
""",
    "fetch": """
const post = async (url, headers) => (await fetch(url, { method: 'POST', body: 'hello', headers })).text();
""",
    "https": """
const post = (url, headers) => new Promise((resolve, reject) => {
  const options = { method: 'POST', headers: { ...headers, 'Content-Length': 5 } };
  const request = require('node:https').request(url, options, (response) => {
    let text = '';
    response.on('data', (piece) => { text += piece; });
    response.on('end', () => resolve(text));
  });
  request.on('error', reject);
  request.end('hello');
});
""",
}
"""A POST with headers by each client of a script."""
CALL = {
    "python": """
from pglambda import secrets
print(secrets["TOKEN"])
result = post(params["url"], {"Authorization": "Bearer " + secrets["TOKEN"]})
""",
    "nodejs": """
const { secrets } = require('pglambda');
module.exports = ({ params }) => {
  console.log(secrets.TOKEN);
  return post(params.url, { Authorization: `Bearer ${secrets.TOKEN}` });
};
""",
}


@pytest.fixture(scope="module")
def data_dir() -> Iterator[Path]:
    with shared_folder(quick_parent()) as folder:
        yield folder


@pytest.fixture(scope="module")
def service(data_dir: Path, made: Path) -> Iterator[Service]:
    """The service that the pages ask their reader to start, those about networks and environments with settings."""
    seed(made, data_dir)
    run_blocks(data_dir, [CERTIFICATE])
    starts = (START_WITH_NETWORK + START_WITH_INDEX).replace("/tmp/", f"{data_dir}/")
    settings = dict(re.findall(r"(\w+)=(\S+)", starts))
    assert settings.keys() == set(re.findall(r"(\w+)=", START_WITH_BOTH))
    service = Service(data_dir, program=("entrypoints", "serve"), **settings)
    try:
        yield service.ready()
    finally:
        service.end()


@pytest.fixture(scope="module")
def trial(service: Service, data_dir: Path) -> Iterator[None]:
    """The server of the page about networks, with its secret at the service."""
    steps = f"{SERVER}END=$!\n{until_open(TRIAL_PORT)}echo ready\ncat > /dev/null\nkill $END\n".replace(
        "/tmp/", f"{data_dir}/"
    )
    command = ["bash", "-e", "-c", steps]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout.readline() == "ready\n"
        yield
        program.communicate(timeout=20)


@pytest.fixture(scope="module")
def packages(service: Service, data_dir: Path) -> None:
    """The environment of the page about networks, of wheels that the lock of development names."""
    folder = data_dir / "index" / "simple"
    for wheel in locked_wheels(PACKAGES, data_dir):
        name = wheel.name.partition("-")[0].replace("_", "-")
        (folder / name).mkdir(parents=True)
        wheel.rename(folder / name / wheel.name)
    index = PACKAGE.splitlines(keepends=True)[-1]
    build = BUILD.replace("https://index.example.com", f"http://127.0.0.1:{INDEX_PORT}")
    run_blocks(data_dir, [index, 'trap "kill $!" EXIT\n', until_open(INDEX_PORT), build], timeout_s=100)


def run_page(service: Service, data_dir: Path, page: str, between: str = "") -> str:
    """Run every block of a page, in one shell, and return what it prints."""
    blocks = [block.replace("http://127.0.0.1:8080", service.url) for block in BLOCK.findall(page) if block != START]
    return run_blocks(data_dir, blocks, between)


def run_blocks(data_dir: Path, blocks: Sequence[str], between: str = "", timeout_s: float = 60) -> str:
    """Run blocks in one shell, and return what they print."""
    steps = f"\n{between}\n".join(blocks).replace("/tmp/", f"{data_dir}/")
    steps = steps.replace(".venv/bin/pglambda", f"{sys.executable} -m entrypoints")
    environ = {**unmeasured(), "DATA_DIR": str(data_dir)}
    ended = subprocess.run(
        ["bash", "-e", "-c", steps],
        cwd=ROOT,
        env=environ,
        check=True,
        capture_output=True,
        text=True,
        timeout=timeout_s,
    )
    return ended.stdout


def until_open(port: int) -> str:
    """Return a step that waits for a server on a port."""
    return f"until (: < /dev/tcp/127.0.0.1/{port}) 2> /dev/null; do sleep 0.05; done\n"


def shown_outputs() -> list[str]:
    """Return the outputs that the page for the start shows, each in one line."""
    texts = [text for block in BLOCK.findall(STARTED) for text in SHOWN.findall(block)]
    return [re.sub(r"\n?^# +", " ", text, flags=re.MULTILINE).strip() for text in texts]


def said(pattern: str, outputs: list[str]) -> set[str]:
    return {found for output in outputs for found in re.findall(pattern, output)}


def test_every_step_of_the_start_gives_the_values_messages_and_fields_that_the_page_shows(service, data_dir):
    output = run_page(service, data_dir, STARTED)
    outputs = shown_outputs()
    values, messages, names = (said(each, outputs) for each in (r"^\w+$", r'"message":"([^"]*)"', r'"(\w+)":'))
    assert {"ready", "2", "8", "422", "504"} <= values
    assert len(messages) == 5
    # No line ends after a response, so a value may follow one.
    assert sorted(value for value in values if not re.search(rf"\b{value}$", output, re.MULTILINE)) == []
    assert sorted(message for message in messages if message not in output) == []
    assert sorted(name for name in names if f'"{name}":' not in output) == []


def test_the_example_that_the_service_prints_works(service):
    printed = re.search(r"Try it.*?\n(.*)\n\nCtrl-C", service.output, re.DOTALL).group(1)
    completed = subprocess.run(["/bin/sh", "-c", printed], capture_output=True, text=True, check=True, timeout=20)
    assert '"result":8' in completed.stdout


def test_every_step_of_the_page_about_schedules_works(service, data_dir):
    output = run_page(service, data_dir, SCHEDULES)
    assert '"error"' not in output
    assert output.count('"schedule_id"') == 4  # created, changed, paused, resumed
    assert '"time_zone":"Asia/Tokyo"' in output
    assert '"state":"fired"' in output
    assert '"manual":true' in output


def test_the_steps_of_the_page_about_asynchronous_executions_give_what_it_says(service, data_dir):
    first, second, live, followed = run_page(service, data_dir, ASYNCHRONOUS, "echo ---").split("---\n")[:4]
    (promised,) = re.findall(r"returns `(.*?)` with `(.*?)`", ASYNCHRONOUS)
    assert all(each in first for each in promised)
    assert '"status":"succeeded","executed":"yes"' in second, "a cancel after the end"
    assert '"status":"queued"' in second, "the repetition"
    assert '"executions":[{"execution_id":' in second
    assert '"languages":[' in second
    assert 'event: stdout\ndata: {"text":"1\\n' in live
    assert live.count("event: end") == followed.count("event: end") == 1
    assert '"result":3' in live
    assert 'data: {"text":"4\\n' in followed


def test_every_step_of_the_page_about_states_works(service, data_dir):
    output = run_page(service, data_dir, STATE)
    assert '"error"' not in output
    assert '"result":1' in output
    assert '"state_version":1' in output
    assert output.endswith('{"state":{"visits":10},"version":2}')


def test_every_step_of_the_page_about_files_works(service, data_dir):
    output = run_page(service, data_dir, FILES)
    assert output.startswith('a,b\n1,2\n{"request_id"'), output
    assert '"result":2,' in output
    assert re.search(r'"files":\[\{"path":"upper\.csv","file_id":"[-0-9a-f]+","bytes":8,', output), output


def test_every_step_of_the_page_about_secrets_works(service, data_dir):
    output = run_page(service, data_dir, SECRETS)
    assert '"error"' not in output
    assert '"is_openable":true' in output
    assert '"result":15' in output
    assert '"stdout":"[secret API_KEY]\\n"' in output
    assert '"redacted":1' in output
    assert "s3cr3t-of-alice" not in output


def test_scripts_post_to_the_server_of_the_page_about_networks_and_reach_nothing_else(service, data_dir, trial):
    posts, others = (each.replace("http://127.0.0.1:8080", service.url) for each in CALLS)
    reached, refused = run_blocks(data_dir, [posts, "echo ---\n", others]).split("---\n")
    assert "t0ken" not in reached + refused
    assert (
        reached.count('"result":"HELLO"')
        == reached.count(f'"host":"127.0.0.1","port":{TRIAL_PORT},"connections":1')
        == 2
    )
    assert reached.count("Bearer [secret TOKEN]") == reached.count('"redacted":1') == 2
    assert refused.count('"code":"SCRIPT_ERROR"') == 2
    assert refused.count(f"The script may reach only {RULE} (network.allow).") == 2


@needs_uv
def test_clients_of_packages_post_as_the_page_about_networks_says(service, data_dir, trial, packages):
    posts = CALLS[0].replace("http://127.0.0.1:8080", service.url)
    output = run_blocks(data_dir, [posts, "echo ---\n", CALLS_OF_PACKAGES]).split("---\n")[1]
    assert output.count('"result":"HELLO"') == 2


@pytest.mark.parametrize(
    "client", ["urllib", "fetch", "https", *(pytest.param(each, marks=needs_uv) for each in ("requests", "httpx"))]
)
def test_each_client_gives_its_secret_to_the_host_of_its_rule_and_reaches_nothing_else(service, trial, client, request):
    httpx2.put(f"{service.url}/api/v1/secrets/TOKEN", json={"value": "t0ken-of-trial"}).raise_for_status()
    language = "nodejs" if client in {"fetch", "https"} else "python"
    body = {"script_content": POST[client] + CALL[language], "secrets": ["TOKEN"], "network": {"allow": [RULE]}}
    if client in {"requests", "httpx"}:
        request.getfixturevalue("packages")
        body["environment"] = "clients"
    title = {"Language-Title": f"{language}-{client}"}
    session = httpx2.post(f"{service.url}/api/v1/initialize", json=body, headers=title).json()

    def post(host: str) -> dict[str, object]:
        params = {"params": {"url": f"https://{host}/"}}
        response = httpx2.post(f"{service.url}/api/v1/execute/{session['request_id']}", json=params, timeout=30)
        assert "t0ken" not in response.text
        return response.json()

    posted = post(f"127.0.0.1:{TRIAL_PORT}")
    assert (posted["result"], posted["stdout"], posted["redacted"]) == ("HELLO", "[secret TOKEN]\n", 1)
    for other in (f"example.com:{TRIAL_PORT}", f"10.0.0.1:{TRIAL_PORT}", f"127.0.0.1:{service.port}"):
        error = post(other)["error"]
        assert f"The script may reach only {RULE} (network.allow)." in error["message"], (other, error)


@needs_uv
def test_every_step_of_the_page_about_environments_works(service, data_dir):
    lock, use = (each.replace("http://127.0.0.1:8080", service.url) for each in IMPORT)
    output = run_blocks(data_dir, [PACKAGE, 'trap "kill $!" EXIT\n', until_open(INDEX_PORT), lock, use])
    assert "Created hello@1, which is ready.\n" in output
    assert '"result":"Hello, Ada!"' in output


def test_no_file_no_log_and_no_process_of_the_service_shows_the_secret_of_the_page(service, data_dir):
    run_page(service, data_dir, SECRETS)
    value, title = b"s3cr3t-of-alice", b"python-signed"
    files = {path: path.read_bytes() for path in data_dir.rglob("*") if path.is_file()}
    assert any(title.removeprefix(b"python-") in content for content in files.values()), (
        "tables or WAL have the session"
    )
    assert [path for path, content in files.items() if value in content] == []
    assert value.decode() not in service.output
    folders = [Path(f"/proc/{pid}") for pid, _ in service.family()]
    shown = b"".join((folder / name).read_bytes() for folder in folders for name in ("environ", "cmdline"))
    assert b"entrypoints" in shown
    assert value not in shown


def test_no_report_about_the_session_of_the_page_shows_its_secret(service, data_dir):
    run_page(service, data_dir, SECRETS)
    signed = service.get("/api/v1/sessions").json()["sessions"][0]["request_id"]
    (execution,) = service.get(f"/api/v1/sessions/{signed}/executions").json()["executions"]
    options = {"cwd": ROOT, "env": {**unmeasured(), "DATA_DIR": str(data_dir)}, "timeout": 60}
    for arguments in (["explain", signed], ["explain", execution["execution_id"]], ["doctor"], ["audit"]):
        command = [sys.executable, "-m", "entrypoints", *arguments]
        ended = subprocess.run(command, check=False, capture_output=True, text=True, **options)
        assert "API_KEY" in ended.stdout or arguments == ["doctor"], ended.stdout + ended.stderr
        assert "s3cr3t-of-alice" not in ended.stdout + ended.stderr
