"""Redaction: each secret that a script writes is replaced by its name, in whatever usual spelling."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Self

from attrs import define, evolve, field, frozen

from domain.egress.traffic import ExecutionTraffic
from domain.json_text import JsonText
from domain.scripts.dropped import DroppedName
from domain.scripts.report import Failure, ScriptReport
from domain.secrets.spellings import escaped, spellings

BYTES = "latin-1"
"""The encoding by which bytes are texts, with a character for each byte."""

_UNREAD_MAX = 8
"""A stream is read on once it has this part of what it holds back, so that many small pieces do not take long."""


class _Number(str):
    """A number of JSON as it is written."""

    __slots__ = ()


@frozen
class Redaction:
    """Replaces the secrets of a session in texts. At each place the longest spelling counts, from left to right.

    Every method returns the redacted value, and how many places were replaced. An encoding that is none of the
    spellings is not found: redaction protects from mistakes, not from a script that wants to give a secret away.
    """

    _marks: Mapping[str, str] = field(repr=False)
    """The mark of each spelling, longest first."""
    _in_json: frozenset[str] = field(repr=False)
    """The spellings as they stand in JSON."""

    @classmethod
    def of(cls, secrets: Mapping[str, str]) -> Self:
        """Return the redaction of secrets, given as values by name."""
        marks = {text: f"[secret {name}]" for name, value in secrets.items() for text in spellings(value)}
        ordered = sorted(marks, key=len, reverse=True)
        in_json = frozenset(each for text in ordered for each in escaped(text))
        return cls({text: marks[text] for text in ordered}, in_json)

    def of_bytes(self) -> Self:
        """Return the redaction of texts that stand for the bytes of UTF-8, as BYTES decodes them."""
        marks = {text.encode().decode(BYTES): mark for text, mark in self._marks.items()}
        return evolve(self, marks={text: marks[text] for text in sorted(marks, key=len, reverse=True)})

    @property
    def length_max(self) -> int:
        """The characters of the longest spelling; 0 without secrets."""
        return max(map(len, self._marks), default=0)

    def text(self, text: str) -> tuple[str, int]:
        """Redact a text."""
        redacted, count, end = self.beginning(text, len(text))
        return redacted + text[end:], count

    def beginning(self, text: str, until: int) -> tuple[str, int, int]:
        """Redact the part of a text in which spellings begin before `until`; return also where it ends."""
        parts: list[str] = []
        start = 0
        starts = {spelling: place for spelling in self._marks if (place := text.find(spelling)) >= 0}
        while starts:
            place = min(starts.values())
            if place >= until:
                break
            found = next(spelling for spelling, each in starts.items() if each == place)
            parts += (text[start:place], self._marks[found])
            start = place + len(found)
            for spelling, each in list(starts.items()):
                if each < start:
                    following = text.find(spelling, start)
                    if following < 0:
                        del starts[spelling]
                    else:
                        starts[spelling] = following
        end = max(start, until)
        return "".join((*parts, text[start:end])), len(parts) // 2, end

    def json(self, text: JsonText) -> tuple[JsonText, int]:
        """Redact the strings, the names and the numbers of a JSON text; one without secrets stays as it is."""
        if not any(each in text for each in self._in_json):
            return text, 0
        counter = _Counter(self)
        value = json.loads(text, parse_int=_Number, parse_float=_Number)
        redacted = "".join(counter.written(value))
        return (JsonText(redacted), counter.count) if counter.count else (text, 0)

    def report(self, report: ScriptReport) -> tuple[ScriptReport, int]:
        """Redact everything that a script has written."""
        counter = _Counter(self)
        changed: dict[str, Any] = {"stdout": counter.text(report.stdout), "stderr": counter.text(report.stderr)}
        if report.result is not None:
            changed["result"], found = self.json(report.result)
            counter.count += found
        if report.failure is not None:
            changed["failure"] = counter.failure(report.failure)
        if report.traffic is not None:
            changed["traffic"] = counter.traffic(report.traffic)
        if report.dropped:
            changed["dropped"] = tuple(
                DroppedName(counter.text(each.name), counter.text(each.type)) for each in report.dropped
            )
        return (evolve(report, **changed), counter.count) if counter.count else (report, 0)


@define
class RedactedStream:
    """Redacts a text that arrives in pieces: whatever the pieces are, the parts together are the redacted whole.

    It holds back the characters in which a spelling may have begun.
    """

    _redaction: Redaction
    count: int = field(default=0, init=False)
    _held: str = field(default="", init=False, repr=False)
    _unread: list[str] = field(factory=list, init=False, repr=False)
    _unread_length: int = field(default=0, init=False)

    def feed(self, piece: str) -> str:
        """Return what can be shown with this piece."""
        self._unread.append(piece)
        self._unread_length += len(piece)
        if self._unread_length * _UNREAD_MAX < len(self._held):
            return ""
        text = self._read()
        # At a place before this one, every spelling would have arrived as a whole.
        until = max(0, len(text) - self._redaction.length_max + 1)
        shown, count, end = self._redaction.beginning(text, until)
        self._held = text[end:]
        self.count += count
        return shown

    def end(self) -> str:
        """Return the rest, after the last piece."""
        shown, count = self._redaction.text(self._read())
        self._held = ""
        self.count += count
        return shown

    def _read(self) -> str:
        """Return what is held back, with the pieces since."""
        text = "".join((self._held, *self._unread))
        self._unread.clear()
        self._unread_length = 0
        return text


@define
class _Counter:
    """Redacts several texts, and counts the places."""

    _redaction: Redaction
    count: int = 0

    def text(self, text: str) -> str:
        redacted, found = self._redaction.text(text)
        self.count += found
        return redacted

    def failure(self, failure: Failure) -> Failure:
        name, stack = failure.name, failure.stack
        return evolve(
            failure,
            message=self.text(failure.message),
            name=None if name is None else self.text(name),
            stack=None if stack is None else self.text(stack),
        )

    def traffic(self, traffic: ExecutionTraffic) -> ExecutionTraffic:
        hosts = tuple(evolve(each, host=self.text(each.host)) for each in traffic.hosts)
        refusals = tuple(evolve(each, host=self.text(each.host)) for each in traffic.refusals)
        return evolve(traffic, hosts=hosts, refusals=refusals)

    def written(self, value: Any) -> Iterator[str]:
        """Yield a value as JSON text, redacted; JSON of the service is nested only so deep that this can recurse."""
        if isinstance(value, _Number):
            redacted = self.text(value)
            yield value if redacted == value else json.dumps(redacted, ensure_ascii=False)
        elif isinstance(value, str):
            yield json.dumps(self.text(value), ensure_ascii=False)
        elif isinstance(value, list):
            yield "["
            for nth, item in enumerate(value):
                yield "," if nth else ""
                yield from self.written(item)
            yield "]"
        elif isinstance(value, dict):
            yield "{"
            for nth, (name, member) in enumerate(value.items()):
                yield f"{',' if nth else ''}{json.dumps(self.text(name), ensure_ascii=False)}:"
                yield from self.written(member)
            yield "}"
        else:
            yield json.dumps(value)
