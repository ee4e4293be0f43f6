"""The secrets that scripts of an attack have, and whether one of them is shown."""

import json
from collections.abc import Iterator, Mapping

from attrs import define, evolve, field
from typing_extensions import override

from domain.json_text import JsonText
from domain.scripts.output import OutputListener, ScriptProgress
from domain.scripts.report import ScriptReport
from domain.secrets.redaction import Redaction
from domain.secrets.run import RunSecrets
from domain.secrets.values import GivenSecrets

SECRETS: Mapping[str, str] = {"ATTACKED": 'p4ss "wörd"\\of/trials', "DIGITS": "8675309123456"}
"""Values that no other text of a trial has."""

_MARK = "[secret "
_LEAK_LENGTH = 8
"""Characters of a beginning that tell which secret it is."""


@define(eq=False)
class Overheard(OutputListener):
    """What a listener heard while a script ran."""

    texts: list[bytes] = field(factory=list)

    @override
    def on_stdout(self, piece: bytes) -> None:
        self.texts.append(piece)

    @override
    def on_stderr(self, piece: bytes) -> None:
        self.texts.append(piece)

    @override
    def on_progress(self, progress: ScriptProgress) -> None:
        self.texts.append(progress.message.encode())


@define(eq=False)
class TrialSecrets:
    """The secrets of one run of an attack."""

    _run: RunSecrets = field(init=False)
    _overheard: Overheard = field(factory=Overheard, init=False)

    def __attrs_post_init__(self) -> None:
        self._run = RunSecrets(GivenSecrets(SECRETS, dict.fromkeys(SECRETS, 1), Redaction.of(SECRETS)))

    def listener(self) -> OutputListener | None:
        """Return what hears the script."""
        return self._run.listening(self._overheard)

    def shown(self, report: ScriptReport) -> ScriptReport:
        """Return the report as the service shows it; its result is what a reader gets of a secret, if anything."""
        shown = self._run.shown(report)
        leaked = next(self._leaks(shown), None)
        if leaked is not None:
            return evolve(shown, result=JsonText(json.dumps(leaked)), failure=None)
        return evolve(shown, result=None) if _MARK in (shown.result or "") else shown

    def _leaks(self, shown: ScriptReport) -> Iterator[str]:
        failure = shown.failure
        texts = [shown.result, shown.stdout, shown.stderr, shown.state]
        texts += [] if failure is None else [failure.name, failure.message, failure.stack]
        texts.append(b"".join(self._overheard.texts).decode("utf-8", "replace"))
        for name, value in SECRETS.items():
            spelled = (value, value[::-1], json.dumps(value)[1:-1], value.encode().hex())
            leaking = [text for text in texts if text and any(each[:_LEAK_LENGTH] in text for each in spelled)]
            yield from (f"{name} in {text[:100]!r}" for text in leaking)
