"""The lifespan of the application, and protocols other than HTTP."""

from entrypoints.http.app import Hooks
from tests.unit.http.world import World


async def test_startup_and_shutdown_are_awaited_in_the_lifespan():
    done = []

    async def startup():
        done.append("startup")

    async def shutdown():
        done.append("shutdown")

    world = World.of(hooks=Hooks(startup, shutdown))
    sent = await lifespan(world.app)
    assert done == ["startup", "shutdown"]
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert await lifespan(World.of().app) == sent


async def test_protocols_other_than_http_are_closed(world):
    sent = []

    async def receive():
        return {"type": "websocket.connect"}

    async def send(message):
        sent.append(message["type"])

    await world.app({"type": "websocket", "path": "/", "headers": [], "subprotocols": []}, receive, send)
    assert sent == ["websocket.close"]


async def lifespan(app):
    messages, sent = iter(["lifespan.startup", "lifespan.shutdown"]), []

    async def receive():
        return {"type": next(messages)}

    async def send(message):
        sent.append(message["type"])

    await app({"type": "lifespan", "state": {}}, receive, send)
    return sent
