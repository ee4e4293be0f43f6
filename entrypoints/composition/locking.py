"""The tools of packages on this host: they make locks."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from adapters.environments.locking import LockFailed, PackageLocker
from adapters.sandbox.runtimes.interpreters import InterpreterMissing, node_program
from domain.environments.service import BuildsUnavailable
from domain.scripts.language import Language
from entrypoints.composition.environments import npm_folder, package_indexes, uv_program
from entrypoints.settings.settings import Settings


def lock_packages(settings: Settings, language: Language, manifest: Path, before: str | None) -> str:
    """Return the lock of a manifest; raises BuildsUnavailable without an index, or LockFailed."""
    index = package_indexes(settings).get(language)
    if index is None:
        raise BuildsUnavailable(language)
    try:
        return PackageLocker(language, index, _tool(settings, language)).lock(manifest, before)
    except (OSError, InterpreterMissing) as error:
        raise LockFailed(f"No lock was made: {error}") from error


def missing_tools(settings: Settings) -> Mapping[Language, str]:
    """Return why this host cannot install packages, for each language of which it cannot."""
    missing: dict[Language, str] = {}
    for language in Language:
        try:
            _tool(settings, language)
        except (OSError, InterpreterMissing) as error:
            missing[language] = str(error)
    return missing


def _tool(settings: Settings, language: Language) -> Sequence[str]:
    if language is Language.PYTHON:
        return [str(uv_program())]
    node = node_program(settings.nodejs_path)
    return [str(node), str(npm_folder(settings.nodejs_path) / "bin" / "npm-cli.js")]
