"""The trial of packages before their tree is used: in a zygote of their own, and in a worker of it."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec
from attrs import frozen
from typing_extensions import override

from adapters.sandbox.equipment import Equipment
from adapters.sandbox.options import MIB
from adapters.sandbox.protocol.execution import LoadFacts, read_reply
from adapters.sandbox.protocol.replies import WorkerReply
from adapters.sandbox.runtime import LanguageRuntime
from adapters.sandbox.workers.channel import Ending, ProtocolBroken, encode_frame
from adapters.sandbox.workers.process import Exchange, WorkerProcess
from adapters.sandbox.zygote.launch import PreloadFailed
from adapters.sandbox.zygote.preload import PreloadCost
from adapters.sandbox.zygote.zygote_pool import ZygotePool
from domain.environments.ports import TreeTrial, TrialFacts, TrialFailed
from domain.scripts.language import Language

_TIMEOUT_S = 60.0
_SCRIPTS: Mapping[Language, bytes] = {
    Language.PYTHON: b"for name in params: __import__(name)\nresult = None",
    Language.NODEJS: b"for (const name of event.params) require(name);\nreturn null;",
}
_NO_COST = PreloadCost(0.0, 0, 0, 0)
_LOAD = {"op": "load", "nonce": ""}
_RUN = b'{"op":"run","nonce":"","result_size_max":1024}'
_REMEDY = "Leave what does that out of preload; scripts can import it all the same."


@frozen
class SandboxTreeTrial(TreeTrial):
    """Tries packages in the sandbox of this host, beside the workers of sessions."""

    _runtime: Callable[[Language], LanguageRuntime]
    """Raises RuntimeUnavailable."""
    _zygotes: ZygotePool

    @override
    async def trial(self, language: Language, tree: Path, preload: Sequence[str], memory_mb: int) -> TrialFacts:
        equipment = Equipment(tree=tree, preload=tuple(preload))
        try:
            worker = await self._runtime(language).start_equipped(equipment, None, memory_mb)
            await _require_kept(worker, language, preload)
            cost = self._zygotes.cost(equipment) or _NO_COST
        except PreloadFailed as error:
            raise TrialFailed(str(error)) from error
        finally:
            await self._zygotes.end(equipment, kills=True)
        sizes = (cost.private_bytes, cost.data_bytes, cost.mapped_bytes)
        return TrialFacts(cost.cpu_ms, *(size / MIB for size in sizes))


async def _require_kept(worker: WorkerProcess, language: Language, preload: Sequence[str]) -> None:
    """Import the packages in a worker too, and raise TrialFailed if no second script could run in it."""
    event = msgspec.json.encode({"params": preload, "context": {}, "request_id": ""})
    load = msgspec.json.encode({**_LOAD, **LoadFacts(worker.variables).members()})
    operations = encode_frame(load, _SCRIPTS[language]) + encode_frame(_RUN, event)
    exchange = await worker.exchange(operations, _TIMEOUT_S)
    stderr = worker.output.stderr.text()
    if exchange.ending is not Ending.REPLIED:
        end = exchange.ending.name.lower()
        raise TrialFailed(f"a worker that imports the packages ended ({end}). {stderr}".strip())
    reply = _reply(exchange)
    if reply.failure is not None:
        raise TrialFailed(f"a worker cannot import the packages: {reply.failure.name}: {reply.failure.message}")
    if not reply.reusable or worker.has_left_threads(exchange):
        raise TrialFailed(f"a worker that has imported the packages cannot run a second script. {_REMEDY}")


def _reply(exchange: Exchange) -> WorkerReply:
    assert exchange.frame is not None
    try:
        return read_reply(exchange.frame, "")
    except ProtocolBroken as error:
        raise TrialFailed(f"a package writes to the control channel of its worker: {error}") from error
