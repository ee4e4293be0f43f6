"""The guard of a process that does not know the nodes of its database."""

from types import SimpleNamespace

import pytest

from entrypoints.http.app import Hooks
from entrypoints.http.middleware.requests import NodesGuard
from tests.unit.http.world import Exchange, World


@pytest.mark.parametrize(
    ("is_divided", "path", "status"),
    [
        (False, b"/api/v1/sessions", 200),
        (True, b"/api/v1/sessions", 503),
        (True, b"/livez", 200),
        (True, b"/metrics", 200),
    ],
)
async def test_calls_are_refused_once_there_are_nodes_and_the_state_of_the_process_is_shown(
    log_lines, is_divided, path, status
):
    world = World.of(hooks=Hooks(guards=(NodesGuard(SimpleNamespace(are_there=is_divided)),)))
    reply = await Exchange(world.app, "GET", path.decode(), []).run()
    assert reply.status == status
    if status == 503:
        assert reply.json()["error"]["details"]["reason"] == "nodes_unknown"
