"""Uploads whose controllers are killed: a file is seen whole, or not at all."""

import hashlib

import pytest

from domain.files.file import CHUNK_SIZE
from tests.faults.mortal import STEPS_OF_UPLOAD
from tests.faults.test_idempotency import dies

pytestmark = pytest.mark.timeout(180)

CONTENT = bytes(range(256)) * (CHUNK_SIZE // 128) + b"the end"
"""Three chunks."""

HALF_VISIBLE = """
SELECT count(*) FROM meta.files AS f
WHERE f.complete AND f.bytes <> (
    SELECT coalesce(sum(octet_length(c.content)), 0) FROM meta.file_chunks AS c WHERE c.file_id = f.file_id
)
"""


@pytest.mark.parametrize("step", STEPS_OF_UPLOAD)
async def test_a_controller_that_is_killed_at_a_step_of_an_upload_leaves_a_whole_file_or_none(  # noqa: PLR0917  # fixtures, by name
    mortals, survivor, server, database, url, step
):
    await dies(mortals(url, step), "/api/v1/files", content=CONTENT)
    files = (await survivor.get("/api/v1/files")).json()["files"]
    assert len(files) in {"in complete": (0, 1), "after complete": (1,)}.get(step, (0,))
    for file in files:
        assert file["sha256"] == hashlib.sha256(CONTENT).hexdigest()
        assert (await survivor.get(f"/api/v1/files/{file['file_id']}/content")).content == CONTENT
    with server.admin(database) as admin:
        assert admin.execute(HALF_VISIBLE).fetchone() == (0,)
    again = await survivor.post("/api/v1/files", content=CONTENT)
    assert again.status_code == 201
