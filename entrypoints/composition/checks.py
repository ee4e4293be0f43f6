"""The check that parts can be built from the settings: token keys, mappings, the database's address, Node.js."""

from collections.abc import Callable, Sequence

from adapters.sandbox.runtimes.interpreters import InterpreterMissing, node_version
from entrypoints.composition.checked_options import gateway_options, language_mapping
from entrypoints.settings.environment import SettingsError
from entrypoints.settings.settings import Settings

Build = Callable[[Settings], object]
"""Builds a part as a start does; raises SettingsError."""


def _token_keys(settings: Settings) -> object:
    if settings.jwt_secret is None and settings.jwt_public_key is None:
        return ()
    # Every command checks the settings, and few installations have keys: the import takes 0.06 s of processor time.
    from entrypoints.composition.tokens import verification_keys  # noqa: PLC0415

    return verification_keys(settings)


def _database_address(settings: Settings) -> object:
    return settings.database_url and gateway_options(settings)


def _node(settings: Settings) -> object:
    try:
        return settings.nodejs_path and node_version(settings.nodejs_path)
    except InterpreterMissing as error:
        raise SettingsError([f"NODEJS_PATH: {error} Set it to the path of such a Node.js, or unset it."]) from error


CONTROLLER_PARTS: Sequence[Build] = (_token_keys, language_mapping, _database_address, _node)
RUNTIME_HOST_PARTS: Sequence[Build] = (_node,)


def require_buildable(settings: Settings, parts: Sequence[Build] = CONTROLLER_PARTS) -> None:
    """Raise SettingsError with every problem of settings that are valid as texts, and useless as what they stand for.

    A NODEJS_PATH is started once, for 20 s at most.
    """
    problems = [problem for part in parts for problem in _problems(part, settings)]
    if problems:
        raise SettingsError(problems)


def _problems(build: Build, settings: Settings) -> Sequence[str]:
    try:
        build(settings)
    except SettingsError as error:
        return error.problems
    return ()
