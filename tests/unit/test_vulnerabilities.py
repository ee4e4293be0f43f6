"""The verdict on locks of packages."""

import pytest

from tests.vulnerabilities import CLEAN, UNCHECKED, VULNERABLE, judge, main

SAFE = {"name": "attrs", "version": "26.1.0", "vulns": []}
SKIPPED = {"name": "click", "skip_reason": "Dependency not found on PyPI and could not be audited: click (8.5.1)"}
UNSAFE = {
    "name": "h11",
    "version": "0.14.0",
    "vulns": [{"id": "GHSA-vqfr-h8mv-ghfj", "fix_versions": ["0.16.0"], "aliases": [], "description": "..."}],
}


@pytest.mark.parametrize(
    ("packages", "status"),
    [
        ([SAFE], CLEAN),
        ([SAFE, SKIPPED], UNCHECKED),
        ([], UNCHECKED),
        ([SAFE, UNSAFE], VULNERABLE),
        ([SKIPPED, UNSAFE], VULNERABLE),
    ],
)
def test_a_lock_is_clean_only_if_every_package_was_checked(packages, status):
    assert judge(packages)[0] == status


def test_a_vulnerability_is_named_with_the_version_that_has_none():
    assert judge([UNSAFE])[1] == ["h11 0.14.0: GHSA-vqfr-h8mv-ghfj, fixed in 0.16.0"]


def test_databases_that_cannot_be_reached_are_no_clean_result(tmp_path, monkeypatch, capsys):
    lock = tmp_path / "lock"
    lock.write_text(f"attrs==26.1.0 --hash=sha256:{'0' * 64}\n")
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert main([str(lock)]) == UNCHECKED
    assert "Not checked" in capsys.readouterr().out
