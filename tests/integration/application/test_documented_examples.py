"""Every example of the OpenAPI document is sent, and answered as the document says."""

import json
import re

import pytest
from jsonschema_rs import Draft202012Validator

from entrypoints.http.contracts.contract import In
from entrypoints.http.contracts.parameters import PATH_PARAMETERS


def ordered(operations):
    """Return the operations such that what they need is there: it is made first, and removed last."""
    ranks = {"initialize": 0, "put_function": 1, "execute": 2}
    shown = [operation for operation in operations if operation.contract is not None]
    return sorted(shown, key=lambda each: (each.method == "DELETE", ranks.get(each.name, 3)))


async def send(api, operation, example, known):
    places = {parameter.name: parameter.place for parameter in operation.contract.parameters}
    values = {
        name: ",".join(value) if isinstance(value, list) else str(value).lower() if isinstance(value, bool) else value
        for name, value in example.parameters.items()
    }
    path = re.sub(r"\{(\w+)\}", lambda name: known.get(name[1]) or PATH_PARAMETERS[name[1]].example, operation.path)
    return await api.client.request(
        operation.method,
        path,
        params={name: value for name, value in values.items() if places[name] is In.QUERY},
        headers={name: str(value) for name, value in values.items() if places[name] is In.HEADER},
        json=example.body,
    )


def assert_documented(whole, operation, example, answer):
    statuses = {operation.status, *(status for status in operation.contract.also if status < 400)}
    assert answer.status_code in statuses, (operation.name, example.name, answer.text)
    told = whole["paths"][operation.path][operation.method.lower()]["responses"][str(answer.status_code)]
    for name, header in told.get("headers", {}).items():
        required = whole["components"]["headers"][header["$ref"].rpartition("/")[2]]["required"]
        assert name.lower() in answer.headers or not required, (operation.name, name)
    for media_type, media in told.get("content", {}).items():
        assert answer.headers["content-type"].startswith(media_type)
        if media_type == "application/json":
            schema = media["schema"] | {"components": whole["components"]}
            assert [str(each) for each in Draft202012Validator(schema).iter_errors(answer.json())] == []
            assert set(answer.json()) == set(example.answer), (operation.name, example.name)
        elif media_type.endswith("ndjson"):
            for line in answer.text.splitlines():
                assert set(json.loads(line)) == set(example.answer)


@pytest.mark.timeout(120)
async def test_every_example_works_as_it_stands(api):
    application = api.client._transport.app
    whole, known = json.loads(json.dumps(application.document())), {}
    for operation in ordered(application.operations):
        for example in operation.contract.examples:
            answer = await send(api, operation, example, known)
            assert_documented(whole, operation, example, answer)
            if operation.name in {"initialize", "execute"}:
                made = answer.json()
                known = {name: made[name] for name in ("request_id", "execution_id") if name in made} | known
