"""JSON merge patches (RFC 7396)."""

import json
from typing import Any

from domain.json_text import JsonText


def merged(target: JsonText, patch: JsonText) -> JsonText:
    """Return the target with the patch applied: members of null are removed, objects are merged, others replaced."""
    return written(_merged(json.loads(target), json.loads(patch)))


def written(value: Any) -> JsonText:
    """Return a value as JSON text."""
    return JsonText(json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False))


def _merged(target: Any, patch: Any) -> Any:
    """Merge without recursion of its own depth beyond that of JSON, which is bounded before."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = _merged(result.get(name), value)
    return result
