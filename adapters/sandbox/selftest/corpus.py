"""The attacks, as their files describe them."""

import re
from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path

from attrs import field, frozen
from typing_extensions import override

from domain.scripts.convention import Convention
from domain.scripts.language import Language
from domain.scripts.report import FailureCode

_FOLDER = Path(__file__).parents[1] / "attacks"
_ATTACK = re.compile(r"^### ", re.MULTILINE)
_STEP = re.compile(r"^---(?P<where> next execution| another session| later sessions)?\n", re.MULTILINE)
_TIMEOUT_MS = 10_000


class AttackState(StrEnum):
    """The state that the scripts of an attack have, if they have one: `always` is exclusive, and kept by failures."""

    EXCLUSIVE = "exclusive"
    SHARED = "shared"
    ALWAYS = "always"


@frozen
class AttackStep:
    """One execution of an attack, and whether it runs in another session than the steps before.

    A step of later sessions runs once in each of several: the workers of those before have ended, and new workers may
    be in what they have left.
    """

    source: str = field(repr=False)
    in_another_session: bool = False
    in_later_sessions: bool = False


@frozen
class Attack:
    """What an attack tries, what its success would be, and its scripts in their order.

    A script returns what it got. The attack succeeds if its last script returns anything but null. `ends` are the
    failures that may end it besides null. `trace` is a text that proves success in the output of the last script.
    `in_control` says that it is harmless outside a sandbox, and must succeed there. Its scripts are called by
    `convention`, and find hostile packages if it `has_packages`. With a `state`, each step finds the state that the
    step before in its session has left.
    """

    language: Language
    category: str
    name: str
    tries: str
    succeeds: str
    steps: Sequence[AttackStep]
    ends: frozenset[FailureCode]
    timeout_ms: int
    trace: str | None
    in_control: bool
    convention: Convention
    state: AttackState | None
    has_packages: bool = False

    @override
    def __str__(self) -> str:
        return f"{self.category}/{self.name} ({self.language})"


def load_attacks(languages: Sequence[Language] = tuple(Language)) -> Sequence[Attack]:
    """Return the attacks in these languages; raises OSError and ValueError if a file cannot be read."""
    preludes = {language: (_FOLDER / f"prelude.{language}").read_text(encoding="utf-8") for language in languages}
    found = [attack for path in sorted(_FOLDER.glob("*.attacks")) for attack in _attacks_in(path, preludes)]
    return tuple(found)


def _attacks_in(path: Path, preludes: dict[Language, str]) -> Iterator[Attack]:
    for block in _ATTACK.split(path.read_text(encoding="utf-8"))[1:]:
        title, _, rest = block.partition("\n")
        language, name = title.split()
        if Language(language) in preludes:
            yield read_attack(Language(language), path.stem, name, rest, preludes[Language(language)])


def read_attack(language: Language, category: str, name: str, text: str, prelude: str) -> Attack:
    """Return the attack of a text with its facts and its scripts; raises ValueError and KeyError."""
    parts = _STEP.split(text)
    facts = dict(line.split(": ", 1) for line in parts[0].splitlines())
    steps = [
        AttackStep(prelude + source, where == " another session", where == " later sessions")
        for where, source in zip(parts[1::2], parts[2::2], strict=True)
    ]
    attack = Attack(
        language=language,
        category=category,
        name=name,
        tries=facts.pop("tries"),
        succeeds=facts.pop("succeeds"),
        steps=steps,
        ends=frozenset(FailureCode(code) for code in facts.pop("ends", "").split()),
        timeout_ms=int(facts.pop("timeout", _TIMEOUT_MS)),
        trace=facts.pop("trace", None),
        in_control=facts.pop("control", "no") == "yes",
        convention=Convention(facts.pop("convention", Convention.OWN)),
        state=AttackState(facts.pop("state")) if "state" in facts else None,
        has_packages=facts.pop("packages", "no") == "yes",
    )
    if facts or not steps:
        raise ValueError(f"{attack} has unknown facts ({', '.join(facts)}), or no script")
    return attack
