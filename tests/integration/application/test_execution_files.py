"""Files of executions end to end: uploads into sandboxes, and what scripts leave out of them."""

import base64
import hashlib
from typing import Any

import pytest

from tests.integration.application.conftest import NODEJS_HERE, ON_SHARED, Api

pytestmark = [pytest.mark.timeout(120), ON_SHARED]

SETTINGS = NODEJS_HERE

COPIES = {
    "python-copies": """
import pathlib
out = pathlib.Path("/files/out/copies")
out.mkdir()
for each in pathlib.Path("/files/in").rglob("*"):
    if each.is_file():
        (out / each.name).write_bytes(each.read_bytes())
pathlib.Path("/files/out/log.txt").write_text("done")
result = sorted(str(each) for each in pathlib.Path("/files/in").rglob("*") if each.is_file())
""",
    "nodejs-copies": """
const fs = require("fs"), path = require("path");
fs.mkdirSync("/files/out/copies");
const found = fs.readdirSync("/files/in", { recursive: true, withFileTypes: true }).filter((each) => each.isFile());
for (const each of found)
  fs.copyFileSync(path.join(each.parentPath, each.name), path.join("/files/out/copies", each.name));
fs.writeFileSync("/files/out/log.txt", "done");
return found.map((each) => path.join(each.parentPath, each.name)).sort();
""",
}
CONTENT = bytes(range(256)) * 2048 + b"the end"
INLINE = base64.b64encode(bytes(range(256))).decode()


async def initialized(api: Api, title: str, **body: Any) -> str:
    headers = {"Language-Title": title}
    response = await api.client.post(
        "/api/v1/initialize", headers=headers, json={"script_content": COPIES[title], "files": {"size_mb": 4}} | body
    )
    assert (response.status_code, response.json()["grants"]) == (200, {"files": {"size_mb": 4}}), response.text
    return response.json()["request_id"]


async def uploaded(api: Api) -> str:
    response = await api.client.post("/api/v1/files?name=a.bin", content=CONTENT)
    return response.json()["file_id"]


@pytest.mark.parametrize("title", COPIES)
async def test_uploads_and_inline_files_go_in_and_copies_come_out(shared: Api, title: str) -> None:
    session_id, file_id = await initialized(shared, title), await uploaded(shared)
    files = [
        {"path": "large/a.bin", "file_id": file_id},
        {"path": "b.bin", "base64": INLINE},
        {"path": "c.txt", "text": "grüße"},
    ]
    execute = f"/api/v1/execute/{session_id}"
    for count, collect in ((1, True), (2, ["copies/*.bin"])):  # the second one in the same worker
        executed = (await shared.client.post(execute, json={"files": files, "collect": collect})).json()
        assert executed.get("result") == ["/files/in/b.bin", "/files/in/c.txt", "/files/in/large/a.bin"], executed
        assert executed["execution_count"] == count
        left = {each["path"]: each for each in executed["files"]}
        copies = {"copies/a.bin", "copies/b.bin"}
        assert left.keys() == (copies | {"copies/c.txt", "log.txt"} if collect is True else copies)
    copy = left["copies/a.bin"]
    assert (copy["bytes"], copy["sha256"]) == (len(CONTENT), hashlib.sha256(CONTENT).hexdigest())
    content = f"/api/v1/files/{copy['file_id']}/content"
    assert (await shared.client.get(content)).content == CONTENT
    ranged = await shared.client.get(content, headers={"Range": "bytes=524288-"})
    assert (ranged.status_code, ranged.content) == (206, b"the end")
    shown = (await shared.client.get(f"/api/v1/executions/{executed['execution_id']}")).json()["uses"]["files"]
    assert [each["path"] for each in shown["in"]] == ["large/a.bin", "b.bin", "c.txt"]
    assert shown["out"] == executed["files"]
    without = (await shared.client.post(execute, json={"params": {}})).json()
    assert (without["result"], "files" in without) == ([], False)


async def test_a_script_that_fills_its_folder_fails_and_what_it_left_is_kept(shared: Api) -> None:
    source = "open('/files/out/a', 'wb').write(bytes(3 << 20)); open('/files/out/b', 'wb').write(bytes(2 << 20))"
    session_id = await initialized(shared, "python-copies", script_content=source)
    failed = (await shared.client.post(f"/api/v1/execute/{session_id}", json={"collect": True})).json()["error"]
    assert (failed["code"], failed["details"]["name"]) == ("SCRIPT_ERROR", "OSError"), failed
    assert {each["path"]: each["bytes"] for each in failed["details"]["files"]} == {"a": 3 << 20, "b": 1 << 20}


async def test_a_session_without_files_refuses_them_and_runs_nothing(shared: Api) -> None:
    session_id = await shared.initialize("python-plain", "result = __import__('os').path.exists('/files')")
    refused = await shared.client.post(f"/api/v1/execute/{session_id}", json={"collect": True})
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "INVALID_REQUEST")
    plain = (await shared.execute(session_id)).json()
    assert (plain["result"], plain["execution_count"], "files" in plain) == (False, 1, False)
