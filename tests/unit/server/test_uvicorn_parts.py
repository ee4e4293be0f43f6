"""The private and public parts of uvicorn that the server subclasses, copies or reads.

uvicorn does not promise them, so pyproject.toml admits one minor version only. To admit a newer one, raise the range,
compare each part that fails here with its use, and record its new state.
"""

import ast
import asyncio
import hashlib
import importlib.metadata
import inspect
import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from packaging.requirements import Requirement
from packaging.version import Version
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

ROOT = Path(__file__).parents[3]
SERVER = ROOT / "entrypoints/server"
INSTALLED = Version(importlib.metadata.version("uvicorn"))

SIGNATURES = {
    "HttpToolsProtocol": ["self", "config", "server_state", "app_state", "_loop"],
    "HttpToolsProtocol._start_asgi_task": ["self", "cycle", "app"],
    "HttpToolsProtocol.connection_lost": ["self", "exc"],
    "HttpToolsProtocol.connection_made": ["self", "transport"],
    "HttpToolsProtocol.data_received": ["self", "data"],
    "HttpToolsProtocol.eof_received": ["self"],
    "HttpToolsProtocol.on_body": ["self", "body"],
    "HttpToolsProtocol.on_headers_complete": ["self"],
    "HttpToolsProtocol.on_message_complete": ["self"],
    "HttpToolsProtocol.on_response_complete": ["self"],
    "HttpToolsProtocol.pause_writing": ["self"],
    "HttpToolsProtocol.resume_writing": ["self"],
    "HttpToolsProtocol.timeout_keep_alive_handler": ["self"],
    "Server.capture_signals": ["self"],
    "Server.on_tick": ["self", "counter"],
    "Server.serve": ["self", "sockets"],
    "Server.shutdown": ["self", "sockets"],
    "Server.startup": ["self", "sockets"],
}
"""The parameters of overridden and called functions."""

BODIES = {
    "HttpToolsProtocol._start_asgi_task": "c83834dcd630",
    "HttpToolsProtocol.connection_lost": "b6190e3b90da",
    "HttpToolsProtocol.data_received": "b4f9892d120d",
    "HttpToolsProtocol.on_headers_complete": "a07c741b49ed",
    "HttpToolsProtocol.on_message_begin": "670f705d0634",
    "HttpToolsProtocol.on_response_complete": "3523c1f779a9",
    "HttpToolsProtocol.shutdown": "4c59c260b3d5",
    "HttpToolsProtocol.timeout_keep_alive_handler": "2a83d68a0d0c",
    "RequestResponseCycle.receive": "7e707359ab74",
    "RequestResponseCycle.run_asgi": "7dc16963140d",
    "RequestResponseCycle.send": "10080fe62f31",
    "Server.main_loop": "cf516f50eedb",
    "Server.shutdown": "edef3393ff8f",
    "Server.startup": "fef3f3d79075",
}
"""Digests of what our code repeats (`on_response_complete`, `send`, `main_loop`) or fits into (the others)."""

READ = {
    "connection": {
        "cycle",
        "flow",
        "headers",
        "loop",
        "parser",
        "pipeline",
        "scope",
        "server_state",
        "timeout_keep_alive",
        "transport",
        "url",
    },
    "cycle": {
        *("default_headers", "disconnected", "flow", "keep_alive", "message_event", "on_response", "response_complete"),
        *("response_started", "scope", "transport", "waiting_for_100_continue"),
    },
}
"""Attributes of a connection and of a cycle that our code reads or sets."""


def named(name: str) -> Any:
    """Return a class or member of uvicorn, or None."""
    found: Any = {"HttpToolsProtocol": HttpToolsProtocol, "RequestResponseCycle": RequestResponseCycle}.get(
        name.partition(".")[0], uvicorn.Server
    )
    return getattr(found, name.partition(".")[2], None) if "." in name else found


def advice(part: str) -> str:
    return (
        f"uvicorn {INSTALLED}: {part} is not what entrypoints/server relies on. Compare it with its use there, adapt "
        "the use, and record the new state in this test."
    )


def digest(function: Callable[..., Any]) -> str:
    """Return a digest of a function's code without comments and line breaks; the same in all versions of Python."""
    code = re.sub(r"\s+#.*", "", inspect.getsource(function))
    return hashlib.sha256(re.sub(r"\s+", " ", code).strip().encode()).hexdigest()[:12]


class Sent(asyncio.Transport):
    """A transport that keeps the written bytes."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = b""

    def write(self, data: Any) -> None:
        self.sent += data

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


@pytest.fixture
async def connection() -> Any:
    """Return a connection of uvicorn itself, with one request in flight and one behind it."""

    async def app(_scope: Any, receive: Any, _send: Any) -> None:
        await receive()
        await asyncio.get_running_loop().create_future()

    config = uvicorn.Config(app, log_config=None, access_log=False)
    made = HttpToolsProtocol(config=config, server_state=ServerState(), app_state={})
    made.connection_made(Sent())
    made.data_received(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 2)
    yield made
    for task in made.tasks:
        task.cancel()


def test_pyproject_admits_the_installed_minor_version_only():
    dependencies = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    (range_,) = [each.specifier for each in map(Requirement, dependencies) if each.name == "uvicorn"]
    major, minor = INSTALLED.major, INSTALLED.minor
    assert f"{major}.{minor}.0" in range_, f"{range_} leaves out uvicorn {major}.{minor}, which is installed and tested"
    assert INSTALLED in range_
    for other in (f"{major}.{minor - 1}.99", f"{major}.{minor + 1}.0", f"{major + 1}.0.0"):
        assert other not in range_, f"{range_} admits uvicorn {other}, whose private parts no test has seen"


@pytest.mark.parametrize("part", SIGNATURES)
def test_overridden_and_called_functions_have_the_same_parameters(part):
    assert named(part) is not None, advice(part)
    assert (
        list(inspect.signature(named(part) if "." in part else named(part).__init__).parameters) == SIGNATURES[part]
    ), advice(part)


@pytest.mark.parametrize("part", BODIES)
def test_replaced_and_repeated_functions_have_the_same_code(part):
    assert named(part) is not None, advice(part)
    assert digest(named(part)) == BODIES[part], advice(part)


async def test_connections_and_cycles_have_the_attributes_that_are_read(connection):
    assert {name for name in READ["connection"] if not hasattr(connection, name)} == set(), advice("HttpToolsProtocol")
    assert {name for name in READ["cycle"] if not hasattr(connection.cycle, name)} == set(), advice(
        "RequestResponseCycle"
    )
    assert connection.flow.write_paused is False, advice("FlowControl.write_paused")


async def test_pipelined_requests_wait_with_their_application(connection):
    ((cycle, app),) = connection.pipeline
    assert cycle is connection.cycle, advice("HttpToolsProtocol.pipeline")
    assert callable(app), advice("HttpToolsProtocol.pipeline")
    assert cycle.on_response == connection.on_response_complete, advice("RequestResponseCycle.on_response")


def test_a_server_has_the_attributes_that_are_read():
    server = uvicorn.Server(uvicorn.Config(lambda: None, log_config=None))
    assert (server.should_exit, server.server_state.total_requests) == (False, 0), advice("Server")
    assert (server.server_state.connections, server.server_state.tasks) == (set(), set()), advice("ServerState")
    assert hasattr(server.config, "timeout_graceful_shutdown"), advice("Config.timeout_graceful_shutdown")


def test_status_lines_are_complete_lines_by_number():
    assert STATUS_LINE[404] == b"HTTP/1.1 404 Not Found\r\n", advice("STATUS_LINE")
    assert set(STATUS_LINE) >= set(range(100, 600)), advice("STATUS_LINE")


def test_these_lists_are_complete():
    """The lists above name all that our classes use of uvicorn."""
    connection, *others = ((SERVER / name).read_text() for name in ("connection.py", "writing.py", "relay.py"))
    (ours,) = [each for each in ast.parse(connection).body if isinstance(each, ast.ClassDef)]
    own = {each.name for each in ours.body if isinstance(each, ast.FunctionDef)}
    own |= {
        each.target.id for each in ours.body if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name)
    }
    inherited = {name for name in attributes(ours, "self") - own if not name.startswith("_")}
    assert inherited == READ["connection"]
    cycles = {name for each in (connection, *others) for name in attributes(ast.parse(each), "cycle")}
    assert cycles | {"scope", "transport"} == READ["cycle"]
    overridden = {f"HttpToolsProtocol.{name}" for name in own if hasattr(HttpToolsProtocol, name)} - {
        "HttpToolsProtocol.__init__"
    }
    assert overridden == {each for each in SIGNATURES if each.startswith("HttpToolsProtocol.")}


def attributes(tree: ast.AST, of: str) -> set[str]:
    """Return the attributes of what has this name in a piece of code."""

    def found() -> Iterator[str]:
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == of:
                yield node.attr

    return set(found())
