"""Conditional requests: ETags, If-Match and If-None-Match (RFC 9110)."""

from datetime import timedelta

import pytest

from tests.unit.http.world import TITLE, error_of, initialized, problems_of

FUNCTION = "/api/v1/functions/python-adder"


@pytest.fixture
async def session(client):
    """The path of a session."""
    return f"/api/v1/sessions/{await initialized(client)}"


async def execute(client, session):
    assert (await client.post(session.replace("sessions", "execute"))).status_code == 200


async def tag_of(client, url):
    return (await client.get(url)).headers["etag"]


async def register(client, **headers):
    return await client.put(FUNCTION, json={"script_content": "result = 1"}, headers=headers)


async def test_the_etag_of_a_session_is_strong_and_the_same_until_something_changes(client, session):
    tags = {await tag_of(client, url) for url in (session, session, session + "?fields=status")}
    assert len(tags) == 1
    assert tags.pop().startswith('"1.')


async def test_the_etag_of_a_session_changes_with_each_execution(client, session):
    before = await client.get(session)
    await execute(client, session)
    after = await client.get(session)
    assert before.json()["version"] == after.json()["version"]
    assert before.headers["etag"] != after.headers["etag"]


async def test_the_etag_of_a_session_changes_when_an_execution_renews_it(client, world):
    session = f"/api/v1/sessions/{await initialized(client, renewal='sliding', ttl_seconds=60)}"
    before = await client.get(session)
    world.clock.advance(timedelta(seconds=30))
    world.runner.unavailable = "the sandbox does not work"
    error_of(await client.post(session.replace("sessions", "execute")), 503)
    after = await client.get(session)
    assert before.json()["expires_at"] != after.json()["expires_at"]
    assert before.json()["execution_count"] == after.json()["execution_count"]
    assert before.headers["etag"] != after.headers["etag"]


async def test_the_etag_of_a_patch_is_that_of_the_next_read(client, session):
    patched = await client.patch(session, json={"metadata": {"a": 1}})
    assert patched.headers["etag"] == await tag_of(client, session)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("form", ["{}", "W/{}", '"x", {}', "*"])
async def test_a_known_session_is_304_without_a_body(client, session, method, form):
    tag = await tag_of(client, session)
    response = await client.request(method, session, headers={"If-None-Match": form.format(tag)})
    assert (response.status_code, response.content, response.headers["etag"]) == (304, b"", tag)
    assert response.headers["cache-control"] == "no-store"
    assert "content-length" not in response.headers


async def test_a_session_that_was_executed_since_is_read_again(client, session):
    tag = await tag_of(client, session)
    await execute(client, session)
    for known in (tag, '"1"', '"x"'):
        response = await client.get(session, headers={"If-None-Match": known})
        assert (response.status_code, response.json()["execution_count"]) == (200, 1)


async def test_a_session_is_read_only_in_the_state_of_if_match(client, session):
    tag = await tag_of(client, session)
    assert (await client.get(session, headers={"If-Match": tag})).status_code == 200
    await execute(client, session)
    assert error_of(await client.get(session, headers={"If-Match": tag}), 412)["details"] == {"version": 1}


@pytest.mark.parametrize("header", ['"1"', "*", '"7", "1"', 'W/"1", "1"', '"x" ,"1"'])
async def test_patch_works_if_the_version_matches(client, session, header):
    assert (await client.patch(session, json={"ttl_seconds": 4000}, headers={"If-Match": header})).status_code == 200


async def test_patch_by_version_works_whatever_was_executed_since(client, session):
    await execute(client, session)
    assert (await client.patch(session, json={"ttl_seconds": 4000}, headers={"If-Match": '"1"'})).status_code == 200


async def test_patch_by_etag_works_until_the_session_is_executed(client, session):
    first = await tag_of(client, session)
    patched = await client.patch(session, json={"ttl_seconds": 4000}, headers={"If-Match": first})
    assert patched.status_code == 200
    await execute(client, session)
    again = await client.patch(session, json={"ttl_seconds": 4001}, headers={"If-Match": patched.headers["etag"]})
    assert error_of(again, 412)["details"] == {"version": 2}


@pytest.mark.parametrize("header", ['"2"', 'W/"1"', '"01"', '"x"', '""', '"2", "3"', '"-1"', '"x1"', '"1.0"'])
@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
async def test_a_change_of_another_version_is_412(client, session, method, header):
    body = {"json": {"ttl_seconds": 4000}} if method == "PATCH" else {}
    response = await client.request(method, session, headers={"If-Match": header}, **body)
    error = error_of(response, 412)
    assert (error["code"], error["details"]) == ("PRECONDITION_FAILED", {"version": 1})
    assert session.endswith(response.json()["request_id"])
    assert (await client.get(session)).json()["version"] == 1


@pytest.mark.parametrize("header", ["*", '"1"', 'W/"1"', '"3", "1"'])
@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
async def test_a_change_of_a_session_that_must_not_be_there_is_412(client, session, method, header):
    body = {"json": {"ttl_seconds": 4000}} if method == "PATCH" else {}
    response = await client.request(method, session, headers={"If-None-Match": header}, **body)
    assert error_of(response, 412)["code"] == "PRECONDITION_FAILED"
    assert (await client.get(session)).status_code == 200


async def test_a_change_is_made_if_no_excluded_version_matches(client, session):
    headers = {"If-None-Match": '"2", "x"'}
    assert (await client.patch(session, json={"ttl_seconds": 4000}, headers=headers)).status_code == 200


@pytest.mark.parametrize("form", ["{}", '"1"', "*"])
async def test_delete_closes_the_session_that_matches(client, session, form):
    tag = await tag_of(client, session)
    assert (await client.delete(session, headers={"If-Match": form.format(tag)})).status_code == 204
    # Repeated after a lost response: what the caller asked for holds.
    assert (await client.delete(session, headers={"If-Match": form.format(tag)})).status_code == 204


@pytest.mark.parametrize("header", ["1", '"1', "", '"1" "2"', '"x 1"', ",".join(['"1"'] * 9), '"1",'])
@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
@pytest.mark.parametrize("name", ["If-Match", "If-None-Match"])
async def test_a_malformed_condition_is_rejected(client, session, name, method, header):
    body = {"json": {}} if method == "PATCH" else {}
    response = await client.request(method, session, headers={name: header}, **body)
    assert set(problems_of(response)) == {f"/headers/{name}"}


async def test_conditions_do_not_hide_that_a_session_is_not_there(client, session):
    unknown = session[:-4] + "ffff"
    for headers in ({"If-Match": "*"}, {"If-None-Match": "*"}):
        assert error_of(await client.get(unknown, headers=headers), 404)
        assert error_of(await client.patch(unknown, json={"ttl_seconds": 4000}, headers=headers), 404)
        assert error_of(await client.delete(unknown, headers=headers), 404)


async def test_a_known_function_is_304_without_a_body(client):
    tag = (await register(client)).headers["etag"]
    for known in (tag, "W/" + tag, "*", f'"x", {tag}'):
        response = await client.get(FUNCTION, headers={"If-None-Match": known})
        assert (response.status_code, response.content, response.headers["etag"]) == (304, b"", tag)
    assert (await client.get(FUNCTION, headers={"If-None-Match": '"7"'})).status_code == 200


async def test_a_function_is_read_only_at_the_version_of_if_match(client):
    tag = (await register(client)).headers["etag"]
    assert (await client.get(FUNCTION, headers={"If-Match": tag})).status_code == 200
    assert error_of(await client.get(FUNCTION, headers={"If-Match": '"7"'}), 412)["details"]["version"] == 1


async def test_an_unknown_function_is_404_whatever_the_condition(client):
    for headers in ({"If-Match": "*"}, {"If-None-Match": "*"}):
        assert error_of(await client.get(FUNCTION, headers=TITLE | headers), 404)["code"] == "FUNCTION_NOT_FOUND"
