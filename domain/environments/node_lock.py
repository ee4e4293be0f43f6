"""Locks of Node.js: package-lock.json of version 3, with a SHA-512 digest for each package."""

import base64
import binascii
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from attrs import define, field

from domain.environments.lock import (
    Lock,
    LockedPackage,
    LockProblem,
    LockRefused,
    number_problem,
    require_none,
    require_size,
)

LOCK_VERSION = 3
_NAME = r"(?:@[a-z0-9][a-z0-9._~-]{0,100}/)?[A-Za-z0-9._-][A-Za-z0-9._~-]{0,127}"
_PLACE = re.compile(rf"(?:node_modules/{_NAME}/)*node_modules/(?P<name>{_NAME})")
_VERSION = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+(?:[-+][0-9A-Za-z.+-]{1,128})?")
_ALIAS = re.compile(rf"npm:{_NAME}(?:@[^/:]*)?")
_WEB = ("https://", "http://")
_SHA512_SIZE = 64
_DEPENDENCIES = ("dependencies", "devDependencies", "optionalDependencies", "peerDependencies")
_KEPT = (
    "name",
    "version",
    "dev",
    "optional",
    "peer",
    "devOptional",
    "dependencies",
    "optionalDependencies",
    "os",
    "cpu",
    "libc",
)
"""What the canonical text has of a package. `resolved` is not among it: the operator names the registry."""
_MAKE = "make the lock with `npm install --package-lock-only`"


class _Unreadable(ValueError):
    """The text is no JSON of the expected form."""


@define(eq=False)
class _NodeReader:
    _text: str
    packages: list[LockedPackage] = field(factory=list)
    entries: dict[str, object] = field(factory=dict)
    problems: list[LockProblem] = field(factory=list)

    def read(self, place: str, entry: object) -> None:
        """Take a package, or note what is wrong with it."""
        faults = list(_root_faults(entry) if not place else _faults(place, entry))
        self.problems += [LockProblem(self._line(place), fault) for fault in faults]
        if faults or not isinstance(entry, Mapping):
            return
        if not place:
            self.entries[place] = {name: entry[name] for name in _DEPENDENCIES if name in entry}
            return
        self.entries[place] = {name: entry[name] for name in (*_KEPT, "integrity") if name in entry}
        self.packages.append(LockedPackage(entry.get("name", _name_of(place)), entry["version"]))

    def _line(self, place: str) -> int:
        at = self._text.find(json.dumps(place) + ":")
        return self._text.count("\n", 0, max(0, at)) + 1


def read_node_lock(text: str) -> Lock:
    """Return the lock in a text; raises LockRefused."""
    require_size(text)
    packages = _packages_of(text)
    reader = _NodeReader(text)
    for place, entry in sorted(packages.items()):
        reader.read(place, entry)
    require_none(reader.problems or number_problem(len(reader.packages)))
    entries = {"lockfileVersion": LOCK_VERSION, "requires": True, "packages": reader.entries}
    canonical = json.dumps(entries, separators=(",", ":"), sort_keys=True)
    require_size(canonical)
    return Lock(reader.packages, canonical)


def _packages_of(text: str) -> Mapping[str, object]:
    try:
        found = json.loads(text, object_pairs_hook=_without_doubles, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise LockRefused([LockProblem(error.lineno, f"it is no JSON: {error.msg}")]) from None
    except ValueError as error:  # also of numbers with thousands of digits
        raise LockRefused([LockProblem(1, f"it cannot be read: {error}")]) from None
    except RecursionError:
        raise LockRefused([LockProblem(1, "it is nested too deeply")]) from None
    if not isinstance(found, dict) or found.get("lockfileVersion") != LOCK_VERSION:
        raise LockRefused([LockProblem(1, f"it is no package-lock.json with lockfileVersion {LOCK_VERSION}: {_MAKE}")])
    packages = found.get("packages")
    if not isinstance(packages, dict) or "" not in packages:
        raise LockRefused([LockProblem(1, f"it has no packages, or not the one that needs them: {_MAKE}")])
    return packages


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        double = next(name for name in names if names.count(name) > 1)
        raise _Unreadable(f"the name {double[:100]!r} is there twice")
    return found


def _no_constant(name: str) -> Any:
    raise _Unreadable(f"{name} is no JSON")


def _root_faults(entry: object) -> Iterator[str]:
    if not isinstance(entry, Mapping):
        yield "the first package is no object"
        return
    if entry.get("workspaces"):
        yield "workspaces are not accepted: each package comes from the registry"
    yield from _need_faults(entry)


def _need_faults(entry: Mapping[str, object]) -> Iterator[str]:
    for kind in _DEPENDENCIES:
        needed = entry.get(kind, {})
        if not isinstance(needed, Mapping):
            yield f"{kind} is no object"
            continue
        for name, wanted in needed.items():
            if not isinstance(wanted, str) or not _is_from_registry(wanted):
                yield f"{name[:100]} is wanted from elsewhere than the registry"


def _faults(place: str, entry: object) -> Iterator[str]:
    if not _PLACE.fullmatch(place) or any(part in (".", "..") for part in place.split("/")):
        yield f"{place[:100]!r} is no package below node_modules: workspaces and paths are not accepted"
    elif not isinstance(entry, Mapping):
        yield f"{_name_of(place)} is no object"
    else:
        yield from _entry_faults(_name_of(place), entry)


def _entry_faults(name: str, entry: Mapping[str, object]) -> Iterator[str]:
    version, resolved = entry.get("version"), entry.get("resolved", "https://")
    if entry.get("link"):
        yield f"{name} is a link to a folder, and packages come from the registry alone"
        return
    if not isinstance(version, str) or not _VERSION.fullmatch(version):
        yield f"{name} has no version such as 1.2.3"
    if not isinstance(resolved, str) or not resolved.startswith(_WEB):
        yield f"{name} comes from elsewhere than the registry"
    if not _is_sha512(entry.get("integrity")):
        yield f"{name} has no sha512 integrity: {_MAKE}"
    if not isinstance(alias := entry.get("name", name), str) or not re.fullmatch(_NAME, alias):
        yield f"{name} has another name that is none of a package"
    yield from _need_faults(entry)


def _is_from_registry(wanted: str) -> bool:
    """Return whether it is a range of versions, a tag, or another package of the registry."""
    return _ALIAS.fullmatch(wanted) is not None or not ("/" in wanted or ":" in wanted)


def _is_sha512(integrity: object) -> bool:
    if not isinstance(integrity, str) or not integrity.startswith("sha512-"):
        return False
    try:
        return len(base64.b64decode(integrity.removeprefix("sha512-"), validate=True)) == _SHA512_SIZE
    except (binascii.Error, ValueError):
        return False


def _name_of(place: str) -> str:
    return place.rpartition("node_modules/")[2]
