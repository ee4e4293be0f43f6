"""Scripts really run, in both languages and in every form."""

import pytest

from tests.integration.application.conftest import Api

pytestmark = pytest.mark.timeout(120)

NODE_SWITCH = """
module.exports = async (event) => {
  const { operation, a, b } = event.params;
  switch (operation) {
    case 'add': return { result: a + b };
    case 'multiply': return { result: a * b };
    default: throw new Error(`unknown operation ${operation}`);
  }
};
"""
NODE_CALLBACK = """
exports.handler = (event, callback) => {
  setTimeout(() => callback(null, event.params.n * event.context.factor), 1);
};
"""
PYTHON_HANDLER = """
def handler(context):
    return {"greeting": f"hello {context['name']}"}
"""
PYTHON_HANDLE = """
def handle(params):
    return sorted(params["items"])
"""


@pytest.mark.parametrize(
    ("title", "script", "params", "result"),
    [
        ("nodejs-calculator", "return event.params.a + event.params.b;", {"a": 5, "b": 3}, 8),
        ("nodejs-calculator", "return event.params.a / event.params.b;", {"a": 10, "b": 2}, 5),
        ("python-textprocessor", 'result = len(params["text"].split())', {"text": "Hello world this is a test"}, 6),
        (
            "python-textprocessor",
            'result = params["text"].upper()',
            {"text": "hello lambda microservice"},
            "HELLO LAMBDA MICROSERVICE",
        ),
        ("nodejs-switch", NODE_SWITCH, {"operation": "multiply", "a": 6, "b": 7}, {"result": 42}),
        ("python-sorter", PYTHON_HANDLE, {"items": [3, 1, 2]}, [1, 2, 3]),
    ],
)
async def test_a_script_gives_its_result(api: Api, title, script, params, result) -> None:
    assert await api.run(title, script, **params) == result


async def test_a_callback_and_a_handler_of_the_context_give_their_results(api: Api) -> None:
    assert await api.run("nodejs-callback", NODE_CALLBACK, context={"factor": 2}, n=21) == 42
    greeting = await api.run("python-greeter", PYTHON_HANDLER, context={"name": "world"})
    assert greeting == {"greeting": "hello world"}


async def test_a_script_that_does_not_parse_is_refused_with_its_place(api: Api) -> None:
    answer = await api.client.post(
        "/api/v1/initialize",
        headers={"Language-Title": "nodejs-broken"},
        json={"script_content": "const a = 1;\nreturn a +* 2;"},
    )
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "SCRIPT_SYNTAX_ERROR"
    assert (answer.json()["error"]["details"]["line"], answer.json()["error"]["details"]["column"]) == (2, 11)


async def test_a_failing_script_explains_itself_and_is_counted(api: Api) -> None:
    session_id = await api.initialize("python-failing", "print('so far')\nresult = 1 / params['by']")
    answer = await api.execute(session_id, by=0)
    assert answer.status_code == 422
    error = answer.json()["error"]
    assert error["code"] == "SCRIPT_ERROR"
    assert error["details"]["name"] == "ZeroDivisionError"
    assert (error["details"]["line"], error["details"]["stdout"]) == (2, "so far\n")
    assert (await api.session(session_id)).json()["execution_count"] == 1


async def test_a_script_that_never_ends_is_ended(api: Api) -> None:
    limits = {"timeout_ms": 300}
    session_id = await api.initialize("nodejs-endless", "while (true) {}", limits=limits)
    answer = await api.execute(session_id)
    assert answer.status_code == 504
    assert answer.json()["error"]["code"] == "EXECUTION_TIMEOUT"
    assert answer.json()["error"]["details"]["limit"] == 300


async def test_a_script_over_its_memory_is_ended(api: Api) -> None:
    session_id = await api.initialize("python-greedy", "result = len(bytearray(10**9))")
    answer = await api.execute(session_id)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "MEMORY_LIMIT")


async def test_a_script_has_no_network_and_no_files_of_the_host(api: Api) -> None:
    script = """
import os
def attempt(work):
    try:
        return repr(work())
    except OSError as error:
        return type(error).__name__
import socket
result = [attempt(lambda: open("/etc/passwd").read()), attempt(lambda: socket.socket()), dict(os.environ)]
"""
    assert await api.run("python-curious", script) == ["FileNotFoundError", "PermissionError", {}]
