"""The OpenAPI document, which is generated from the route table and the types of bodies."""

import functools
import json
import re
from itertools import chain

import pytest
from attrs import evolve
from click.testing import CliRunner
from jsonschema_rs import Draft202012Validator

from entrypoints.cli.main import cli
from entrypoints.composition.commands import Commands
from entrypoints.http.contract import ApiExample, Contract, Tag
from entrypoints.http.openapi.components import Components
from entrypoints.http.openapi.error_catalog import MEANINGS, SAMPLES, samples_of
from entrypoints.http.openapi.parameters import LIMIT
from entrypoints.http.openapi.paths import gaps
from entrypoints.http.route import Route
from entrypoints.http.schemas.executions import ExecuteBody, ExecuteResponse
from entrypoints.settings.loading import load_settings
from tests.unit.http.openapi.conftest import NOWHERE
from tests.unit.http.test_every_request import leaf_errors
from tests.unit.http.world import OPTIONS, Exchange, World

DOCUMENTED_ELSEWHERE = {
    "ApiKeyNotFound",  # raised by a command only
    "HostConflict",  # of runtime hosts that register, like NetworkForbidden, RuntimeTokenMissing and TooManyHosts
    "NetworkForbidden",
    "RuntimeTokenMissing",
    "TooManyHosts",
    "ExpectationFailed",  # in the description of the API
    "MethodNotAllowed",
    "OriginLoop",  # at ORIGIN_PORT only, like the next ones of the front: docs/front.md
    "OriginTimeout",
    "OriginUnavailable",
    "RouteNotFound",
    "SessionMoving",
    "SlowBody",  # an INVALID_REQUEST like others
    "StageUnknown",
}


def items(whole):
    return [(path, method, item) for path, methods in whole["paths"].items() for method, item in methods.items()]


def resolved(whole, part):
    while "$ref" in part:
        section, name = part["$ref"].removeprefix("#/components/").split("/")
        part = whole["components"][section][name]
    return part


def validators(whole):
    """Return what returns the validator of a schema: to compile one takes long, and most schemas occur again."""

    @functools.cache
    def compiled(schema):
        return Draft202012Validator(json.loads(schema) | {"components": whole["components"]}, validate_formats=True)

    return lambda schema: compiled(json.dumps(schema))


def parts(value, path=()):
    yield path, value
    below = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, member in below:
        yield from parts(member, (*path, name))


def test_every_route_has_what_the_document_needs(routes):
    missing = [gap for route in routes for gap in gaps(route)]
    assert not missing, "\n" + "\n".join(missing)


def test_the_committed_document_matches_the_route_table(text, committed):
    assert text == committed, "docs/openapi.json has drifted. Run: make openapi"


def test_the_document_has_every_route_of_the_api_and_no_other(whole, routes):
    shown = {(each.path, each.method.lower(), each.name) for each in routes if each.shown}
    assert {(path, method, item["operationId"]) for path, method, item in items(whole)} == shown
    assert all(each.path.startswith(("/docs", "/openapi.json", "/metrics")) for each in routes if not each.shown)


def test_names_of_routes_are_unique(routes):
    names = [route.name for route in routes]
    assert len(names) == len(set(names))


def test_every_field_of_every_schema_has_a_description(whole):
    undescribed = [
        f"{name}.{member}"
        for name, schema in whole["components"]["schemas"].items()
        for member, part in schema.get("properties", {}).items()
        if not resolved(whole, part).get("description") and not part.get("description")
    ]
    assert not undescribed, f"add Meta(description=...) to these fields: {', '.join(undescribed)}"


def test_examples_conform_to_their_schemas(whole):
    contents = [
        media
        for _, _, item in items(whole)
        for body in (item.get("requestBody", {}), *(resolved(whole, each) for each in item["responses"].values()))
        for media in body.get("content", {}).values()
        if isinstance(media["schema"], dict)
    ]
    assert contents
    validator = validators(whole)
    for media in contents:
        check = validator(media["schema"])
        for name, example in media.get("examples", {}).items():
            assert [str(error) for error in check.iter_errors(example["value"])] == [], name


def test_examples_of_parameters_and_headers_conform_to_their_schemas(whole):
    shared, validator = whole["components"], validators(whole)
    inline = [each for _, _, item in items(whole) for each in item["parameters"] if "$ref" not in each]
    for part in chain(shared["parameters"].values(), shared["headers"].values(), inline):
        values = [example["value"] for example in part.get("examples", {}).values()]
        values += [part["example"]] if "example" in part else []
        for value in values:
            assert validator(part["schema"]).is_valid(value), (part, value)


def test_details_of_every_error_are_described(whole):
    known = set(whole["components"]["schemas"]["ErrorDetails"]["properties"])
    examples = [
        (name, example["value"]["error"]["details"])
        for response in whole["components"]["responses"].values()
        for name, example in response["content"]["application/json"]["examples"].items()
    ]
    unknown = [f"{name}: {set(details) - known}" for name, details in examples if set(details) - known]
    assert not unknown, f"add these to ErrorDetails in entrypoints/http/schemas/errors.py: {unknown}"


def test_every_error_has_one_body_with_a_named_code(whole):
    shared = whole["components"]
    bodies = [part["content"]["application/json"]["schema"] for part in shared["responses"].values()]
    assert {body["$ref"] for body in bodies} == {"#/components/schemas/ErrorBody"}
    assert shared["schemas"]["Error"]["properties"]["code"] == {"$ref": "#/components/schemas/ErrorCode"}
    examples = [
        example["value"]["error"]["code"]
        for part in shared["responses"].values()
        for example in part["content"]["application/json"]["examples"].values()
    ]
    unlisted = {"EXPECTATION_FAILED", "METHOD_NOT_ALLOWED", "NOT_FOUND"}
    assert set(examples) | unlisted == set(shared["schemas"]["ErrorCode"]["enum"])


def test_operations_are_named_by_a_verb_and_what_it_is_done_to(whole):
    for _, _, item in items(whole):
        assert re.fullmatch(r"[a-z]+_[a-z_]+", item["operationId"])


def test_generators_may_leave_out_request_fields_that_have_a_default(whole):
    for name, schema in whole["components"]["schemas"].items():
        if name.endswith("Body"):
            assert all("default" not in part for part in schema["properties"].values()), name
    renewal = whole["components"]["schemas"]["InitializeBody"]["properties"]["renewal"]
    assert renewal["description"].endswith('The default is "fixed".')


def test_generators_may_fill_objects_that_have_no_fields_of_their_own(whole):
    closed = [
        path
        for path, part in parts(whole["components"]["schemas"])
        if isinstance(part, dict)
        and part.get("type") == "object"
        and not {"properties", "additionalProperties"} & set(part)
    ]
    assert closed == []


def test_a_batch_is_text_whose_lines_have_a_type(whole):
    content = whole["paths"]["/api/v1/execute/{request_id}/batch"]["post"]["responses"]["200"]["content"]
    assert set(content) == {"application/x-ndjson", "text/plain"}
    for media in content.values():
        assert media["schema"]["type"] == "string"
        assert media["schema"]["contentSchema"]["items"] == {"$ref": "#/components/schemas/BatchLine"}


def test_links_name_routes_and_their_parameters(whole):
    parameters = {
        item["operationId"]: {
            key
            for each in (resolved(whole, part) for part in item["parameters"])
            for key in (each["name"], f"{each['in']}.{each['name']}")
        }
        for _, _, item in items(whole)
    }
    for _, _, item in items(whole):
        for response in item["responses"].values():
            for link in resolved(whole, response).get("links", {}).values():
                assert set(link["parameters"]) <= parameters[link["operationId"]], link


def test_every_response_has_the_id_of_its_request(whole):
    for _, _, item in items(whole):
        for status, response in item["responses"].items():
            assert "X-Request-ID" in resolved(whole, response)["headers"], (item["operationId"], status)


async def test_pages_of_other_origins_may_send_and_read_every_header_of_the_document(whole):
    allowed, exposed = await cors_headers()
    parameters = [resolved(whole, each) for *_, item in items(whole) for each in item.get("parameters", ())]
    assert {each["name"] for each in parameters if each["in"] == "header"} <= allowed
    responses = [resolved(whole, each) for *_, item in items(whole) for each in item["responses"].values()]
    assert {name for each in responses for name in each.get("headers", ())} <= exposed


async def cors_headers():
    """Return which headers of requests a preflight allows, and which of responses a page may read."""
    world, origin = World.of(evolve(OPTIONS, cors_origins=("*",))), (b"origin", b"https://app.example.com")
    preflight = [origin, (b"access-control-request-method", b"GET")]
    allowed = (await Exchange(world.app, "OPTIONS", "/livez", preflight).run()).headers["access-control-allow-headers"]
    exposed = (await Exchange(world.app, "GET", "/livez", [origin]).run()).headers["access-control-expose-headers"]
    return set(allowed.split(", ")), set(exposed.split(", "))


def test_created_and_replaced_functions_have_the_same_headers(whole):
    responses = whole["paths"]["/api/v1/functions/{language_title}"]["put"]["responses"]
    assert responses["201"]["headers"] == responses["200"]["headers"]
    assert "ETag" in responses["201"]["headers"]


def test_errors_that_no_route_lists_are_in_the_description(whole):
    for text in ("404 `NOT_FOUND`", "405 `METHOD_NOT_ALLOWED`", "`EXPECTATION_FAILED`", "414 or 431"):
        assert text in whole["info"]["description"]


def test_error_responses_have_their_headers(whole):
    responses = whole["components"]["responses"]
    unauthorized = next(part for name, part in responses.items() if name.startswith("401"))
    busy = next(part for name, part in responses.items() if name.startswith("503"))
    limited = next(part for name, part in responses.items() if name.startswith("429"))
    assert "WWW-Authenticate" in unauthorized["headers"]
    assert "Retry-After" in busy["headers"]
    assert {"Retry-After", "RateLimit", "RateLimit-Policy"} <= set(limited["headers"])


def test_scopes_are_alternatives(whole):
    execute = whole["paths"]["/api/v1/execute/{request_id}"]["post"]
    scopes = [scope for each in execute["security"] for scope in each.get("token", ())]
    assert scopes == ["execute:all", "execute:nodejs", "execute:python"]
    assert "`execute:python`" in execute["description"]
    assert whole["paths"]["/livez"]["get"]["security"] == []
    assert {} in whole["paths"]["/health"]["get"]["security"]


def test_the_server_url_is_relative_and_keeps_a_prefix(whole):
    assert [server["url"] for server in whole["servers"]] == ["."]


def test_the_document_has_no_route_of_runtime_hosts(whole):
    assert all(re.match(r"/(api/v1/|livez|readyz|health|metrics)", path) for path in whole["paths"])


def test_the_document_has_the_limits_of_the_settings():
    set_lower = load_settings(NOWHERE | {"SCRIPT_TIMEOUT_MAX_MS": "7000", "MAX_SCRIPT_SIZE": "1234"})
    schemas = json.loads(Commands(settings=set_lower).document())["components"]["schemas"]
    assert schemas["LimitsBody"]["properties"]["timeout_ms"]["maximum"] == 7000
    assert "At most 1234 bytes" in schemas["InitializeBody"]["properties"]["script_content"]["description"]
    assert "maximum" not in schemas["LimitsResponse"]["properties"]["timeout_ms"]


async def _endpoint(_):
    raise NotImplementedError


EXAMPLE = (ApiExample("only", "The only one", response={}),)
WITHOUT_RESPONSE = (ApiExample("only", "", parameters={"limit": 1}),)


def contract(**fields):
    return Contract(Tag.OPERATIONS, "", "Does nothing.", **fields)


def route(method="GET", path="/x", **fields):
    return Route(method, path, _endpoint, "x", **fields)


@pytest.mark.parametrize(
    ("incomplete", "gap"),
    [
        (route(), "has no contract"),
        (route(contract=contract()), "no example"),
        (route(contract=contract(examples=EXAMPLE)), "no type of the response"),
        (
            route(path="/x/{y}", response=ExecuteResponse, contract=contract(examples=EXAMPLE)),
            "path parameter 'y'",
        ),
        (
            route("POST", body=ExecuteBody, response=ExecuteResponse, contract=contract(examples=EXAMPLE)),
            "has no body",
        ),
        (route(response=ExecuteResponse, contract=contract(examples=WITHOUT_RESPONSE)), "has no response"),
        (route(status=204, contract=contract(examples=WITHOUT_RESPONSE)), "sets limit"),
        (
            route(status=204, contract=contract(examples=EXAMPLE, errors=(NotImplementedError,))),
            "Add a sample of NotImplementedError",
        ),
    ],
)
def test_gaps_name_what_a_route_lacks(incomplete, gap):
    assert any(gap in found for found in gaps(incomplete)), list(gaps(incomplete))


def test_a_route_outside_the_document_needs_no_contract():
    assert list(gaps(route(shown=False))) == []


def test_equal_components_are_stored_once_and_different_ones_are_numbered():
    components = Components()
    first = components.put("headers", "X", {"a": 1})
    assert components.put("headers", "X", {"a": 1}) == first
    assert components.put("headers", "X", {"a": 2}) == {"$ref": "#/components/headers/X-2"}


def test_two_types_with_one_name_are_rejected():
    other = type("ExecuteResponse", (ExecuteBody,), {})
    components = Components()
    components.schema(ExecuteResponse)
    with pytest.raises(AssertionError, match="Two types of bodies"):
        components.schema(other)


def test_a_list_in_a_query_may_be_repeated(whole):
    fields = next(
        each for each in whole["paths"]["/api/v1/sessions/{request_id}"]["get"]["parameters"] if "$ref" not in each
    )
    assert (fields["name"], fields["schema"]["type"]) == ("fields", "array")
    assert "style" not in fields, "generators of clients repeat a list whatever its style is"
    assert LIMIT.name == "limit"


def test_the_command_prints_the_document(text):
    printed = CliRunner().invoke(cli, ["openapi"], env=NOWHERE)
    assert (printed.exit_code, printed.stdout) == (0, text)


@pytest.mark.parametrize("kind", leaf_errors(), ids=lambda kind: kind.__name__)
def test_every_error_that_callers_may_get_has_a_sample(kind):
    if kind.__name__ not in DOCUMENTED_ELSEWHERE:
        assert samples_of([kind])


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: type(sample).__name__)
def test_the_code_of_every_error_has_a_meaning_and_an_operation(sample, whole):
    assert sample.code in MEANINGS
    described = json.dumps([whole["paths"], whole["components"]["responses"]])
    assert f"`{sample.code}`: " in described


def test_two_samples_of_one_error_are_two_examples(whole):
    limited = next(part for name, part in whole["components"]["responses"].items() if name.startswith("429"))
    examples = limited["content"]["application/json"]["examples"]
    assert {"RateLimited", "QuotaReached", "QuotaReached-2"} <= set(examples)
