"""Commands start fast: what few of them need is imported when it is used."""

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
_SHOWN = "import entrypoints.composition.commands, sys; print(*sys.modules, sep='\\n')"
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


@pytest.mark.parametrize("name", _LATER)
def test_what_is_imported_later_can_be_imported(name):
    assert callable(resolve_name(_LATER[name]))


def test_the_container_of_the_commands_imports_nothing_that_takes_long():
    loaded = subprocess.run([sys.executable, "-c", _SHOWN], check=True, capture_output=True, text=True).stdout.split()
    assert "entrypoints.composition.commands" in loaded
    assert not _HEAVY & set(loaded)
