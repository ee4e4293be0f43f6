"""The use cases of states from outside of executions: read, replace, change and remove."""

import asyncio
import json
from collections.abc import Callable
from functools import partial
from uuid import UUID

from attrs import define

from domain.clock import Clock, IdGenerator
from domain.identity import SessionRef
from domain.json_text import EMPTY_OBJECT, JsonText
from domain.sessions.ports import SessionRepository
from domain.sessions.session import UNCONDITIONAL, SessionCondition
from domain.states.limits import StateLimits
from domain.states.merging import merged, written
from domain.states.ports import StateRepository
from domain.states.slots import StateSlots
from domain.states.state import (
    SessionState,
    StateKeyNotFound,
    StateMismatch,
    StateNotFound,
    StateRefused,
    StateTaken,
)

Change = Callable[[JsonText], JsonText]


@define
class StateService:
    """Reads and writes states for callers.

    A write takes the turn of the session behind executions of this process, and waits as long as they do for one that
    runs elsewhere. Every method may raise StorageUnavailable or Overloaded, SessionNotFound, SessionExpired,
    SessionClosed and StateNotFound. A write raises StateTaken, StateMismatch and StateRefused; then nothing was stored.
    """

    _clock: Clock
    _ids: IdGenerator
    _sessions: SessionRepository
    _states: StateRepository
    _slots: StateSlots
    _limits: StateLimits

    async def get(self, ref: SessionRef, condition: SessionCondition = UNCONDITIONAL) -> SessionState:
        """Return the state as the last end of an execution, or the last write, has left it; raises StateMismatch."""
        ref = await self._require(ref)
        state = await self._states.read(ref, self._clock.now())
        _require_version(condition, state.version)
        return state

    async def get_key(self, ref: SessionRef, key: str, condition: SessionCondition = UNCONDITIONAL) -> SessionState:
        """Return the value of a key with the version of the state; raises StateMismatch and StateKeyNotFound."""
        state = await self.get(ref, condition)
        return SessionState(state.version, written(_member(state.text, key)))

    async def replace(
        self, ref: SessionRef, text: JsonText, condition: SessionCondition = UNCONDITIONAL
    ) -> SessionState:
        """Replace the whole state."""
        return await self._change(ref, lambda _: text, condition)

    async def merge(
        self, ref: SessionRef, patch: JsonText, condition: SessionCondition = UNCONDITIONAL
    ) -> SessionState:
        """Apply a merge patch (RFC 7396)."""
        return await self._change(ref, partial(_patched, patch=patch), condition)

    async def remove(self, ref: SessionRef, condition: SessionCondition = UNCONDITIONAL) -> SessionState:
        """Replace the state by an empty object."""
        return await self._change(ref, lambda _: EMPTY_OBJECT, condition)

    async def replace_key(
        self, ref: SessionRef, key: str, value: JsonText, condition: SessionCondition = UNCONDITIONAL
    ) -> SessionState:
        """Replace the value of one key."""
        return await self._change(ref, partial(_with_member, key=key, value=value), condition)

    async def remove_key(self, ref: SessionRef, key: str, condition: SessionCondition = UNCONDITIONAL) -> SessionState:
        """Remove one key; raises StateKeyNotFound."""
        return await self._change(ref, partial(_without_member, key=key), condition)

    async def _require(self, ref: SessionRef) -> SessionRef:
        """Return the session's ref with its own owner; raises unless it lives, and has a state."""
        session = await self._sessions.get(ref)
        session.require_live(self._clock.now())
        if session.grants is None or session.grants.state is None:
            raise StateNotFound
        return session.ref

    async def _change(self, ref: SessionRef, change: Change, condition: SessionCondition) -> SessionState:
        ref = await self._require(ref)
        loop, call_id = asyncio.get_running_loop(), self._ids.new(self._clock.now())
        ends_s = loop.time() + self._slots.wait_s
        async with self._slots.turn(ref.session_id, call_id, ends_s):
            running: UUID | None = None
            while running is None or loop.time() < ends_s:
                read = await self._states.read(ref, self._clock.now())
                _require_version(condition, read.version)
                running = read.writer
                if running is None:
                    text = self._checked(change(read.text))
                    version = await self._states.write(ref, read, text, self._clock.now())
                    if version is not None:
                        return SessionState(version, text)
                    running = call_id  # another process was faster
                await self._slots.pause()
            raise StateTaken(running)

    def _checked(self, text: JsonText) -> JsonText:
        fault = self._limits.fault(text)
        if fault is not None:
            raise StateRefused(fault)
        return text


def _require_version(condition: SessionCondition, version: int) -> None:
    """Raise StateMismatch unless the condition holds; a state that was never written does not exist for it."""
    is_matched = condition.matched is None or str(version) in condition.matched
    is_excluded = version > 0 if condition.excluded is None else str(version) in condition.excluded
    if not is_matched or is_excluded:
        raise StateMismatch(version)


def _patched(text: JsonText, patch: JsonText) -> JsonText:
    return merged(text, patch)


def _member(text: JsonText, key: str) -> object:
    state = json.loads(text)
    if key not in state:
        raise StateKeyNotFound(key)
    return state[key]


def _with_member(text: JsonText, key: str, value: JsonText) -> JsonText:
    return written(json.loads(text) | {key: json.loads(value)})


def _without_member(text: JsonText, key: str) -> JsonText:
    state = json.loads(text)
    if state.pop(key, state) is state:
        raise StateKeyNotFound(key)
    return written(state)
