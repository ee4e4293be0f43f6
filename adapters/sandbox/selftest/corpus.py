"""The attacks, as their files describe them."""

import re
from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path

from attrs import field, frozen
from typing_extensions import override

from domain.egress.traffic import RefusalReason
from domain.scripts.convention import Convention
from domain.scripts.language import Language
from domain.scripts.report import FailureCode
from domain.scripts.syntax import Syntax

_FOLDER = Path(__file__).parents[1] / "attacks"
_MODULE_PRELUDE = _FOLDER / "prelude.module"
_ATTACK = re.compile(r"^### ", re.MULTILINE)
_STEP = re.compile(r"^---(?P<where> next execution| another session| later sessions)?\n", re.MULTILINE)
_TIMEOUT_MS = 10_000


class AttackState(StrEnum):
    """The state that the scripts of an attack have, if they have one.

    `always` is exclusive, and kept by failures. `repl` is exclusive, and its keys are the names of the scripts.
    """

    EXCLUSIVE = "exclusive"
    SHARED = "shared"
    ALWAYS = "always"
    REPL = "repl"


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
    `convention` and written in `syntax`, and find hostile packages if it `has_packages`. If it `has_secrets`, those of
    its first session find some. With a `state`, each step finds the state that the step before in its session has left.
    If it `has_files`, each step finds below /files/in what the step before in its session has left below /files/out.

    `network` are the rules of its session, in which `{target}` is a host of its own at the addresses `resolves`, and
    other names are those of TrialHosts. One of its connections must be `refused` for this reason, or it has tried
    nothing.
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
    state: AttackState | None = None
    has_packages: bool = False
    syntax: Syntax | None = None
    has_secrets: bool = False
    has_files: bool = False
    network: Sequence[str] = ()
    resolves: Sequence[str] = ()
    refused: RefusalReason | None = None

    @property
    def target(self) -> str:
        """The name of the host of its own."""
        return f"{self.name}.{self.language}.test"

    @override
    def __str__(self) -> str:
        return f"{self.category}/{self.name} ({self.language})"


def load_attacks(languages: Sequence[Language] = tuple(Language), only: Sequence[str] = ()) -> Sequence[Attack]:
    """Return the attacks in these languages; raises OSError and ValueError if a file cannot be read.

    `only` names categories, or groups of them such as `egress`; without any, all are returned.
    """
    paths = [path for path in sorted(_FOLDER.glob("*.attacks")) if not only or {path.stem, _group(path)} & set(only)]
    return tuple(
        attack
        for path in paths
        for attack in _attacks_in(path, {language: _prelude(path, language) for language in languages})
    )


def categories() -> Sequence[str]:
    """Return the names that `only` may have."""
    return sorted({name for path in _FOLDER.glob("*.attacks") for name in (path.stem, _group(path))})


def _group(path: Path) -> str:
    return path.stem.partition("-")[0]


def _prelude(path: Path, language: Language) -> str:
    """Return what stands before each script: a text for all, one for the group and one for the category."""
    names = ["prelude", f"{_group(path)}.prelude", f"{path.stem}.prelude"]
    found = [_FOLDER / f"{name}.{language}" for name in dict.fromkeys(names)]
    return "".join(each.read_text(encoding="utf-8") for each in found if each.exists())


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
    syntax = Syntax(facts.pop("syntax")) if "syntax" in facts else None
    prelude = _MODULE_PRELUDE.read_text(encoding="utf-8") if syntax is Syntax.MODULE else prelude
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
        has_secrets=facts.pop("secrets", "no") == "yes",
        has_files=facts.pop("files", "no") == "yes",
        network=facts.pop("network", "").split(),
        resolves=facts.pop("resolves", "").split(),
        refused=RefusalReason[facts.pop("refused")] if "refused" in facts else None,
        syntax=syntax,
    )
    if facts or not steps:
        raise ValueError(f"{attack} has unknown facts ({', '.join(facts)}), or no script")
    return attack
