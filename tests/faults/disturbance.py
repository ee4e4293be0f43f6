"""Faults in random order, of the network, the server and the controllers."""

import asyncio
from collections import Counter

from tests.faults.proxy import Mode


async def disturb(chance, server, proxies, controllers, lasting_s):
    """Bring about one fault after the other for that long, until the last one ends; return how many of each kind."""
    loop, done = asyncio.get_running_loop(), Counter()
    until_s = loop.time() + lasting_s

    async def proxied(proxy, mode, lasting_s, hold_s=0.0):
        proxy.mode, proxy.hold_s = mode, hold_s
        await asyncio.sleep(lasting_s)
        proxy.mode, proxy.hold_s = Mode.PASS, 0.0

    async def killed(controller):
        controller.kill()
        await asyncio.sleep(0.2)
        controller.start()

    async def restarted():
        server.kill()
        await asyncio.to_thread(server.start)

    while loop.time() < until_s:
        at = chance.randrange(2)
        name, fault = chance.choice(
            [
                ("reset", lambda at=at: proxied(proxies[at], Mode.RESET, 0.4)),
                ("cut", lambda at=at: proxied(proxies[at], Mode.CUT, 0.4, hold_s=0.1)),
                ("silent", lambda at=at: proxied(proxies[at], Mode.SILENT, 0.6)),
                ("slow", lambda at=at: proxied(proxies[at], Mode.PASS, 0.6, hold_s=0.2)),
                ("controller killed", lambda at=at: killed(controllers[at])),
                ("controller killed", lambda at=at: killed(controllers[at])),
                ("server killed", restarted),
            ]
        )
        done[name] += 1
        await fault()
        await asyncio.sleep(chance.uniform(0.2, 0.8))
    return done
