"""A command that destroys something asks on a terminal."""

import json
import os
from collections.abc import Iterator

import pytest
from attrs import frozen

from tests.integration.commands.conftest import Run

# Each test starts several processes.
pytestmark = pytest.mark.timeout(600)


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
def test_a_key_is_revoked_only_after_a_yes(run: Run, terminal: Terminal, typed: str, status: int, said: str) -> None:
    made = json.loads(run("keys", "create", "--owner", "alice", "--scope", "admin", "--output", "json").stdout)
    terminal.type(typed)
    ended = run("keys", "revoke", made["id"], stdin=terminal.screen)
    assert ended.returncode == status, ended.stderr
    assert f"This revokes 1 API key: {made['id']} of alice (admin).\n" in ended.stderr
    assert "This cannot be undone. Continue? [y/N]: " in ended.stderr
    assert said in ended.stderr
    (listed,) = json.loads(run("keys", "list", "--output", "json").stdout)
    assert (listed["revoked_at"] is not None) == (status == 0)
