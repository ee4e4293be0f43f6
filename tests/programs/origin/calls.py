"""Calls of the origin's API, as its clients make them."""

from typing import Any

import httpx2


def initialize(
    client: httpx2.Client, script: str | None, title: str = "python-test", **members: Any
) -> httpx2.Response:
    body = {"context": {}, "script_content": script} | members
    return client.post("/api/v1/initialize", json=body, headers={"Language-Title": title})


def initialized(client: httpx2.Client, script: str | None, title: str = "python-test", **members: Any) -> str:
    response = initialize(client, script, title, **members)
    assert response.status_code == 200, response.text
    request_id: str = response.json()["request_id"]
    return request_id


def execute(client: httpx2.Client, request_id: str, params: Any = None) -> httpx2.Response:
    return client.post(f"/api/v1/execute/{request_id}", json={"params": {} if params is None else params})


def session(client: httpx2.Client, request_id: str) -> httpx2.Response:
    return client.get(f"/api/v1/sessions/{request_id}")
