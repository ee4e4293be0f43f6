"""Environments over HTTP."""

import httpx2

from domain.environments.build import BuildStatus
from tests.unit.domain.environments.test_environment import build
from tests.unit.http.world import World, error_of, initialized

LOCK = f"six==1.17.0 --hash=sha256:{'0' * 64}\n"
DATA = {"name": "data", "language": "python", "lock": LOCK, "preload": ["six"]}
PATH = "/api/v1/environments"


async def test_a_version_is_created_read_listed_and_retired(client: httpx2.AsyncClient) -> None:
    created = await client.post(PATH, json=DATA)
    assert (created.status_code, created.headers["location"]) == (202, f"{PATH}/data/versions/1")
    body = created.json()
    assert (body["version"], body["status"], body["packages"]) == (1, "queued", [{"name": "six", "version": "1.17.0"}])
    assert (await client.get(created.headers["location"])).json() == body
    listed = (await client.get(PATH)).json()["environments"]
    assert listed == [{name: fact for name, fact in body.items() if name != "packages"}]
    for _ in range(2):
        assert (await client.delete(created.headers["location"])).status_code == 204
    assert (await client.get(created.headers["location"])).json()["status"] == "retired"


async def test_the_same_content_again_is_the_same_version(client: httpx2.AsyncClient, world: World) -> None:
    await client.post(PATH, json=DATA)
    assert (await client.post(PATH, json=DATA)).status_code == 202
    world.environments.builds[("data", 1), "p"] = build(BuildStatus.READY, "p")
    again = await client.post(PATH, json=DATA)
    assert (again.status_code, again.json()["version"], again.json()["status"]) == (200, 1, "ready")
    assert again.json()["builds"] == {"p": {"status": "ready", "digest": "ab"}}


async def test_what_is_wrong_with_a_lock_is_named_with_its_line(client: httpx2.AsyncClient) -> None:
    error = error_of(await client.post(PATH, json={**DATA, "lock": f"{LOCK}numpy==2.0\n"}), 400)
    assert error["code"] == "INVALID_LOCK"
    (problem,) = error["details"]["problems"]
    assert (problem["pointer"], problem["line"]) == ("/lock", 2)


async def test_every_fault_of_a_body_is_named(client: httpx2.AsyncClient) -> None:
    error = error_of(await client.post(PATH, json={"owners": ["*"], "more": 1}), 400)
    pointers = {problem["pointer"] for problem in error["details"]["problems"]}
    assert pointers == {"/name", "/language", "/lock", "/owners/0", "/more"}
    large = error_of(await client.post(PATH, json={**DATA, "lock": "x" * 1_048_577}), 413)
    assert large["details"]["pointer"] == "/lock"


async def test_what_is_not_there_is_not_found(client: httpx2.AsyncClient) -> None:
    for path in (f"{PATH}/data/versions/1", f"{PATH}/Data/versions/1", f"{PATH}/data/versions/x"):
        for method in ("GET", "DELETE"):
            assert error_of(await client.request(method, path), 404)["code"] == "ENVIRONMENT_NOT_FOUND"
    error = error_of(await client.get(f"{PATH}/data/versions/0"), 404)
    assert error["message"].startswith("There is no environment with version 0 that you may use")


async def test_a_session_shows_the_version_that_it_is_pinned_to(client: httpx2.AsyncClient, world: World) -> None:
    await client.post(PATH, json=DATA)
    world.environments.builds[("data", 1), "cp313-x86_64-glibc"] = build(BuildStatus.READY)
    session_id = await initialized(client, script_content="result = 1", environment="data")
    assert (await client.get(f"/api/v1/sessions/{session_id}")).json()["grants"] == {"environment": "data@1"}


async def test_a_session_names_an_environment_that_can_be(client: httpx2.AsyncClient) -> None:
    title = {"Language-Title": "python-x"}
    for name, status, code in (("Data", 400, "INVALID_REQUEST"), ("data", 404, "ENVIRONMENT_NOT_FOUND")):
        body = {"script_content": "result = 1", "environment": name}
        assert error_of(await client.post("/api/v1/initialize", json=body, headers=title), status)["code"] == code
    await client.post(PATH, json=DATA)
    body = {"script_content": "result = 1", "environment": "data@1"}
    error = error_of(await client.post("/api/v1/initialize", json=body, headers=title), 409)
    assert (error["code"], error["details"]["status"]) == ("ENVIRONMENT_NOT_READY", "queued")
