"""How the scripts of the origin look, and what that means for a takeover."""

import re
from collections.abc import Mapping, Sequence
from enum import StrEnum

from domain.scripts.language import Language


class ScriptForm(StrEnum):
    """Where a script has its result, as the origin looks for it. HANDLER and MODULE_EXPORTS never worked there."""

    BODY = "body"
    MODULE_EXPORTS = "module.exports"
    RESULT = "result"
    HANDLE = "handle"
    HANDLER = "handler"


_FORMS: Mapping[Language, Sequence[tuple[ScriptForm, re.Pattern[str]]]] = {
    Language.NODEJS: [(ScriptForm.MODULE_EXPORTS, re.compile(r"\bmodule\.exports\b|\bexports\.\w+[ \t]*="))],
    Language.PYTHON: [
        (ScriptForm.HANDLE, re.compile(r"^(?:async )?def handle\b", re.MULTILINE)),
        (ScriptForm.RESULT, re.compile(r"^[ \t]*result\b[ \t]*(?::[^=\n]*)?=(?!=)", re.MULTILINE)),
        (ScriptForm.HANDLER, re.compile(r"^(?:async )?def handler\b", re.MULTILINE)),
    ],
}

EXAMINED_SIZE_MAX = 256 * 1024
"""Characters of a script that are looked at for its form."""

MEANINGS: Mapping[str, str] = {
    "P1": (
        "handle reads params of its parameter, but is called with the params alone, here as at the origin. "
        "SCRIPT_CONVENTION=own gives new sessions the event."
    ),
    "P2": "A function handler is not called under the convention origin.",
    "P3": "handle has no parameter, or more than one. It is called with the params alone.",
    "P4": "logger writes to the stderr of each execution here.",
    "P4-missing": "This method of logger is not there, so such a call fails.",
    "P5": "A result that is no JSON is converted as FastAPI converts it. A coroutine fails.",
    "P7": (
        "The sandbox has no network, files, processes, environment or further packages. Let such sessions end at the "
        "origin, or run them on runtime hosts."
    ),
    "P8": "It waits. SCRIPT_TIMEOUT_MS is the limit of an execution here.",
    "P9": "It changes modules, which sessions of the origin share. Sessions here share nothing.",
    "event-first": "As a function it needs the convention event-first: its one parameter is the event.",
    "N1": "Such values become what JSON.stringify makes of them.",
    "N2": "It declares module, require or exports itself, which only the convention origin allows.",
    "N3": "process.env has NODE_ENV alone, with the value of SCRIPT_NODE_ENV.",
    "N5": "It closes the function around it, which is a syntax error here.",
    "E1": "module.exports is an error at the origin, and works here.",
}
"""What a finding of `domain.scripts.examination` means for a taken session, by its code in docs/conventions.md."""


def form_of(language: Language, source: str) -> ScriptForm:
    """Return the form of a script, by its text alone."""
    text = source[:EXAMINED_SIZE_MAX]
    return next((form for form, sign in _FORMS[language] if sign.search(text)), ScriptForm.BODY)
