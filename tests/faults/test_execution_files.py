"""Executions with files whose controllers are killed: a file is seen if and only if its execution is counted."""

import pytest

from domain.files.file import CHUNK_SIZE
from tests.faults.mortal import STEPS_OF_FILES, runs_in
from tests.faults.report import NOTES
from tests.faults.test_files import HALF_VISIBLE
from tests.faults.test_idempotency import TITLE, dies
from tests.support.waiting import until

pytestmark = pytest.mark.timeout(300)

CONTENT = bytes(range(256)) * (CHUNK_SIZE // 256) + b"the end"
"""Two chunks."""
COPIES = {
    "script_content": (
        "with open('/files/in/a', 'rb') as given, open('/files/out/b', 'wb') as left:\n    left.write(given.read())"
    ),
    "limits": {"timeout_ms": 300},
    "files": {"size_mb": 1},
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


async def test_a_controller_that_is_killed_at_a_step_of_an_execution_shows_its_files_only_with_its_count(  # noqa: PLR0917  # fixtures, by name
    mortals, survivor, server, database, url, runs
):
    given = (await survivor.post("/api/v1/files?name=a", content=CONTENT)).json()["file_id"]
    call = {"files": [{"path": "a", "file_id": given}], "collect": True}
    counts = []
    for step in STEPS_OF_FILES:
        made = await survivor.post("/api/v1/initialize", headers=TITLE, json=COPIES)
        path = made.json()["request_id"]
        await dies(mortals(url, step), f"/api/v1/execute/{path}", json=call)
        counts.append((await survivor.get(f"/api/v1/sessions/{path}")).json()["execution_count"])
        assert counts[-1] in COUNTED.get(step, {0}), step
        files = [each for each in (await survivor.get("/api/v1/files")).json()["files"] if each["file_id"] != given]
        assert len(files) == sum(counts), step
    for file in files:
        assert (await survivor.get(f"/api/v1/files/{file['file_id']}/content")).content == CONTENT
    assert sum(counts) <= len(runs_in(runs))
    with server.admin(database) as admin:
        assert admin.execute(HALF_VISIBLE).fetchone() == (0,)
        assert admin.execute(WITHOUT_COUNT).fetchone() == (0,)
        (left_over,) = admin.execute(LEFT_OVER).fetchone()
        assert left_over > 0
        admin.execute(EXPIRES)
        await until(lambda: admin.execute(LEFT_OVER).fetchone() == (0,), 20)
    again = (await survivor.post(f"/api/v1/execute/{path}", headers={"Idempotency-Key": "again"}, json=call)).json()
    assert [(each["path"], each["bytes"]) for each in again["files"]] == [("b", len(CONTENT))]
    NOTES.append(
        f"files of executions: {len(counts)} kills at their steps, {sum(counts)} counted with their files, "
        f"0 half visible, 0 without a count; cleanup erased {left_over} chunks"
    )
