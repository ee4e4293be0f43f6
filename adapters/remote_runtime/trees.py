"""Packages for one runtime host: sent when it asks for them, each tree once at a time."""

import asyncio
from collections.abc import AsyncIterator

import msgspec
from attrs import define, field

from adapters.remote_runtime.connection import HostConnection, HostReply, HostSilent, HostUnreached, ReplyTooLarge
from adapters.remote_runtime.replies import RunRefused, refusal_of
from adapters.runtime_protocol import TREE_FACTS, TreeFacts
from domain.environments.ports import TreeStore
from domain.environments.tree import StoredTree
from domain.errors import DomainError

_SEND_S = 120.0
_ASK_EVERY_S = 0.25
_NO_CONTENT, _NOT_FOUND, _CONFLICT = 204, 404, 409
_REPLY_SIZE_MAX = 262_144


class TreeGone(Exception):
    """The tree was removed from the database while it was sent."""


@define(eq=False)
class HostTrees:
    """Sends trees of packages to one host. A transfer continues when the run that needs it no longer waits."""

    _connection: HostConnection
    _sending: "dict[str, asyncio.Task[None]]" = field(factory=dict, init=False)

    async def send(self, digest: str, store: TreeStore | None, ends_at: float) -> None:
        """Wait until the host has the tree, until `ends_at` in the loop's time; raises RunRefused."""
        if store is None:
            raise RunRefused("it needs packages, and this controller has none")
        sending = self._sending.get(digest)
        if sending is None:
            sending = asyncio.get_running_loop().create_task(self._send(digest, store))
            self._sending[digest] = sending
            sending.add_done_callback(lambda done: self._forget(digest, done))
        try:
            async with asyncio.timeout_at(ends_at):
                await asyncio.shield(sending)
        except TimeoutError:
            raise RunRefused("it is still being sent the packages of the environment. Repeat the call.") from None

    async def close(self) -> None:
        """End every transfer."""
        for sending in list(self._sending.values()):
            sending.cancel()
        await asyncio.gather(*self._sending.values(), return_exceptions=True)

    def _forget(self, digest: str, done: "asyncio.Task[None]") -> None:
        del self._sending[digest]
        if not done.cancelled():
            done.exception()  # its runs may have left

    async def _send(self, digest: str, store: TreeStore) -> None:
        ends_at = asyncio.get_running_loop().time() + _SEND_S
        try:
            tree = await store.get(digest)
            if tree is None:
                raise RunRefused("no database has the packages that it needs. Build the environment again.")
            reply = await self._asked(digest, ends_at)
            if reply.status == _NOT_FOUND:
                reply = await self._put(tree, store, ends_at)
        except (DomainError, HostUnreached, HostSilent, ReplyTooLarge, TreeGone) as error:
            raise RunRefused(f"it could not be sent the packages of the environment: {error}") from error
        if reply.status != _NO_CONTENT:
            raise RunRefused(f"it did not take the packages of the environment: {refusal_of(reply)}")

    async def _asked(self, digest: str, ends_at: float) -> HostReply:
        """Return whether the host has the tree, once no other controller sends it."""
        while True:
            reply = await self._connection.get(_path(digest), ends_at, _REPLY_SIZE_MAX)
            if reply.status != _CONFLICT:
                return reply
            await asyncio.sleep(_ASK_EVERY_S)

    async def _put(self, tree: StoredTree, store: TreeStore, ends_at: float) -> HostReply:
        facts = TreeFacts(tree.format, tree.size, tree.files, tree.packed_size)
        headers = {TREE_FACTS: msgspec.json.encode(facts).decode(), "Content-Length": str(tree.packed_size)}
        return await self._connection.put(_path(tree.digest), _chunks(tree, store), headers, ends_at)


def _path(digest: str) -> str:
    return f"/trees/{digest}"


async def _chunks(tree: StoredTree, store: TreeStore) -> AsyncIterator[bytes]:
    for seq in range(tree.chunks):
        content = await store.read(tree.digest, seq)
        if content is None:
            raise TreeGone("they were removed from the database meanwhile")
        yield content
