"""Every example of the OpenAPI document is sent, and answered as the document says."""

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from jsonschema_rs import Draft202012Validator

from entrypoints.composition.controller import create_controller
from entrypoints.http.contract import In
from entrypoints.http.openapi.parameters import PATH_PARAMETERS
from tests.integration.application.conftest import NODEJS_HERE, Api, serving, settings_for
from tests.support.ports import free_port

SECRETS_KEY = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="


@pytest.fixture
async def hooked(database_url: str, data_dir: Path) -> AsyncIterator[Api]:
    """A controller with webhooks, whose messages go to a proxy that is not there."""
    proxy = f"http://127.0.0.1:{free_port()}"
    variables = {"WEBHOOK_KEY": "k" * 32, "SECRETS_KEY": SECRETS_KEY, "WEBHOOK_PROXY": proxy} | NODEJS_HERE
    variables |= {"ENVIRONMENT_INDEX_PYTHON": f"http://127.0.0.1:{free_port()}/simple"}
    settings = settings_for(database_url, data_dir, **variables)
    async with serving(create_controller(settings)) as api:
        yield api


def ordered(routes):
    """Return the operations such that what they need is there: it is made first, and removed last."""
    ranks = {
        "initialize_session": 0,
        "put_function": 1,
        "put_state": 1,
        "put_secret": 1,
        "patch_state": 2,
        "delete_state_key": 2,
        "create_webhook": 1,
        "create_schedule": 2,
        "execute_session": 2,
        "upload_file": 2,
        "create_environment": 2,
        "erase_execution": 2,
        "test_webhook": 2,
    }
    shown = [route for route in routes if route.contract is not None]
    return sorted(shown, key=lambda each: (each.method == "DELETE", ranks.get(each.name, 3)))


async def send(api, route, example, known):
    places = {parameter.name: parameter.location for parameter in route.contract.parameters}
    values = {
        name: ",".join(value) if isinstance(value, list) else str(value).lower() if isinstance(value, bool) else value
        for name, value in example.parameters.items()
    }
    path = re.sub(r"\{(\w+)\}", lambda name: str(known.get(name[1]) or PATH_PARAMETERS[name[1]].example), route.path)
    return await api.client.request(
        route.method,
        path,
        params={name: value for name, value in values.items() if places[name] is In.QUERY},
        headers={name: str(value) for name, value in values.items() if places[name] is In.HEADER},
        json=None if route.contract.binary_body else example.body,
        content=example.body.encode() if route.contract.binary_body else None,
    )


def assert_documented(whole, route, example, response):
    statuses = {route.status, *(status for status in route.contract.other_responses if status < 400)} | {
        *route.contract.binary_responses
    }
    assert response.status_code in statuses, (route.name, example.name, response.text)
    documented = whole["paths"][route.path][route.method.lower()]["responses"][str(response.status_code)]
    for name, header in documented.get("headers", {}).items():
        required = whole["components"]["headers"][header["$ref"].rpartition("/")[2]]["required"]
        assert name.lower() in response.headers or not required, (route.name, name)
    content = documented.get("content", {})
    if content:
        media_type = response.headers["content-type"].partition(";")[0]
        schema, values = (
            content.get(media_type, content.get("*/*"))["schema"],
            [response.json()] if media_type == "application/json" else [],
        )
        if media_type.endswith("ndjson"):
            schema, values = schema["contentSchema"]["items"], list(map(json.loads, response.text.splitlines()))
        check = Draft202012Validator(schema | {"components": whole["components"]})
        for value in values:
            assert [str(each) for each in check.iter_errors(value)] == []
            assert set(value) == set(example.response), (route.name, example.name)


@pytest.mark.timeout(120)
async def test_every_example_works_as_it_stands(hooked):
    application = hooked.client._transport.app
    whole, known = json.loads(json.dumps(application.document())), {}
    for route in ordered(application.routes):
        for example in route.contract.examples:
            named = known | {"request_id": known["counter"]} if "/state" in route.path else known
            response = await send(hooked, route, example, named)
            assert_documented(whole, route, example, response)
            if route.name == "initialize_session":
                made = response.json()["request_id"]
                known = {"request_id": made, example.name: made} | known
            elif route.name in {"create_webhook", "test_webhook"}:
                made = response.json()
                known |= {name: made[name] for name in ("webhook_id", "delivery_id") if name in made}
            elif route.name == "create_schedule":
                known["schedule_id"] = response.json()["schedule_id"]
            elif route.name == "upload_file":
                known["file_id"] = response.json()["file_id"]
            elif route.name == "execute_session":
                known["execution_id"] = response.json()["execution_id"]  # the last one ran later, so it may be repeated
