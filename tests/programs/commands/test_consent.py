"""A command that destroys something asks on a terminal."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from attrs import frozen

from domain.access.principal import Scope
from domain.identity import Owner
from entrypoints.settings.settings import Settings
from tests.integration.application.test_authentication import keys_of
from tests.integration.commands.conftest import QUIET, ROOT
from tests.support.programs import unmeasured

# Each test waits for a process (PROCESS_LIMIT_S).
pytestmark = pytest.mark.timeout(600)


PROCESS_LIMIT_S = 180
"""A program takes a second of processor time, of which a busy machine may give it a hundredth."""


def program(*arguments: str, stdin: int = subprocess.DEVNULL, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a program to its end; `stdin` is a descriptor."""
    return subprocess.run(
        [sys.executable, "-m", "entrypoints", *arguments],
        env={**unmeasured(), **QUIET, **variables},
        cwd=ROOT,
        stdin=stdin,
        capture_output=True,
        text=True,
        timeout=PROCESS_LIMIT_S,
        check=False,
    )


@frozen
class Terminal:
    """A pseudo-terminal: `typed` is what the operator types, `screen` what a program gets as its terminal."""

    typed: int
    screen: int

    def type(self, text: str) -> None:
        os.write(self.typed, text.encode())


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    typed, screen = os.openpty()
    yield Terminal(typed, screen)
    os.close(typed)
    os.close(screen)


@pytest.mark.parametrize(
    ("typed", "status", "said"),
    [("y\n", 0, ""), ("n\n", 1, "Error: Nothing was changed."), ("\x04", 130, "Interrupted.")],
    ids=["yes", "no", "end of input"],
)
async def test_a_key_is_revoked_only_after_a_yes(  # noqa: PLR0917  # the fixtures, and the case
    variables: dict[str, str], settings: Settings, terminal: Terminal, typed: str, status: int, said: str
) -> None:
    async with keys_of(settings) as keys:
        made = (await keys.create(Owner("alice"), frozenset({Scope.ADMIN}), None)).key.key_id
    terminal.type(typed)
    ended = program("keys", "revoke", made.hex, stdin=terminal.screen, **variables)
    assert ended.returncode == status, ended.stderr
    assert f"This revokes 1 API key: {made.hex} of alice (admin).\n" in ended.stderr
    assert "This cannot be undone. Continue? [y/N]: " in ended.stderr
    assert said in ended.stderr
    async with keys_of(settings) as keys:
        assert ((await keys.find(made)).revoked_at is not None) == (status == 0)
