"""The use cases of environments: create, read, list and retire versions."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import ClassVar

from attrs import define, evolve, field, frozen

from domain.audit import Act, ActName, Actor
from domain.clock import Clock, IdGenerator
from domain.environments.environment import (
    DESCRIPTION_SIZE_MAX,
    NAME_PATTERN,
    OWNERS_MAX,
    PRELOADED_MAX,
    EnvironmentConflict,
    EnvironmentNotFound,
    EnvironmentVersion,
    StoredEnvironment,
    lock_of,
)
from domain.environments.lock import LockProblem, LockRefused
from domain.environments.ports import EnvironmentRepository
from domain.errors import Invalid, InvalidRequest, Problem, Unavailable
from domain.identity import Owner
from domain.scripts.language import Language

_ATTEMPTS_MAX = 5
_MODULE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}(?:\.[A-Za-z_][A-Za-z0-9_]{0,63}){0,7}")
_PACKAGE = re.compile(
    r"(?:@[a-z0-9][a-z0-9._~-]{0,100}/)?[A-Za-z0-9_][A-Za-z0-9._~-]{0,127}(?:/[A-Za-z0-9._~-]{1,64}){0,7}"
)
_PRELOADABLE = {Language.PYTHON: (_MODULE, "numpy.linalg"), Language.NODEJS: (_PACKAGE, "lodash or @scope/name")}


@frozen
class NewEnvironment:
    """What a caller wants as the next version of an environment. `lock` is the text as it was sent."""

    name: str
    language: Language
    lock: str = field(repr=False)
    preload: tuple[str, ...] = ()
    owners: tuple[Owner, ...] | None = None
    description: str = ""

    def problems(self) -> Iterator[Problem]:
        """Yield what is wrong with it, but for its lock."""
        if not re.fullmatch(NAME_PATTERN, self.name):
            yield Problem("/name", "must be 1 to 32 lower-case letters, digits and hyphens, and begin with a letter")
        if len(self.preload) > PRELOADED_MAX or len(set(self.preload)) < len(self.preload):
            yield Problem("/preload", f"must have at most {PRELOADED_MAX} names, and each once")
        form, example = _PRELOADABLE[self.language]
        for at, name in enumerate(self.preload):
            if not form.fullmatch(name) or ".." in name:
                yield Problem(f"/preload/{at}", f"must be what a script imports, such as {example}")
        if self.owners is not None and not 0 < len(self.owners) <= OWNERS_MAX:
            yield Problem("/owners", f"must have 1 to {OWNERS_MAX} owners; null stands for all of them")
        if len(self.description.encode()) > DESCRIPTION_SIZE_MAX:
            yield Problem("/description", f"must have at most {DESCRIPTION_SIZE_MAX} bytes")


@define(eq=False)
class InvalidLock(Invalid):
    """The lock of an environment is not accepted."""

    code: ClassVar[str] = "INVALID_LOCK"
    problems: Sequence[LockProblem]

    @property
    def message(self) -> str:
        found = "; ".join(f"line {problem.line}: {problem.message}" for problem in self.problems)
        return f"The lock is not accepted, so nothing was stored. Correct its lines, or make it anew. {found}"

    @property
    def details(self) -> Mapping[str, object]:
        return {
            "problems": [{"pointer": "/lock", "line": each.line, "message": each.message} for each in self.problems]
        }


@define(eq=False)
class BuildsUnavailable(Unavailable):
    """No host of this installation builds environments of this language."""

    code: ClassVar[str] = "RUNTIME_UNAVAILABLE"
    language: Language
    stored: str | None = "no"

    @property
    def message(self) -> str:
        return (
            f"Environments of {self.language} cannot be built, because no index of packages is set, so nothing was "
            f"stored. Set ENVIRONMENT_INDEX_{self.language.upper()} to the URL of one."
        )


@frozen
class EnvironmentService:
    """Creates, reads and retires versions. `built` are the languages for which there is an index.

    Every method may raise StorageUnavailable or Overloaded.
    """

    _clock: Clock
    _ids: IdGenerator
    _environments: EnvironmentRepository
    _built: frozenset[Language]
    _wake: Callable[[], None] = lambda: None
    """Lets the builder of this process look for work."""

    async def create(self, asked: NewEnvironment, actor: Actor) -> tuple[StoredEnvironment, bool]:
        """Store the next version, and return it with whether it is new.

        All versions of a name are for one language. If the newest one has the same content, it is returned; if its
        build has failed, it is built again. Raises InvalidRequest, InvalidLock, BuildsUnavailable, QuotaReached and
        EnvironmentConflict; then nothing was stored.
        """
        problems = tuple(asked.problems())
        if problems:
            raise InvalidRequest(problems)  # type: ignore[arg-type]  # attrs' plugin cannot type a generic converter
        try:
            lock = lock_of(asked.language, asked.lock)
        except LockRefused as error:
            raise InvalidLock(error.problems) from error
        if asked.language not in self._built:
            raise BuildsUnavailable(asked.language)
        return await self._create(evolve(asked, lock=lock.text), actor)

    async def _create(self, asked: NewEnvironment, actor: Actor) -> tuple[StoredEnvironment, bool]:
        for _ in range(_ATTEMPTS_MAX):
            newest = await self._newest(asked.name)
            _require_language(asked, newest)
            now = self._clock.now()
            number = 1 if newest is None else newest.version.version + 1
            version = EnvironmentVersion(
                asked.name, number, asked.language, asked.lock, asked.preload, asked.owners, asked.description, now,
                actor.name,
            )  # fmt: skip
            if newest is not None and newest.version.retired_at is None and newest.version.has_content_of(version):
                return await self._again(newest), False
            if await self._environments.add(version, Act(self._ids.new(now), actor, ActName.ENVIRONMENTS_CREATE)):
                self._wake()
                return StoredEnvironment(version), True
        raise EnvironmentConflict(asked.name)

    async def _again(self, stored: StoredEnvironment) -> StoredEnvironment:
        if stored.status != "failed":
            return stored
        await self._environments.forget_failures(stored.version.name, stored.version.version)
        self._wake()
        return await self._environments.get(stored.version.name, stored.version.version)

    async def _newest(self, name: str) -> StoredEnvironment | None:
        try:
            return await self._environments.get(name)
        except EnvironmentNotFound:
            return None

    async def get(self, name: str, version: int | None = None) -> StoredEnvironment:
        """Return a version, or the newest one; raises EnvironmentNotFound."""
        return await self._environments.get(name, version)

    async def versions(self, name: str | None = None) -> Sequence[StoredEnvironment]:
        """Return the versions of an environment, or of all, by name with the newest first."""
        return await self._environments.versions(name)

    async def retire(self, name: str, version: int, actor: Actor) -> None:
        """Let no further session use a version; sessions that have it keep it. Raises EnvironmentNotFound."""
        now = self._clock.now()
        act = Act(self._ids.new(now), actor, ActName.ENVIRONMENTS_RETIRE)
        await self._environments.retire(name, version, now, act)


def _require_language(asked: NewEnvironment, newest: StoredEnvironment | None) -> None:
    """Raise InvalidRequest if the versions of this name are for another language: sessions name no language."""
    if newest is not None and newest.version.language is not asked.language:
        problem = f"must be {newest.version.language}, as in {newest.version}; choose another name for {asked.language}"
        raise InvalidRequest((Problem("/language", problem),))  # type: ignore[arg-type]  # attrs' plugin cannot type a generic converter
