"""Executions with files and a state, on this host and on runtime hosts, that are broken off at a step.

Files are seen, and the state is saved, if and only if the execution is counted.
"""

import httpx2
import pytest
from attrs import define, field

from domain.files.file import CHUNK_SIZE
from tests.faults.mortal import STEPS_OF_FILES, STEPS_OF_FILES_ON_HOSTS, runs_in
from tests.faults.mortal_host import BreakingProxy, MortalHost
from tests.faults.report import NOTES
from tests.faults.test_files import HALF_VISIBLE
from tests.faults.test_idempotency import TITLE, dies
from tests.support.waiting import until

pytestmark = pytest.mark.timeout(300)

CONTENT = bytes(range(256)) * (CHUNK_SIZE // 256) + b"the end"
"""Two chunks."""
COPIES = """
state['n'] = state.get('n', 0) + 1
with open('/files/in/a', 'rb') as given, open('/files/out/b', 'wb') as left:
    left.write(given.read())
"""
FAILS = COPIES + "raise ValueError\n"
SESSION = {
    "limits": {"timeout_ms": 300},
    "files": {"size_mb": 1},
    "state": {"mode": "exclusive", "save_on": "always"},
}
COUNTED = {"in finish": {0, 1}, "after finish": {1}}
EXPIRES = "UPDATE meta.files SET expires_at = '-infinity' WHERE NOT complete"
LEFT_OVER = """
SELECT count(*) FROM meta.file_chunks AS c
WHERE NOT EXISTS (SELECT FROM meta.files AS f WHERE f.file_id = c.file_id AND f.complete)
"""
WITHOUT_COUNT = """
SELECT count(*) FROM meta.files AS f JOIN meta.sessions AS s USING (request_id)
WHERE f.complete AND s.execution_count = 0
"""
MESSAGES = (
    "RUN",
    *("NEXT", "PIECE") * 2,
    *("OFFER", "NEXT", "PIECE", "NEXT", "PIECE", "TAKEN", "COMPLETE"),
    "END",
)
"""What a controller and a host send each other for an execution of COPIES, in its order."""
LAST = len(MESSAGES)
QUEUES = {"QUEUE_TIMEOUT_MS": "20000"}
"""A call waits for a host that starts again."""


@define(eq=False)
class Drill:
    """Executions that copy a file and change a state, each in a session of its own, and what is seen of them later."""

    survivor: httpx2.AsyncClient
    given: str
    counts: list[int] = field(factory=list, init=False)
    path: str = field(default="", init=False)

    @property
    def call(self):
        return {"files": [{"path": "a", "file_id": self.given}], "collect": True}

    async def initialize(self, source=COPIES):
        """Begin a session, whose script no host has; return the path of its executions."""
        body = SESSION | {"script_content": f"{source}# {len(self.counts)}"}
        made = await self.survivor.post("/api/v1/initialize", headers=TITLE, json=body)
        self.path = made.json()["request_id"]
        return f"/api/v1/execute/{self.path}"

    async def judge(self, step, expected):
        """Require that the execution is counted as `expected` allows, and has its files and state if it is."""
        count = (await self.survivor.get(f"/api/v1/sessions/{self.path}")).json()["execution_count"]
        assert count in expected, step
        self.counts.append(count)
        assert len(await self.files()) == sum(self.counts), step
        state = (await self.survivor.get(f"/api/v1/sessions/{self.path}/state")).json()
        assert state == {"state": {"n": 1} if count else {}, "version": count}, step

    async def files(self):
        """Return the files that scripts have left."""
        found = (await self.survivor.get("/api/v1/files?limit=100")).json()["files"]
        return [each for each in found if each["file_id"] != self.given]

    async def conclude(self, admin, ran, *, is_killed=True):
        """Require that all files are whole and counted, and that the others are erased; return what the report says.

        Those of a controller that `is_killed` are left to the cleanup. Another one erases them itself.
        """
        for file in await self.files():
            assert (await self.survivor.get(f"/api/v1/files/{file['file_id']}/content")).content == CONTENT
        assert len(set(ran)) == len(ran), "an execution ran twice"
        assert sum(self.counts) <= len(ran)
        assert admin.execute(HALF_VISIBLE).fetchone() == (0,)
        assert admin.execute(WITHOUT_COUNT).fetchone() == (0,)
        if is_killed:
            assert admin.execute(LEFT_OVER).fetchone() > (0,)
            admin.execute(EXPIRES)
        await until(lambda: admin.execute(LEFT_OVER).fetchone() == (0,), 20)
        return (
            f"{len(self.counts)} executions, {sum(self.counts)} counted with their files and state, 0 half visible, 0 "
            "without a count, 0 chunks left over"
        )


@pytest.fixture
async def drill(survivor):
    given = await survivor.post("/api/v1/files?name=a", content=CONTENT)
    return Drill(survivor, given.json()["file_id"])


@pytest.fixture
def host(runs):
    host = MortalHost(runs)
    yield host
    host.kill()


@pytest.fixture
async def proxy(host):
    """A proxy in front of the host."""
    proxy = await BreakingProxy(host.port).start()
    yield proxy
    await proxy.stop()


def run_ids(runs):
    return [execution_id for execution_id, _ in runs_in(runs)]


def hosted(url):
    """Return the settings of a controller whose scripts run on the host of the URL."""
    return QUEUES | {"PYTHON_RUNTIME_URL": url, "NODEJS_RUNTIME_URL": url}


HERE, HOST = "this host", "a runtime host"


@pytest.mark.parametrize("place", [HERE, HOST])
async def test_a_controller_that_is_killed_at_a_step_of_an_execution_shows_its_files_only_with_its_count(  # noqa: PLR0917  # fixtures, by name
    mortals, drill, server, database, url, runs, request, place
):
    is_here = place == HERE
    more = {} if is_here else hosted(f"http://127.0.0.1:{request.getfixturevalue('host').port}")
    for step in STEPS_OF_FILES if is_here else STEPS_OF_FILES_ON_HOSTS:
        path = await drill.initialize()
        await dies(mortals(url, step, **more), path, json=drill.call)
        await drill.judge(step, COUNTED.get(step, {0}))
    with server.admin(database) as admin:
        found = await drill.conclude(admin, run_ids(runs))
    again = await drill.survivor.post(path, headers={"Idempotency-Key": "again"}, json=drill.call)
    assert [(each["path"], each["bytes"]) for each in again.json()["files"]] == [("b", len(CONTENT))]
    NOTES.append(f"files on {place}, the controller killed at each step: {found}")


async def executed(url, path, call):
    """Return the response of a call, None if its controller is lost."""
    async with httpx2.AsyncClient(base_url=url, timeout=30) as client:
        try:
            return await client.post(path, json=call)
        except httpx2.TransportError:
            return None


def _end_of(response):
    return None if response is None else (response.status_code, response.json()["error"]["details"]["executed"])


BREAKS = {
    "the connection cut": COPIES,
    "the connection cut, and the script fails": FAILS,
    "the host killed": COPIES,
    "the controller killed": COPIES,
}


@pytest.mark.parametrize(("name", "source"), BREAKS.items(), ids=BREAKS)
async def test_files_that_break_off_between_a_controller_and_a_host_are_shown_only_with_the_count(  # noqa: PLR0917  # fixtures, by name
    mortals, drill, host, proxy, server, database, url, runs, name, source
):
    controller = mortals(url, **hosted(proxy.url))
    killed = {"the host killed": host, "the controller killed": controller}.get(name)
    for arrived in range(LAST + 2):  # with the last one nothing breaks
        await controller.ready()
        path = await drill.initialize(source)
        proxy.break_after(arrived, lambda: None if killed is None else killed.kill())
        response = await executed(controller.url, path, drill.call)
        assert tuple(proxy.seen) == MESSAGES[:arrived]
        if arrived < LAST:
            assert _end_of(response) == (None if killed is controller else (503, "unknown")), arrived
        if killed is not None and arrived <= LAST:
            killed.start()
        await drill.judge(arrived, {0} if arrived < LAST else {0, 1} if arrived == LAST else {1})
    with server.admin(database) as admin:
        found = await drill.conclude(admin, run_ids(runs), is_killed=killed is controller)
    NOTES.append(f"files on {HOST}, {name}, behind each message: {found}")
