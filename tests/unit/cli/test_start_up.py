"""Commands and the supervisor start fast: what few of them need is imported when it is used."""

import subprocess
import sys
from pkgutil import resolve_name

import pytest

from entrypoints.composition.commands import Commands, Later

_LATER = {
    name: provider.provides.name
    for name, provider in Commands.providers.items()
    if isinstance(getattr(provider, "provides", None), Later)
}
_HEAVY = {
    "joserfc",
    "adapters.origin.rows",
    "adapters.remote_runtime.script_runner",
    "adapters.sandbox.runner",
    "domain.takeover.mover",
    "entrypoints.http.app",
    "entrypoints.origin.endpoints",
    "prometheus_client",
}


def imported_by(*modules: str) -> set[str]:
    """Return the modules that a new process has after it has imported these."""
    shown = f"import {', '.join(modules)}, sys; print(*sys.modules, sep='\\n')"
    ended = subprocess.run([sys.executable, "-c", shown], check=True, capture_output=True, text=True)
    return set(ended.stdout.split())


@pytest.mark.parametrize("name", _LATER)
def test_what_is_imported_later_can_be_imported(name):
    assert callable(resolve_name(_LATER[name]))


def test_the_container_of_the_commands_imports_nothing_that_takes_long():
    loaded = imported_by("entrypoints.composition.commands")
    assert "entrypoints.composition.commands" in loaded
    assert not _HEAVY & loaded


def test_the_supervisor_imports_no_container_and_no_use_case():
    loaded = imported_by("entrypoints.cli.serve", "entrypoints.composition.checks")
    assert {"entrypoints.server.supervisor", "adapters.embedded_postgres.server"} <= loaded
    assert not {"dependency_injector", "domain.sessions.service", "domain.executions.service", "aiosql"} & loaded
