"""The endpoints of the API document and of its page."""

import hashlib
import json
import re

import pytest

from entrypoints.http.endpoints.documents import ASSETS, CONTENT_SECURITY_POLICY


async def test_the_document_is_served_without_credential(client, world):
    response = await client.get("/openapi.json")
    assert (response.status_code, response.headers["content-type"]) == (200, "application/json")
    assert response.json() == json.loads(json.dumps(world.app.document()))


async def test_a_known_etag_of_the_document_gives_304(client):
    tag = (await client.get("/openapi.json")).headers["etag"]
    response = await client.get("/openapi.json", headers={"If-None-Match": f'"other", {tag}'})
    assert (response.status_code, response.content, response.headers["etag"]) == (304, b"", tag)
    assert "content-length" not in response.headers
    assert (await client.get("/openapi.json", headers={"If-None-Match": '"other"'})).status_code == 200


async def test_the_page_loads_its_own_files_only(client):
    page = await client.get("/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    names = re.findall(r'(?:src|href)="(docs/[^"]+)"', page.text)
    assert len(names) == len(ASSETS)
    for name in names:
        asset = await client.get(f"/{name}")
        assert asset.status_code == 200
        assert asset.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert asset.headers["x-content-type-options"] == "nosniff"
        assert hashlib.sha256(asset.content).hexdigest()[:16] in name
    assert not re.search(r"(?:https?:)?//", page.text.replace("<!doctype html>", ""))


async def test_the_page_runs_its_own_scripts_only(client):
    page = await client.get("/docs")
    policy = page.headers["content-security-policy"]
    assert policy == CONTENT_SECURITY_POLICY.decode()
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    assert not re.search(r"<script(?![^>]*src=)|\son\w+=|style=|<style", page.text)


@pytest.mark.parametrize("asset", ASSETS, ids=lambda asset: asset.file)
def test_vendored_files_are_unchanged(asset):
    assert hashlib.sha256(asset.content()).hexdigest() == asset.sha256


async def test_the_page_is_not_in_the_document(client):
    assert not any(
        path.startswith(("/docs", "/openapi")) for path in (await client.get("/openapi.json")).json()["paths"]
    )
