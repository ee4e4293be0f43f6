"""All looks at this machine, and at those that run scripts for it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from attrs import frozen

from entrypoints.cli.diagnosis import access, disk, scripts
from entrypoints.cli.diagnosis.check import Check, together
from entrypoints.cli.diagnosis.finding import Finding, ok
from entrypoints.settings.settings import Settings

if TYPE_CHECKING:
    from entrypoints.composition.commands import Commands, HostInspector

_SANDBOX_TIMEOUT_S = 40.0
"""The first time interpreters are copied, as root."""


async def examine_host(commands: "Commands") -> Sequence[Finding]:
    """Return what there is to be said."""
    return await together(HostChecks(commands.host_inspector(), commands.settings()).checks)


@frozen
class HostChecks:
    """Sees a part of the machine, and judges it."""

    _host: "HostInspector"
    _settings: Settings

    @property
    def checks(self) -> Sequence[Check]:
        """All looks, in the order to tell of them."""
        return [
            Check(access.SUBJECT, self._entrance),
            Check(scripts.SANDBOX, self._sandbox, _SANDBOX_TIMEOUT_S),
            Check(scripts.HOSTS, self._runtime_hosts),
            Check(disk.DISK, self._room),
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
        return disk.judge_host(disk.host_facts(self._settings), self._settings)
