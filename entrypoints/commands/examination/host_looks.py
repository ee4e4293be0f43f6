"""All looks at this machine, and at those that run scripts for it."""

from collections.abc import Sequence

from attrs import frozen

from entrypoints.commands.examination import access, room, scripts
from entrypoints.commands.examination.check import Check, together
from entrypoints.commands.examination.finding import Finding, ok
from entrypoints.commands.examination.ports import HostExamination
from entrypoints.settings import Settings

_SANDBOX_TIMEOUT_S = 40.0
"""The first time interpreters are copied, as root."""


async def examine_host(host: HostExamination, settings: Settings) -> Sequence[Finding]:
    """Return what there is to be said."""
    return await together(HostLooks(host, settings).checks)


@frozen
class HostLooks:
    """Sees a part of the machine, and judges it."""

    _host: HostExamination
    _settings: Settings

    @property
    def checks(self) -> Sequence[Check]:
        """All looks, in the order to tell of them."""
        return [
            Check(access.SUBJECT, self._entrance),
            Check(scripts.SANDBOX, self._sandbox, _SANDBOX_TIMEOUT_S),
            Check(scripts.HOSTS, self._runtime_hosts),
            Check(room.DISK, self._room),
        ]

    async def _entrance(self) -> Sequence[Finding]:
        return access.judge_entrance(self._settings)

    async def _sandbox(self) -> Sequence[Finding]:
        facts = await self._host.sandbox()
        if facts is None:
            return [ok(scripts.SANDBOX, "every language runs on runtime hosts")]
        return scripts.judge_sandbox(facts)

    async def _runtime_hosts(self) -> Sequence[Finding]:
        return scripts.judge_runtime_hosts(await self._host.runtime_hosts())

    async def _room(self) -> Sequence[Finding]:
        return room.judge_host(await self._host.host(), self._settings)
