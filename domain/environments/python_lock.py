"""Locks of Python: packages with one version and SHA-256 digests each, as `uv pip compile` writes them."""

import re
from collections.abc import Iterator

from attrs import define, field, frozen

from domain.environments.lock import Lock, LockedPackage, LockProblem, number_problem, require_none, require_size

HASHES_MAX = 512
"""Digests of one package: one for each file that its index has of the version."""

_PACKAGE = re.compile(
    r"(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]{0,126}[A-Za-z0-9])?)"
    r"(?:\[[A-Za-z0-9._, -]{0,256}\])?"  # extras: the lock has the packages that they need
    r" ?== ?(?P<version>[A-Za-z0-9][A-Za-z0-9.!+_-]{0,127})"
    r"(?: ?; ?(?P<marker>[A-Za-z0-9_.,<>=!~()'\" +-]{1,512}))?"
)
_NAME = re.compile(r"[A-Za-z0-9._-]+")
_HASH = re.compile(r"--hash[= ](?P<kind>[a-z0-9]+):(?P<digest>\S+)")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_SEPARATORS = re.compile(r"[-_.]+")
_PRINTABLE = re.compile(r"[\t -~]*")
_MAKE = "make the lock with `pglambda environments lock`"
_OPTIONS = {
    ("-e", "--editable"): "editable packages are not accepted",
    ("-r", "--requirement"): "other files are not read",
    ("-c", "--constraint"): "other files are not read",
    ("-i", "--index-url", "--extra-index-url", "-f", "--find-links", "--no-index", "--trusted-host"): (
        "the operator names the index, by ENVIRONMENT_INDEX_PYTHON"
    ),
}


@frozen
class _Statement:
    """A line with those that continue it; `line` is the number of the first one."""

    line: int
    text: str


@define(eq=False)
class _PythonReader:
    packages: list[LockedPackage] = field(factory=list)
    lines: list[str] = field(factory=list)
    problems: list[LockProblem] = field(factory=list)
    _seen: dict[tuple[str, str], int] = field(factory=dict)

    def read(self, statement: _Statement) -> None:
        """Take a statement, or note what is wrong with it."""
        fault = self._fault(statement)
        if fault is not None:
            self.problems.append(LockProblem(statement.line, fault))

    def _fault(self, statement: _Statement) -> str | None:
        if not _PRINTABLE.fullmatch(statement.text):
            return "it has characters other than printable ASCII"
        if statement.text.startswith("-"):
            return _option_fault(statement.text)
        requirement, _, hashes = statement.text.partition(" --hash")
        parsed = _PACKAGE.fullmatch(requirement.strip())
        if parsed is None:
            return _requirement_fault(requirement.strip())
        name, version, marker = parsed["name"], parsed["version"], (parsed["marker"] or "").strip()
        return self._take(statement, name, version, marker, f"--hash{hashes}" if hashes else "")

    def _take(self, statement: _Statement, name: str, version: str, marker: str, hashes: str) -> str | None:
        known = self._seen.setdefault((_normal(name), marker), statement.line)
        if known != statement.line:
            return f"{name} is in line {known} too"
        if not hashes:
            return f"{name} has no --hash: {_MAKE}"
        digests, fault = _digests(name, hashes)
        if fault is None:
            self.packages.append(LockedPackage(_normal(name), version))
            condition = f" ; {marker}" if marker else ""
            self.lines.append(" ".join((f"{_normal(name)}=={version}{condition}", *digests)))
        return fault


def read_python_lock(text: str) -> Lock:
    """Return the lock in a text; raises LockRefused."""
    require_size(text)
    reader = _PythonReader()
    for statement in _statements(text):
        reader.read(statement)
    require_none(reader.problems or number_problem(len(reader.packages)))
    canonical = "".join(f"{line}\n" for line in reader.lines)
    require_size(canonical)
    return Lock(reader.packages, canonical)


def _statements(text: str) -> Iterator[_Statement]:
    parts: list[str] = []
    first = 1
    for number, line in enumerate([*text.split("\n"), ""], start=1):
        if not parts:
            first = number
        stripped = line.removesuffix("\r").strip(" \t")
        content = "" if stripped.startswith("#") else re.split(r"\s#", stripped, maxsplit=1)[0].rstrip()
        if content.endswith("\\"):
            parts.append(content[:-1].strip())
            continue
        whole = " ".join(part for part in (*parts, content) if part)
        parts = []
        if whole:
            yield _Statement(first, whole)


def _digests(name: str, hashes: str) -> tuple[list[str], str | None]:
    """Return the options with the digests of a package, or what is wrong with one."""
    options = hashes.split(" ")
    for option in options:
        parsed = _HASH.fullmatch(option)
        if parsed is None:
            return [], f"{name} has {option[:100]!r} where only --hash is accepted"
        if parsed["kind"] != "sha256" or not _SHA256.fullmatch(parsed["digest"]):
            return [], f"{name} has a hash that is no SHA-256 digest: {_MAKE}"
    if len(options) > HASHES_MAX:
        return [], f"{name} has {len(options):,} hashes, and {HASHES_MAX} are allowed"
    return options, None


def _option_fault(text: str) -> str:
    option = re.split(r"[= ]", text, maxsplit=1)[0]
    reasons = (reason for options, reason in _OPTIONS.items() if option in options or text.startswith(options[0]))
    return f"the option {option[:100]} is not accepted: {next(reasons, 'only packages with --hash are')}"


def _requirement_fault(text: str) -> str:
    found = _NAME.match(text)
    name = text[:100] if found is None else found[0]
    if "://" in text or "@" in text:
        return f"{name} is named by a URL: {_MAKE}"
    if text.startswith((".", "/", "~")) or re.match(r"[\w.-]*/", text):
        return f"{text[:100]} is a path, and packages come from the index alone"
    return f"{name} is not pinned as name==version: {_MAKE}"


def _normal(name: str) -> str:
    return _SEPARATORS.sub("-", name).lower()
