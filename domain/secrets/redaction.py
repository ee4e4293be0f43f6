"""Redaction: each secret that a script writes is replaced by its name, in whatever usual spelling."""

import json
import re
from collections.abc import Iterable, Mapping
from heapq import heapify, heappop, heapreplace
from typing import Any, Self, TypeAlias, TypeVar

from attrs import define, evolve, field, frozen

from domain.egress.traffic import ExecutionTraffic
from domain.json_text import JsonText
from domain.scripts.dropped import NAME_SIZE_MAX, TYPE_SIZE_MAX, DroppedName
from domain.scripts.output import OUTPUT_SIZE_MAX
from domain.scripts.report import ELLIPSIS, NAME_LENGTH_MAX, TEXT_LENGTH_MAX, Failure, ScriptReport
from domain.secrets.cuts import Cut
from domain.secrets.marks import MARK_LENGTH_MAX, mark_of, shortened, shortened_bytes
from domain.secrets.spellings import LENGTH_MIN, escaped, spellings

_Text = TypeVar("_Text", bound=str)
_Found: TypeAlias = tuple[int, int, str, bool]
"""Where a spelling is: its place, its length below zero, the spelling, and whether only its beginning is there.

The first one counts, and at one place the longest one.
"""

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
        marks = {text: mark_of(name) for name, value in secrets.items() for text in spellings(value)}
        ordered = sorted(marks, key=len, reverse=True)
        in_json = {text if each == text else each: text for text in ordered for each in escaped(text)}
        return cls({text: marks[text] for text in ordered}, in_json)

    @property
    def length_max(self) -> int:
        """The characters of the longest spelling; 0 without secrets."""
        return max(map(len, self._marks), default=0)

    def text(self, text: str, cut: Cut | None = None) -> tuple[str, int]:
        """Redact a text, and at a cut also the beginning of a spelling."""
        redacted, count, end = _replaced(text, len(text), self._marks, cut)
        return redacted + text[end:], count

    def output(self, text: str, *, is_cut: bool) -> tuple[str, int]:
        """Redact what a script has written to a stream; a redacted one has at most OUTPUT_SIZE_MAX bytes."""
        redacted, count = self.text(text, Cut.behind(text, len(text)) if is_cut else None)
        return (shortened_bytes(redacted, OUTPUT_SIZE_MAX) if count else text), count

    def error_text(self, text: str, length_max: int) -> tuple[str, int]:
        """Redact a text of an error, which workers cut behind so many characters, and cut it there again.

        One mark may make it longer, so that what the service says at its end stays.
        """
        redacted, count = self.text(text, Cut.of_long(text, length_max))
        fitting = shortened(redacted, max(length_max, len(text)) + MARK_LENGTH_MAX)
        return (redacted if fitting == redacted else fitting + ELLIPSIS), count

    def dropped(self, name: str, cut_at: int) -> tuple[str, int]:
        """Redact the name or the type of a name, which workers cut at so many characters."""
        redacted, count = self.text(name, Cut.of_long(name, cut_at - 1))
        return shortened(redacted, NAME_SIZE_MAX), count

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
        is_cut = report.is_output_cut
        changed: dict[str, Any] = {
            "stdout": counter.add(self.output(report.stdout, is_cut=is_cut)),
            "stderr": counter.add(self.output(report.stderr, is_cut=is_cut)),
        }
        if report.result is not None:
            changed["result"] = counter.add(self.json(report.result))
        if report.failure is not None:
            changed["failure"] = counter.failure(report.failure)
        if report.traffic is not None:
            changed["traffic"] = counter.traffic(report.traffic)
        if report.dropped:
            changed["dropped"] = tuple(map(counter.dropped, report.dropped))
        return (evolve(report, **changed), counter.count) if counter.count else (report, 0)


@define
class _Counter:
    """Redacts several texts, and counts the places."""

    _redaction: Redaction
    count: int = 0

    def add(self, redacted: tuple[_Text, int]) -> _Text:
        text, found = redacted
        self.count += found
        return text

    def failure(self, failure: Failure) -> Failure:
        return evolve(
            failure,
            message=self._error_text(failure.message, TEXT_LENGTH_MAX),
            name=None if failure.name is None else self._error_text(failure.name, NAME_LENGTH_MAX),
            stack=None if failure.stack is None else self._error_text(failure.stack, TEXT_LENGTH_MAX),
        )

    def traffic(self, traffic: ExecutionTraffic) -> ExecutionTraffic:
        hosts = tuple(evolve(each, host=self._text(each.host)) for each in traffic.hosts)
        refusals = tuple(evolve(each, host=self._text(each.host)) for each in traffic.refusals)
        return evolve(traffic, hosts=hosts, refusals=refusals)

    def dropped(self, dropped: DroppedName) -> DroppedName:
        return DroppedName(
            self.add(self._redaction.dropped(dropped.name, NAME_SIZE_MAX)),
            self.add(self._redaction.dropped(dropped.type, TYPE_SIZE_MAX)),
        )

    def _text(self, text: str) -> str:
        return self.add(self._redaction.text(text))

    def _error_text(self, text: str, length_max: int) -> str:
        return self.add(self._redaction.error_text(text, length_max))


def _token(token: str, marks: Mapping[str, str]) -> tuple[str, int]:
    """Redact a string or a number of JSON. A string without a backslash is as it is written."""
    if token.startswith('"') and "\\" not in token:
        redacted, count, _ = _replaced(token[1:-1], len(token), marks)
        return f'"{redacted}"', count
    redacted, count, _ = _replaced(json.loads(token) if token.startswith('"') else token, len(token), marks)
    return json.dumps(redacted, ensure_ascii=False) if count else token, count


def _replaced(text: str, until: int, marks: Mapping[str, str], cut: Cut | None = None) -> tuple[str, int, int]:
    """Replace the spellings that begin before `until` by their marks; return also how many, and where that ends.

    At each place it looks only at the spellings whose next place has been passed. A regular expression would take
    longer to build than a text to search, and `re` would keep the values in its cache.
    """
    parts: list[str] = []
    start = 0
    following = [(place, -len(each), each, False) for each in marks if (place := text.find(each)) >= 0]
    if cut is not None and (head := _head(text, start, marks, cut)) is not None:
        following.append(head)
    heapify(following)
    while following and following[0][0] < until:
        place, length, spelling, is_head = following[0]
        if place >= start:
            parts += (text[start:place], marks[spelling])
            start = place - length
        further = _head(text, start, marks, cut) if is_head and cut is not None else _found(text, start, spelling)
        if further is None:
            heappop(following)
        else:
            heapreplace(following, further)
    end = max(start, min(until, len(text)))
    return "".join((*parts, text[start:end])), len(parts) // 2, end


def _found(text: str, start: int, spelling: str) -> _Found | None:
    place = text.find(spelling, start)
    return None if place < 0 else (place, -len(spelling), spelling, False)


def _head(text: str, start: int, spellings: Iterable[str], cut: Cut) -> _Found | None:
    head = cut.head(text, start, spellings)
    return None if head is None else (head[0], head[0] - cut.end, head[1], True)
