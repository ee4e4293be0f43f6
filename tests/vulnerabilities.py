"""Checks locks for known vulnerabilities: `python -m tests.vulnerabilities LOCK ...`.

The exit status is 0 if every package was checked and none is known to be vulnerable, 1 if one is, and 3 if packages
could not be checked, because no database of vulnerabilities was reached.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

CLEAN, VULNERABLE, UNCHECKED = 0, 1, 3
SERVICES = ("pypi", "osv")
UNREACHED = "Not checked: no database of vulnerabilities was reached. Repeat this where PyPI or osv.dev is reachable.\n"
_TIMEOUT_S = 300


def report_of(service: str, locks: Sequence[str]) -> list[dict[str, Any]]:
    """Return what pip-audit knows of each package; nothing if it does not reach the service."""
    options = ["--require-hashes", "--disable-pip", "--progress-spinner=off", "--format=json"]
    options += [f"--vulnerability-service={service}", *(f"--requirement={lock}" for lock in locks)]
    completed = subprocess.run(
        [sys.executable, "-m", "pip_audit", *options],
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    try:
        return json.loads(completed.stdout)["dependencies"]
    except ValueError:
        sys.stderr.writelines(completed.stderr.splitlines(keepends=True)[-1:])
        return []


def judge(packages: Sequence[dict[str, Any]]) -> tuple[int, list[str]]:
    """Return the exit status for a report, and its lines. pip-audit itself succeeds if it has skipped every package."""
    found = [
        f"{package['name']} {package['version']}: {each['id']}, fixed in {', '.join(each['fix_versions']) or 'no version'}"
        for package in packages
        for each in package.get("vulns", ())
    ]
    skipped = [package["name"] for package in packages if "skip_reason" in package]
    if found:
        return VULNERABLE, found
    if not packages:
        return UNCHECKED, ["no report"]
    if skipped:
        return UNCHECKED, [f"{len(skipped)} of {len(packages)} packages were not found in the database"]
    return CLEAN, [f"{len(packages)} packages, none known to be vulnerable"]


def main(locks: Sequence[str]) -> int:
    """Check the locks with the first service that knows all packages, and print what it found."""
    status = UNCHECKED
    for service in SERVICES:
        status, lines = judge(report_of(service, locks))
        sys.stdout.writelines(f"{service}: {line}\n" for line in lines)
        if status != UNCHECKED:
            return status
    sys.stdout.write(UNREACHED)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
