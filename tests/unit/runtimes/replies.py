"""Replies of runtime hosts, with a default for every field."""

import json

OLD = {"result": 8, "execution_time_ms": 12, "memory_usage_bytes": 4096}
OWN = {
    "result": 8,
    "execution_time_ms": 12.5,
    "memory_usage_bytes": 4096,
    "stdout": "out",
    "stderr": "err",
    "cpu_time_ms": 3.5,
    "queue_time_ms": 0.5,
    "cold_start": True,
    "error": None,
}
ERROR = {
    "code": "SCRIPT_ERROR",
    "message": "missing",
    "name": "KeyError",
    "stack": "line 3",
    "line": 3,
    "column": 7,
    "limit": None,
    "observed": None,
}


def own(**changes) -> bytes:
    return json.dumps(OWN | changes).encode()


def error_body(code: str, message: str = "the reason", **details) -> bytes:
    return json.dumps({"error": {"code": code, "message": message, "details": details}}).encode()
