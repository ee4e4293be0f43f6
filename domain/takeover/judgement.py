"""How recorded calls end in the sandbox, compared with their ends at the origin."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from uuid import UUID

from attrs import field, frozen

from domain.scripts.convention import Convention
from domain.scripts.language import Language
from domain.takeover.comparison import Note

REHEARSED = (Convention.ORIGIN, Convention.OWN)
"""The conventions under which each call is run: that of taken sessions, and that of the own API."""


class CallVerdict(StrEnum):
    """How an execution ended here.

    SAME: with the JSON value of the origin, or with a failure on both sides. DIFFERS: with another value. FAILS: with a
    failure, where the origin returned a value. WORKS: with a value, where the origin failed. VARIES: two executions
    here ended differently, so the script shows the time, chance or the like. SKIPPED: it could not be run.
    """

    SAME = "same"
    DIFFERS = "differs"
    FAILS = "fails"
    WORKS = "works"
    VARIES = "varies"
    SKIPPED = "skipped"


@frozen
class Answer:
    """How one execution ended here. `error` is the code of the failure, with the name of the script's error."""

    verdict: CallVerdict
    pointer: str | None = None
    error: str | None = None
    notes: frozenset[Note] = frozenset()

    def facts(self) -> dict[str, object]:
        """Return it as JSON has it."""
        return {"verdict": self.verdict, "pointer": self.pointer, "error": self.error, "notes": sorted(self.notes)}


@frozen
class Judgement:
    """How a recorded call ended here under each convention; it has nothing of the payload but sizes and a pointer.

    `codes` are those of what the examination of the script found (docs/conventions.md).
    """

    call_id: UUID
    session_id: UUID
    language: Language
    script_hash: str
    params_bytes: int
    result_bytes: int | None
    answers: Mapping[Convention, Answer]
    codes: Sequence[str] = ()

    @property
    def is_skipped(self) -> bool:
        """Whether it could not be run under each convention."""
        return any(answer.verdict is CallVerdict.SKIPPED for answer in self.answers.values())


_CODES: Mapping[tuple[Convention, CallVerdict], frozenset[str]] = {
    (Convention.ORIGIN, CallVerdict.DIFFERS): frozenset({"P5", "P7", "P9", "N1", "N3"}),
    (Convention.ORIGIN, CallVerdict.FAILS): frozenset({"P4-missing", "P5", "P7", "P8", "P9", "N1", "N5"}),
    (Convention.ORIGIN, CallVerdict.WORKS): frozenset({"E1"}),
    (Convention.ORIGIN, CallVerdict.VARIES): frozenset({"P7", "P9"}),
    (Convention.OWN, CallVerdict.DIFFERS): frozenset({"P1", "P2", "P3", "P7", "P9", "N1", "N3", "E1"}),
    (Convention.OWN, CallVerdict.FAILS): frozenset(
        {"P1", "P2", "P3", "P4", "P4-missing", "P5", "P7", "P8", "P9", "N1", "N2", "N5"}
    ),
    (Convention.OWN, CallVerdict.WORKS): frozenset({"P1", "P3", "E1"}),
    (Convention.OWN, CallVerdict.VARIES): frozenset({"P7", "P9"}),
}
"""The findings about a script that can explain how its executions end here."""


def explaining(convention: Convention, verdict: CallVerdict, codes: Iterable[str]) -> Sequence[str]:
    """Return those of the codes that can explain a verdict, in their order."""
    return sorted(_CODES.get((convention, verdict), frozenset()) & set(codes))


@frozen
class ScriptJudgement:
    """How the calls of one script ended here: verdicts by convention, why, and where results differ or what failed."""

    language: Language
    script_hash: str
    calls: int
    verdicts: Mapping[Convention, Mapping[CallVerdict, int]]
    codes: Mapping[Convention, Sequence[str]]
    locations: Mapping[Convention, Sequence[str]]
    notes: Sequence[Note]

    @property
    def is_same(self) -> bool:
        """Whether no call under the convention of taken sessions differs or fails."""
        found = self.verdicts[Convention.ORIGIN]
        return not found.get(CallVerdict.DIFFERS) and not found.get(CallVerdict.FAILS)


@frozen
class JudgedScripts:
    """Groups judgements by script, as they come."""

    _groups: dict[tuple[Language, str], list[Judgement]] = field(factory=dict, init=False)

    def add(self, judgement: Judgement) -> None:
        """Add how one call ended."""
        self._groups.setdefault((judgement.language, judgement.script_hash), []).append(judgement)

    def scripts(self) -> Sequence[ScriptJudgement]:
        """Return the scripts, first those of which calls differ or fail, then those of most calls."""
        found = [_script(group) for group in self._groups.values()]
        return sorted(found, key=lambda each: (each.is_same, -each.calls, each.script_hash))


_LOCATIONS_MAX = 3


def _script(group: Sequence[Judgement]) -> ScriptJudgement:
    first = group[0]
    verdicts = {convention: Counter(each.answers[convention].verdict for each in group) for convention in REHEARSED}
    return ScriptJudgement(
        language=first.language,
        script_hash=first.script_hash,
        calls=len(group),
        verdicts=verdicts,
        codes={
            convention: sorted({code for verdict in found for code in explaining(convention, verdict, first.codes)})
            for convention, found in verdicts.items()
        },
        locations={convention: _locations(each.answers[convention] for each in group) for convention in REHEARSED},
        notes=sorted({note for each in group for answer in each.answers.values() for note in answer.notes}),
    )


def _locations(answers: Iterable[Answer]) -> Sequence[str]:
    """Return the most frequent errors and locations of differences."""
    told = Counter(location for answer in answers if (location := location_of(answer)) is not None)
    return [location for location, _ in told.most_common(_LOCATIONS_MAX)]


def location_of(answer: Answer) -> str | None:
    """Return the error of an answer, or the location where it differs; None if there is neither."""
    if answer.error is not None:
        return answer.error
    return None if answer.pointer is None else f"at {answer.pointer or '(the whole result)'}"
