"""What calls that run later say about files, as JSON values."""

import base64
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from domain.files.asked import AskedFile, AskedFiles


def files_facts(asked: AskedFiles) -> Mapping[str, Any]:
    """Return it with ids as text, and content in base64."""
    given = [
        {"path": each.path, "base64": base64.b64encode(each.content).decode()}
        if each.file_id is None
        else {"path": each.path, "file_id": str(each.file_id)}
        for each in asked.given
    ]
    return {"given": given, "collect": asked.collect}


def asked_of(facts: Mapping[str, Any]) -> AskedFiles:
    """Return what has these facts."""
    collect = facts["collect"]
    return AskedFiles(tuple(map(_file, facts["given"])), tuple(collect) if isinstance(collect, list) else collect)


def _file(facts: Mapping[str, str]) -> AskedFile:
    if "file_id" in facts:
        return AskedFile(facts["path"], UUID(facts["file_id"]))
    return AskedFile(facts["path"], content=base64.b64decode(facts["base64"]))
