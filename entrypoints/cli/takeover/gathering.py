"""Reading what the plan of a takeover is made of."""

import contextlib
import sys
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click
from attrs import evolve, frozen

from domain.errors import DomainError, Overloaded, RuntimeUnavailable
from domain.identity import ANONYMOUS
from domain.scripts.convention import Convention
from domain.scripts.examination import ScriptExaminer
from domain.scripts.language import Language
from domain.scripts.ports import ScriptRunner
from domain.scripts.script import Script, ScriptSyntaxError
from domain.takeover.census import Census, ScriptUse
from domain.takeover.fence import HIDDEN_BEFORE
from domain.takeover.inspection import FUNCTIONS, SCRIPTS, SessionHead, SourceCounts
from domain.takeover.plan import ClockDifference, GenerationEvidence, PlanFacts, ScriptSurvey, ScriptVerdict
from domain.takeover.ports import TakeoverStore
from domain.takeover.receiving import canonical_id
from domain.takeover.scripts import form_of
from domain.takeover.source import SourceAddress
from domain.takeover.source_session import Expired, TakeoverPolicy
from entrypoints.cli.storage import storage_report
from entrypoints.cli.takeover.options import SourceChoice
from entrypoints.cli.takeover.redis_keys import compared_keys
from entrypoints.cli.takeover.report_file import Note

if TYPE_CHECKING:
    from entrypoints.composition.commands import Commands
    from entrypoints.composition.takeover import OriginInspector

SCRIPTS_CHECKED_MAX = 2000
"""Different scripts that are checked, those of most sessions first: a check takes milliseconds."""

_PAGE = 50
_OWN_VERSION = 7
"""The version of the ids that this service makes."""


@frozen
class Gathering:
    """What the plan is read with."""

    commands: "Commands"
    source: SourceChoice
    policy: TakeoverPolicy
    disk: Path | None
    """A folder on the disk of this service's database, if that is here."""
    note: Note
    own: "Commands | None" = None
    """What opens the database of this service, if there is one."""
    is_dump: bool = False
    """Whether the Redis of the source has loaded a dump."""

    async def facts(self) -> PlanFacts:
        """Return everything that can be read; raises SourceUnavailable or SourceRefused without a connection."""
        async with AsyncExitStack() as stack:
            origin = await stack.enter_async_context(self.commands.origin_inspector(self.source.address))
            target = await self._target(stack)
            found = await self._first_facts(origin, target)
            if found.is_countable:
                found = await self._counted(found, origin)
                found = await self._with_cache(found)
        if found.census is not None and found.census.scripts:
            return evolve(found, scripts=await self._checked(found.census))
        return found

    async def _target(self, stack: AsyncExitStack) -> "OriginInspector | None":
        """Return what reads facts of this service's database; None if it has none yet."""
        url = self.commands.settings().database_url
        if url is None:
            return None
        address = SourceAddress(url.reveal())
        target: OriginInspector = await stack.enter_async_context(self.commands.origin_inspector(address))
        return target

    async def _first_facts(self, origin: "OriginInspector", target: "OriginInspector | None") -> PlanFacts:
        return PlanFacts(
            source=await origin.server(),
            target=None if target is None else await target.server(),
            schema=await origin.schema(),
            other_schemas=await origin.other_schemas(),
            clock=None if target is None else await clock_difference(origin, target),
            evidence=GenerationEvidence(version=await self._version()),
            chosen=self.source.generation,
            dump_command=origin.dump_command,
            timezone=self.source.address.timezone,
            room_bytes=None if target is None else await self._room(),
        )

    async def _room(self) -> int | None:
        """Return what may still be stored; None if nothing limits it, or the database is not migrated yet."""
        try:
            report = await storage_report(self.commands, self.disk)
        except (DomainError, RuntimeError):
            return None
        budget, free = report.budget_bytes, report.disk_free_bytes
        limits = [] if budget is None else [budget - report.facts.stored.size_bytes]
        return min([*limits, *([] if free is None else [free])], default=None)

    async def _version(self) -> str | None:
        url = self.commands.settings().origin_url
        return None if url is None else await self.commands.origin_version(url)

    async def _counted(self, found: PlanFacts, origin: "OriginInspector") -> PlanFacts:
        now = await origin.now()
        counts = await origin.counts(now - self.policy.retention)
        census = Census(self.policy, now)
        with click.progressbar(length=_expected(found, counts, self.policy), label="Counting", file=sys.stderr) as bar:
            async with self._store() as store:
                async for page in origin.heads(self.policy.expired_after(now) or HIDDEN_BEFORE):
                    for line in census.add(page, await _made_here(store, page)):
                        self.note(line)
                    bar.update(len(page))
        has_functions = {FUNCTIONS, SCRIPTS} <= {
            name for name, table in found.schema.tables.items() if table.can_select
        }
        return evolve(
            found,
            counts=counts,
            census=census,
            speed=await origin.read_speed(),
            evidence=evolve(found.evidence, written_by_older=await origin.written_by_older()),
            functions=await origin.functions() if has_functions else (),
            logs=await origin.logs(),
        )

    @contextlib.asynccontextmanager
    async def _store(self) -> AsyncIterator[TakeoverStore | None]:
        """Yield what knows the sessions that were made here; None without a database, or before its migrations."""
        async with AsyncExitStack() as stack:
            store = None
            if self.own is not None:
                with contextlib.suppress(DomainError, RuntimeError):
                    await stack.enter_async_context(self.own.database_access().opened())
                    store = self.own.takeover_parts().store
            yield store

    async def _with_cache(self, found: PlanFacts) -> PlanFacts:
        """Compare the keys of Redis with their rows, if there is a Redis."""
        expected = found.counts.live if found.counts else 0
        census = await compared_keys(self.commands, self.source.address, expected, self.note, is_dump=self.is_dump)
        if census is None:
            return found
        keys = census.keys if census.are_limited else 0
        return evolve(found, cache=census, evidence=evolve(found.evidence, redis_keys=keys))

    async def _checked(self, census: Census) -> ScriptSurvey:
        """Check the scripts of most sessions in the sandbox, where they are parsed and examined, and never run."""
        wanted = list(census.most_used_scripts(SCRIPTS_CHECKED_MAX).values())
        verdicts: list[ScriptVerdict] = []
        async with AsyncExitStack() as stack:
            origin = await stack.enter_async_context(self.commands.origin_inspector(self.source.address))
            check = ScriptCheck(
                await stack.enter_async_context(self.commands.script_runners()),
                await stack.enter_async_context(self.commands.script_examiner()),
            )
            bar = stack.enter_context(click.progressbar(length=len(wanted), label="Checking scripts", file=sys.stderr))
            for start in range(0, len(wanted), _PAGE):
                page = wanted[start : start + _PAGE]
                sources = await origin.scripts([use.sample_id for use in page])
                verdicts += await check.verdicts(page, sources)
                bar.update(len(page))
        counted = sum(verdict.sessions for verdict in verdicts)
        listed = sum(use.sessions for use in census.scripts.values())
        return ScriptSurvey(verdicts, listed - counted + census.other_scripts)


def _expected(found: PlanFacts, counts: SourceCounts, policy: TakeoverPolicy) -> int:
    ended = {Expired.NONE: 0, Expired.RETAINED: counts.retained}
    table = found.schema.sessions
    return counts.live + ended.get(policy.expired, 0 if table is None else table.rows_estimated)


async def _made_here(store: TakeoverStore | None, heads: Sequence[SessionHead]) -> Collection[str]:
    """Return those of these ids that sessions made here have."""
    known = [canonical_id(head.row.request_id) for head in heads]
    ids = [each for each in known if each is not None and each.version == _OWN_VERSION]
    return {str(each) for each in await store.made_here(ids)} if store is not None and ids else ()


async def clock_difference(origin: "OriginInspector", target: "OriginInspector") -> ClockDifference:
    """Return how far the clock of the origin's database is ahead of that of this service's."""
    (there, there_error), (here, here_error) = await origin.clock_offset(), await target.clock_offset()
    return ClockDifference(there - here, there_error + here_error)


@frozen
class ScriptCheck:
    """Parses and examines scripts."""

    runners: Mapping[Language, ScriptRunner]
    examiner: ScriptExaminer

    async def verdicts(self, uses: Sequence[ScriptUse], sources: Mapping[str, str]) -> Sequence[ScriptVerdict]:
        """Return the verdicts on scripts, whose sources are named by id; one that has gone meanwhile is left out."""
        there = [use for use in uses if use.sample_id in sources]
        codes = await self._codes(there, sources)
        return [await self._verdict(use, sources[use.sample_id], codes[use.sample_id]) for use in there]

    async def _codes(self, uses: Sequence[ScriptUse], sources: Mapping[str, str]) -> Mapping[str, Sequence[str]]:
        """Return the codes of the findings about each script; none where the sandbox does not examine it."""
        found: dict[str, Sequence[str]] = {use.sample_id: () for use in uses}
        for language in Language:
            ids = [use.sample_id for use in uses if use.language is language]
            with contextlib.suppress(RuntimeUnavailable):
                for sample_id, findings in zip(
                    ids, await self.examiner.examine(language, [sources[each] for each in ids]), strict=True
                ):
                    found[sample_id] = sorted({finding.code for finding in findings or ()})
        return found

    async def _verdict(self, use: ScriptUse, source: str, codes: Sequence[str]) -> ScriptVerdict:
        checked, fault = await self._checked(use.language, source)
        return ScriptVerdict(
            language=use.language,
            digest=use.digest,
            sessions=use.sessions,
            size_bytes=use.size_bytes,
            form=form_of(use.language, source),
            codes=codes,
            fault=fault,
            checked=checked,
        )

    async def _checked(self, language: Language, source: str) -> tuple[bool, str | None]:
        """Return whether the script was parsed, and why it does not parse."""
        runner = self.runners.get(language)
        if runner is None:
            return False, None
        try:
            form = await runner.check(language, Script.of(source, sys.maxsize), ANONYMOUS, Convention.ORIGIN)
        except ScriptSyntaxError as error:
            return True, error.fault.message
        except (Overloaded, RuntimeUnavailable):
            return False, None
        return form is not None, None
