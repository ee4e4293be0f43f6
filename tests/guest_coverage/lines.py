"""Which lines of the guest's files have code, and which of them have run."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

from attrs import define, field
from coverage import Coverage

from adapters.sandbox import guest

GUEST = Path(guest.__file__).parent
WORD = re.compile(r"\w")


@define
class FileLines:
    """A file's lines with code, and those that have run, by their numbers."""

    path: Path
    code: frozenset[int]
    run: set[int] = field(factory=set)

    @property
    def missing(self) -> list[int]:
        return sorted(self.code - self.run)

    @property
    def percent(self) -> float:
        return 100 * len(self.code & self.run) / len(self.code) if self.code else 100.0


def python_lines(folder: Path) -> Iterator[FileLines]:
    """Read the marks that `probe.py` has left in the folder."""
    files = [(path, path.read_text().splitlines()) for path in sorted((GUEST / "python").glob("*.py"))]
    size = sum(len(lines) for _, lines in files)
    marks = [content for path in folder.glob("*.marks") if len(content := path.read_bytes()) == size]
    first = 0
    for path, lines in files:
        numbers = range(1, len(lines) + 1)
        run = {number for number in numbers if any(each[first + number - 1] for each in marks)}
        yield FileLines(path, _statements(path), run)
        first += len(lines)


def _statements(path: Path) -> frozenset[int]:
    """Return the lines with code, by the rules of coverage.py."""
    reader = Coverage(data_file=None, config_file=False)
    reader.set_option("report:exclude_also", ["if TYPE_CHECKING:"])
    data = reader.get_data()
    try:
        data.add_lines({str(path): [1]})
        return frozenset(reader.analysis2(str(path))[1])
    finally:
        data.close(force=True)


def nodejs_lines(folder: Path) -> Iterator[FileLines]:
    """Read the coverage of V8 that `probe.cjs` has left in the folder."""
    files = {path.name: FileLines(path, _code_of(path)) for path in sorted((GUEST / "nodejs").glob("*.cjs"))}
    texts = {name: file.path.read_text() for name, file in files.items()}
    judged: set[tuple[object, ...]] = set()
    for path in folder.glob("*.v8"):
        for line in path.read_text().splitlines():
            for script in json.loads(line):
                name = script["url"].rpartition("/")[2]
                ranges = tuple(_ranges(script["functions"]))
                if (name, ranges) not in judged:
                    judged.add((name, ranges))
                    files[name].run |= covered_lines(texts[name], ranges)
    yield from files.values()


def _ranges(functions: Sequence[Mapping[str, object]]) -> Iterator[tuple[int, int, bool]]:
    """Return the start and the end of each range, and whether it has run."""
    for function in functions:
        for part in function["ranges"]:
            yield part["startOffset"], part["endOffset"], part["count"] > 0


def _code_of(path: Path) -> frozenset[int]:
    lines = enumerate(path.read_text().splitlines(), 1)
    return frozenset(number for number, line in lines if WORD.search(line) and not line.lstrip().startswith("//"))


def covered_lines(text: str, ranges: Sequence[tuple[int, int, bool]]) -> set[int]:
    """Return the lines of which some part has run. Each range of V8 lies within those before it that it overlaps."""
    counts = bytearray(len(text))
    for start, stop, has_run in ranges:
        end = min(stop, len(text))
        counts[start:end] = (b"\x01" if has_run else b"\x00") * (end - start)
    return {number for number, at, end, words in _words(text) if int.from_bytes(counts[at:end]) & words}


@cache
def _words(text: str) -> Sequence[tuple[int, int, int, int]]:
    """Return of each line its number, start and end, and a number whose bytes are 1 for letters of words, else 0."""
    found, at = [], 0
    for number, line in enumerate(text.splitlines(keepends=True), 1):
        letters = bytes(1 if WORD.match(letter) else 0 for letter in line)
        found.append((number, at, at + len(line), int.from_bytes(letters)))
        at += len(line)
    return found
