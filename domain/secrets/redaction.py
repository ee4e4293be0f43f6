"""Redaction: each secret that a script writes is replaced by its name, in whatever usual spelling."""

import json
import re
from collections.abc import Mapping
from heapq import heapify, heappop, heapreplace
from typing import Any, Self

from attrs import define, evolve, field, frozen

from domain.egress.traffic import ExecutionTraffic
from domain.json_text import JsonText
from domain.scripts.dropped import DroppedName
from domain.scripts.report import Failure, ScriptReport
from domain.secrets.spellings import LENGTH_MIN, escaped, spellings

BYTES = "latin-1"
"""The encoding by which bytes are texts, with a character for each byte."""

_UNREAD_MAX = 8
"""A stream is read on once it has this part of what it holds back, so that many small pieces do not take long."""

_LONG_TOKENS = re.compile(
    rf"""
    (?:
        [^"0-9\-]++
        | "[^"\\]{{0,{LENGTH_MIN - 1}}}"
        | [0-9\-][0-9.eE+\-]{{0,{LENGTH_MIN - 2}}}+(?![0-9.eE+\-])
    ){{0,1000}}+
    ( "[^"\\]*+(?:\\.[^"\\]*+)*+" | [0-9\-][0-9.eE+\-]*+ )?
    """,
    re.VERBOSE | re.DOTALL,
)
"""Strings and numbers of JSON that may hold a spelling, each behind at most so many that are too short."""


@frozen
class Redaction:
    """Replaces the secrets of a session in texts. At each place the longest spelling counts, from left to right.

    Every method returns the redacted value, and how many places were replaced. An encoding that is none of the
    spellings is not found: redaction protects from mistakes, not from a script that wants to give a secret away.
    """

    _marks: Mapping[str, str] = field(repr=False)
    """The mark of each spelling, longest first."""
    _in_json: Mapping[str, str] = field(repr=False)
    """The spellings by how they stand in JSON."""

    @classmethod
    def of(cls, secrets: Mapping[str, str]) -> Self:
        """Return the redaction of secrets, given as values by name."""
        marks = {text: f"[secret {name}]" for name, value in secrets.items() for text in spellings(value)}
        ordered = sorted(marks, key=len, reverse=True)
        in_json = {text if each == text else each: text for text in ordered for each in escaped(text)}
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
        return _replaced(text, until, self._marks)

    def json(self, text: JsonText) -> tuple[JsonText, int]:
        """Redact the strings, the names and the numbers of a JSON text; everything else stays as it is."""
        present = {spelling for each, spelling in self._in_json.items() if each in text}
        if not present:
            return text, 0
        marks = {spelling: mark for spelling, mark in self._marks.items() if spelling in present}
        parts, end, count = list[str](), 0, 0
        for match in _LONG_TOKENS.finditer(text):
            redacted, found = _token(match[1] or "", marks)
            if found:
                parts += (text[end : match.start(1)], redacted)
                end = match.end()
                count += found
        return (JsonText("".join((*parts, text[end:]))), count) if count else (text, 0)

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


def _token(token: str, marks: Mapping[str, str]) -> tuple[str, int]:
    """Redact a string or a number of JSON. A string without a backslash is as it is written."""
    if token.startswith('"') and "\\" not in token:
        redacted, count, _ = _replaced(token[1:-1], len(token), marks)
        return f'"{redacted}"', count
    redacted, count, _ = _replaced(json.loads(token) if token.startswith('"') else token, len(token), marks)
    return json.dumps(redacted, ensure_ascii=False) if count else token, count


def _replaced(text: str, until: int, marks: Mapping[str, str]) -> tuple[str, int, int]:
    """Replace the spellings that begin before `until` by their marks; return also how many, and where that ends.

    At each place it looks only at the spellings whose next place has been passed. A regular expression would take
    longer to build than a text to search, and `re` would keep the values in its cache.
    """
    parts: list[str] = []
    start = 0
    following = [(place, -len(each), each) for each in marks if (place := text.find(each)) >= 0]
    heapify(following)
    while following and following[0][0] < until:
        place, _, found = following[0]
        if place >= start:
            parts += (text[start:place], marks[found])
            start = place + len(found)
        place = text.find(found, start)
        if place < 0:
            heappop(following)
        else:
            heapreplace(following, (place, -len(found), found))
    end = max(start, min(until, len(text)))
    return "".join((*parts, text[start:end])), len(parts) // 2, end
