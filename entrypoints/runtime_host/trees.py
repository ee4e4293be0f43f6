"""The packages of environments on a runtime host, which controllers send when a run needs them."""

import asyncio
import re
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Protocol

from attrs import define, field

from adapters.runtime_protocol import DIGEST_PATTERN, TREE_FACTS, TreeFacts
from domain.environments.tree import StoredTree
from domain.errors import RuntimeUnavailable
from domain.scripts.ports import ScriptRun
from entrypoints.http.errors import SlowBody
from entrypoints.http.request import ClientDisconnected, Request
from entrypoints.http.response import Response
from entrypoints.runtime_host.errors import MalformedRequest, PackagesBusy, PackagesNeeded
from entrypoints.runtime_host.messages import read_message

_DIGEST = re.compile(DIGEST_PATTERN)


class TreeReceiver(Protocol):
    """The trees of packages on this host."""

    async def has(self, digest: str) -> bool:
        """Return whether the tree is here and unchanged."""
        ...

    async def receive(self, tree: StoredTree, pieces: AsyncIterator[bytes]) -> None:
        """Store a tree whose packed bytes come in pieces; raises TreeUnavailable."""
        ...


@define(eq=False)
class HostedTrees:
    """Takes trees from controllers, each from one at a time. A controller may pause `stall_s` between two pieces."""

    _receiver: TreeReceiver | None
    _stall_s: float
    _receiving: set[str] = field(factory=set, init=False)

    async def require(self, run: ScriptRun) -> None:
        """Raise PackagesNeeded if this host lacks the packages of a run, RuntimeUnavailable if it takes none."""
        if run.environment is None:
            return
        if self._receiver is None:
            raise RuntimeUnavailable(run.language, "this host takes no packages of environments.")
        if not await self._receiver.has(run.environment.digest):
            raise PackagesNeeded

    async def find(self, request: Request) -> Response:
        """Say whether this host has a tree."""
        digest = _digest_of(request)
        if digest in self._receiving:
            raise PackagesBusy
        if self._receiver is None or not await self._receiver.has(digest):
            raise PackagesNeeded
        return Response(HTTPStatus.NO_CONTENT)

    async def take(self, request: Request) -> Response:
        """Receive a tree."""
        digest = _digest_of(request)
        facts = read_message(TreeFacts, (request.header(TREE_FACTS.encode()) or "").encode())
        if self._receiver is None:
            raise MalformedRequest("this host takes no packages of environments")
        if digest in self._receiving:
            raise PackagesBusy
        self._receiving.add(digest)
        try:
            tree = StoredTree(digest, facts.format, facts.size, facts.files, facts.packed_size)
            await self._receiver.receive(tree, self._pieces(request))
        finally:
            self._receiving.discard(digest)
        return Response(HTTPStatus.NO_CONTENT)

    async def _pieces(self, request: Request) -> AsyncIterator[bytes]:
        has_more = True
        while has_more:
            try:
                async with asyncio.timeout(self._stall_s):
                    message = await request.receive()
            except TimeoutError:
                raise SlowBody(self._stall_s) from None
            if message["type"] == "http.disconnect":
                raise ClientDisconnected
            has_more = message.get("more_body", False)
            yield bytes(message.get("body", b""))


def _digest_of(request: Request) -> str:
    digest: str = request.parameters["tree_digest"]
    if _DIGEST.fullmatch(digest) is None:
        raise MalformedRequest("a tree is named by 64 hexadecimal digits")
    return digest
