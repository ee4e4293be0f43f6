"""The program that becomes another one, which ends with its parent."""

import os
import runpy
import sys
from pathlib import Path

import pytest

from entrypoints.server.child_exec import main

FILE = str(Path(main.__code__.co_filename))
NO_SIGNAL = "0"


def become(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", [FILE, *arguments])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(FILE, run_name="__main__")
    return end.value.code


def test_no_program_starts_after_its_parent_has_ended(monkeypatch):
    assert become(monkeypatch, "0", NO_SIGNAL, "-1", "-1", "/bin/true") == "the parent has ended already"


def test_a_program_that_cannot_run_is_an_error(monkeypatch):
    output = become(monkeypatch, str(os.getppid()), NO_SIGNAL, "-1", "-1", "/no/such")
    assert output == "cannot run /no/such: No such file or directory"


def test_an_unknown_signal_is_an_error():
    with pytest.raises(SystemExit, match="could outlive its parent"):
        main([str(os.getppid()), "9999", "-1", "-1", "/bin/true"])


def test_the_user_changes_first(monkeypatch):
    changes = []
    for name in ("setgroups", "setresgid", "setresuid"):
        monkeypatch.setattr(os, name, lambda *ids, name=name: changes.append((name, *ids)))
    with pytest.raises(SystemExit, match="ended already"):
        main(["0", NO_SIGNAL, "7", "8", "/bin/true"])
    assert changes == [("setgroups", []), ("setresgid", 8, 8, 8), ("setresuid", 7, 7, 7)]


def test_the_package_runs_as_the_command(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["pglambda", "--version"])
    with pytest.raises(SystemExit) as end:
        runpy.run_module("entrypoints", run_name="__main__")
    assert end.value.code == 0
    assert capsys.readouterr().out.startswith("pglambda, version ")
