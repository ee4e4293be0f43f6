"""The rooms in which workers are started: one of each language at a time, replaced now and then."""

import asyncio
from collections.abc import Iterator

from attrs import define, field

from adapters.sandbox.isolation.control_group import ControlGroup
from adapters.sandbox.zygote.launch import LaunchFailed
from adapters.sandbox.zygote.sandbox_spec import SandboxSpec
from adapters.sandbox.zygote.zygote import Zygote
from domain.scripts.language import Language

ROOMS_MAX = 4
"""How many rooms a language may have: one that starts workers, others whose last workers still live."""
ROOM_MEMORY_MB = 64
"""What a room itself may take."""


@define(eq=False)
class ZygotePool:
    """Finds the room for the next worker. Replaced ones end with the last of their workers."""

    group: ControlGroup | None = None
    """Where every room is put, where there is one."""
    _current: dict[Language, Zygote] = field(factory=dict, init=False)
    _living: dict[Zygote, Language] = field(factory=dict, init=False)

    def room(self, blueprint: SandboxSpec) -> Zygote:
        """Return the room for the next worker, not ready yet where it is a new one; raises LaunchFailed."""
        try:
            return self._room(blueprint)
        except (OSError, KeyError) as error:
            raise LaunchFailed(f"its launcher cannot be started: {error}") from error

    async def close(self, grace_s: float) -> None:
        """End every room and wait, at most `grace_s`, until they have left the process table."""
        living = list(self._living)
        for room in living:
            room.close()
        if living:
            await asyncio.wait([room.gone for room in living], timeout=grace_s)

    def _room(self, blueprint: SandboxSpec) -> Zygote:
        language = blueprint.interpreter.language
        room = self._current.get(language)
        if room is None or not room.is_usable:
            return self._open(blueprint)
        is_worn = room.started >= blueprint.options.forks_max
        if is_worn and sum(1 for _ in self._rooms_of(language)) < ROOMS_MAX:
            room.retire()
            return self._open(blueprint)
        return room

    def _open(self, blueprint: SandboxSpec) -> Zygote:
        language = blueprint.interpreter.language
        room = Zygote.open(blueprint, self.group)
        self._current[language] = room
        self._living[room] = language
        room.gone.add_done_callback(lambda _: self._living.pop(room))
        return room

    def _rooms_of(self, language: Language) -> Iterator[Zygote]:
        return (room for room, of in self._living.items() if of is language)
