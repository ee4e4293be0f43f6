"""Executions with 16 MiB in and out, beside those without: `python -m tests.benchmarks.execution_files [ROUNDS]`.

Processor time of the service, its PostgreSQL and its workers for one call, in turns. It holds on a busy machine.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx2

from tests.benchmarks.process_table import KINDS, processor_s_by_kind
from tests.benchmarks.servers import Program, Server, serving

_SIZE = 16 * 1024 * 1024
_CALLS = 3
_PLAIN, _GRANTED, _MOVED = "no files granted", "granted, none in the call", "16 MiB in, 16 MiB out"
_COPIES = "import os, shutil\nif os.path.exists('/files/in/a'):\n    shutil.copyfile('/files/in/a', '/files/out/a')\nresult = 1"
_TIMEOUT_S = 60.0


def measure(client: httpx2.Client, server: Server, rounds: int) -> Mapping[str, Sequence[Mapping[str, float]]]:
    """Return the milliseconds of each kind of process for one call, of each round."""
    uploaded = client.post("/api/v1/files?name=a", content=bytes(range(256)) * (_SIZE // 256)).json()["file_id"]
    files = {"size_mb": 64}
    sessions = {_PLAIN: _initialized(client, {}), _GRANTED: _initialized(client, {"files": files})}
    sessions[_MOVED] = sessions[_GRANTED]
    moved = {"files": [{"path": "a", "file_id": uploaded}], "collect": True}
    found: dict[str, list[Mapping[str, float]]] = {name: [] for name in sessions}
    for number in range(rounds + 1):
        for name, session_id in sessions.items():
            before = processor_s_by_kind(server.pid)
            for _ in range(_CALLS):
                _executed(client, session_id, moved if name == _MOVED else {})
            time.sleep(0.1)  # what follows the calls in the background
            after = processor_s_by_kind(server.pid)
            if number:
                found[name].append({kind: (after[kind] - before[kind]) / _CALLS * 1000 for kind in KINDS})
    return found


def _initialized(client: httpx2.Client, grants: Mapping[str, object]) -> str:
    body = {"script_content": _COPIES, **grants}
    response = client.post("/api/v1/initialize", headers={"Language-Title": "python-copies"}, json=body)
    response.raise_for_status()
    return str(response.json()["request_id"])


def _executed(client: httpx2.Client, session_id: str, body: Mapping[str, object]) -> None:
    response = client.post(f"/api/v1/execute/{session_id}", json={"params": {}, **body})
    response.raise_for_status()
    for each in response.json().get("files", ()):
        assert each["bytes"] == _SIZE
        client.delete(f"/api/v1/files/{each['file_id']}").raise_for_status()


def _line(name: str, rounds: Sequence[Mapping[str, float]]) -> str:
    totals = [sum(each.values()) for each in rounds]
    kinds = "  ".join(f"{kind} {statistics.median(each[kind] for each in rounds):.1f}" for kind in KINDS)
    return f"{name}: {statistics.median(totals):.1f} ms ({min(totals):.1f} to {max(totals):.1f}): {kinds}"


def main(rounds: int) -> None:
    """Print a line for each kind of call."""
    with tempfile.TemporaryDirectory(prefix="pgl-", dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        environment = {"DATA_DIR": folder, "PORT": "{port}", "LOG_LEVEL": "error"}
        program = Program("pglambda", (sys.executable, "-m", "entrypoints", "serve"), environment, "/readyz")
        with (
            serving(program, None) as server,
            httpx2.Client(base_url=server.url, timeout=_TIMEOUT_S) as client,
        ):
            found = measure(client, server, rounds)
    sys.stdout.write("\n".join(_line(name, each) for name, each in found.items()) + "\n")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 7)
