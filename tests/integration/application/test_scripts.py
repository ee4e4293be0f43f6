"""Scripts really run, in both languages and in every form."""

import pytest

from tests.integration.application.conftest import NODEJS_HERE, ON_SHARED, Api

pytestmark = [pytest.mark.timeout(120), ON_SHARED]

SETTINGS = NODEJS_HERE

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
async def test_a_script_gives_its_result(shared: Api, title, script, params, result) -> None:
    assert await shared.run(title, script, **params) == result


async def test_a_failing_script_explains_itself_and_is_counted(shared: Api) -> None:
    session_id = await shared.initialize("python-failing", "print('so far')\nresult = 1 / params['by']")
    response = await shared.execute(session_id, by=0)
    assert response.status_code == 422
    error = response.json()["error"]
    assert error["code"] == "SCRIPT_ERROR"
    assert error["details"]["name"] == "ZeroDivisionError"
    assert (error["details"]["line"], error["details"]["stdout"]) == (2, "so far\n")
    assert (await shared.session(session_id)).json()["execution_count"] == 1
