"""Settings, read from the environment and checked."""

from collections.abc import Mapping

from entrypoints.settings.checks import CONTROLLER_CHECKS, Check
from entrypoints.settings.environment import SettingsError, read_environment
from entrypoints.settings.settings import Settings


def load_settings(environ: Mapping[str, str], checks: tuple[Check, ...] = CONTROLLER_CHECKS) -> Settings:
    """Read and check the settings; unknown variables and empty ones do not count.

    Raises SettingsError with all problems.
    """
    settings = read_environment(Settings, environ)
    problems = [problem for check in checks for problem in check(settings)]
    if problems:
        raise SettingsError(problems)
    return settings
