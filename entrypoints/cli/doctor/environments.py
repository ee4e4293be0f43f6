"""Environments: versions that were not built, and what this host lacks for builds."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from domain.environments.environment import StoredEnvironment
from domain.scripts.language import Language
from entrypoints.cli.doctor.host import HostFacts
from entrypoints.cli.doctor.report import Finding, Subject
from entrypoints.cli.environments.facts import failure_of
from entrypoints.settings.environments import built_languages
from entrypoints.settings.settings import MEBI, Settings

ENVIRONMENTS = Subject("environments")

_QUEUED_MAX = timedelta(minutes=10)
_NAMED_MAX = 10
_BUILD_FACTOR = 3
"""A build needs so many times the bytes of a tree: downloads, the tree, and its packed bytes."""


def judge_environments(found: Sequence[StoredEnvironment], now: datetime, settings: Settings) -> Iterator[Finding]:
    """Yield which newest versions could not be built, and which ones wait for a builder."""
    current = [each for each in _newest(found) if each.version.retired_at is None]
    for each in [each for each in current if each.status == "failed"][:_NAMED_MAX]:
        yield ENVIRONMENTS.warning(
            f"{each.version} could not be built: {failure_of(each)}",
            "New sessions get an earlier version, or 409 ENVIRONMENT_NOT_READY.",
            f"`pglambda environments show {each.version} --log` shows why. Correct it, and create it again.",
        )
    waiting = [each for each in current if each.status == "queued" and now - each.version.created_at > _QUEUED_MAX]
    for language in sorted({each.version.language for each in waiting}):
        names = [str(each.version) for each in waiting if each.version.language is language]
        yield ENVIRONMENTS.problem(
            f"no controller has begun to build {', '.join(names[:_NAMED_MAX])} for {_minutes(waiting, now):,} minutes",
            "Sessions get an earlier version, or 409 ENVIRONMENT_NOT_READY.",
            _remedy(language, settings),
        )
    ready = sum(each.status == "ready" for each in found)
    if ready:
        yield ENVIRONMENTS.ok(f"{ready:,} versions are ready")


def judge_builds(missing: Mapping[Language, str], facts: HostFacts, settings: Settings) -> Iterator[Finding]:
    """Yield what this host lacks for the builds that its settings ask for; `missing` says which tools it lacks."""
    built = built_languages(settings) if settings.environment_builds else frozenset()
    for language in sorted(built & missing.keys()):
        yield ENVIRONMENTS.problem(
            f"this host has an index for {language}, and cannot build: {missing[language]}",
            "Versions that it takes end as failed.",
            "Install what is missing, or set ENVIRONMENT_BUILDS=false here and let another controller build.",
        )
    needed = _BUILD_FACTOR * settings.max_environment_mb * MEBI
    if built and facts.disk_free_bytes < needed:
        yield ENVIRONMENTS.warning(
            f"{facts.data_dir} has {facts.disk_free_bytes / MEBI:,.0f} MiB free, and a build may take "
            f"{needed / MEBI:,.0f} MiB",
            "Builds of large environments fail.",
            "Free space, lower MAX_ENVIRONMENT_MB, or set ENVIRONMENT_BUILDS=false here.",
        )


def _newest(found: Sequence[StoredEnvironment]) -> Sequence[StoredEnvironment]:
    """Return the newest version of each name; they are sorted with the newest first."""
    newest: dict[str, StoredEnvironment] = {}
    for each in found:
        newest.setdefault(each.version.name, each)
    return list(newest.values())


def _minutes(waiting: Sequence[StoredEnvironment], now: datetime) -> int:
    return max((now - each.version.created_at) // timedelta(minutes=1) for each in waiting)


def _remedy(language: Language, settings: Settings) -> str:
    index = f"ENVIRONMENT_INDEX_{language.upper()}"
    if language not in built_languages(settings):
        return f"Set {index} to the URL of an index, for a controller with ENVIRONMENT_BUILDS=true."
    if not settings.environment_builds:
        return f"Set ENVIRONMENT_BUILDS=true here, or for another controller with {index}."
    return f"Start a controller with {index} and ENVIRONMENT_BUILDS=true, and read its log."
