"""The calls in docs/origin-api.md, in their order, give what the document says."""

import json
import re
from pathlib import Path
from typing import Any

DOCUMENT = Path(__file__).parents[3] / "docs" / "origin-api.md"
ROW = re.compile(
    r"^\| `([A-Z]+) ([^`]+)`(?:, `([\w-]+): ([^`]+)`)? \| (?:`(.*?)`)? ?\| (\d{3}) \| (.*?) ?\|$", re.MULTILINE
)
CALLS = 14
FORMS = {
    "ID": re.compile(r"[0-9a-f-]{36}"),
    "TIME": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"),
    "N": re.compile(r"\d+|None"),
    "VERSION": re.compile(r"\d+\.\d+\.\d+"),
}


def has_form(found: Any, documented: Any) -> bool:
    """Return whether a value is the documented one, member by member in the same order."""
    if isinstance(documented, dict):
        return list(found) == list(documented) and all(has_form(found[name], documented[name]) for name in found)
    if isinstance(documented, str) and documented in FORMS:
        return FORMS[documented].fullmatch(str(found)) is not None
    return found == documented


def documented_response(text: str) -> Any:
    text = text.strip("`")
    return json.loads(re.sub(r": N(?=[,}])", ': "N"', text)) if text.startswith("{") else text


async def test_every_call_of_the_document_gives_its_response(client):
    rows = [match.groups() for match in ROW.finditer(DOCUMENT.read_text())]
    assert len(rows) == CALLS
    session_id = ""
    for method, target, header, value, body, status, response in rows:
        headers = {header: value} if header else {}
        sent = {} if body is None else {"json": json.loads(body)}
        got = await client.request(method, target.replace("ID", session_id), headers=headers, **sent)
        is_json = got.headers.get("content-type") == "application/json"
        found = got.json() if is_json else got.text
        assert (got.status_code, target) == (int(status), target)
        assert has_form(found, documented_response(response)), f"{target}: {got.text}"
        session_id = session_id or found["request_id"]
