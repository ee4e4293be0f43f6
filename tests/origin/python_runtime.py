"""The origin's Python runtime: runs scripts with `exec`, one after the other, for a controller at the other end of pipes.

A line of standard input is `{"id": .., "request": {request_id, params, context, script_content}}`, a line of standard
output `{"id": .., "body": TEXT}`, the body that the container would answer with, whatever its status.
"""

import collections
import contextlib
import dataclasses
import datetime as dt
import decimal
import enum
import io
import json
import pathlib
import sys
import time
import types
import uuid

_SEQUENCES = (list, tuple, set, frozenset, collections.deque)
_PAGE_BYTES = 4096


class Log:
    """What scripts have as `logger`: any level, with arguments that the text may name."""

    def __getattr__(self, level):
        return lambda text, *values, **named: sys.stderr.write(f"{level} {str(text).format(*values, **named)}\n")


def fitted(value):
    """Return the value as JSON can tell it, by the rules of FastAPI's encoder on pydantic 1; raises TypeError."""
    if value is None or (isinstance(value, (bool, int, float, str)) and not isinstance(value, enum.Enum)):
        return value
    if isinstance(value, dict):
        return {fitted(name): fitted(each) for name, each in value.items()}
    if isinstance(value, _SEQUENCES):
        return [fitted(each) for each in value]
    if isinstance(value, (types.GeneratorType, types.CoroutineType)):
        raise TypeError(f"cannot create '{type(value).__name__}' instances")
    return _fitted_object(value)


def _fitted_object(value):
    for kinds, told in _TOLD:
        if isinstance(value, kinds):
            return fitted(told(value))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return fitted(dataclasses.asdict(value))
    return fitted(vars(value))


def _number(value):
    return int(value) if value.as_tuple().exponent >= 0 else float(value)


_TOLD = (
    (enum.Enum, lambda value: value.value),
    (bytes, bytes.decode),
    ((dt.datetime, dt.date, dt.time), lambda value: value.isoformat()),
    (dt.timedelta, dt.timedelta.total_seconds),
    (decimal.Decimal, _number),
    ((uuid.UUID, pathlib.PurePath), str),
)


def answered(request):
    """Return the body of the answer."""
    if not isinstance(request["params"], dict) or not isinstance(request["context"], dict):
        return {"detail": [{"msg": "value is not a valid dict", "type": "type_error.dict"}]}
    script = request["script_content"]
    if not script:
        title = request["context"].get("language_title", "default")
        return {"detail": f"Script not found for language title: {title}"}
    began_s, before = time.monotonic(), _resident()
    try:
        result = fitted(run(script, request))
    except Exception as error:  # noqa: BLE001  # whatever the script raises
        return {"detail": {"error": str(error), "execution_time_ms": _since_ms(began_s)}}
    used = max(0, _resident() - before)
    return {"result": result, "execution_time_ms": _since_ms(began_s), "memory_usage_bytes": used}


def run(script, request):
    """Return what `handle(params)` returns if there is such a function, else the global `result`."""
    names = {"params": request["params"], "context": request["context"], "logger": Log()}
    names["request_id"] = request["request_id"]
    with contextlib.redirect_stdout(io.StringIO()):
        exec(script, names)
        handle = names.get("handle")
        return handle(request["params"]) if callable(handle) else names.get("result")


def _resident():
    return int(pathlib.Path("/proc/self/statm").read_text().split()[1]) * _PAGE_BYTES


def _since_ms(began_s):
    return int((time.monotonic() - began_s) * 1000)


def _body(request):
    try:
        return json.dumps(answered(request), ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError):
        return "Internal Server Error"


def main():
    """Answer line by line until the controller is gone."""
    out = sys.stdout
    for line in sys.stdin:
        call = json.loads(line)
        out.write(json.dumps({"id": call["id"], "body": _body(call["request"])}) + "\n")
        out.flush()


if __name__ == "__main__":
    main()
