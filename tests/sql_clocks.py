"""Finds where SQL reads the server's clock: by functions, and by strings that PostgreSQL reads as the present time."""

import re

_CALLS = re.compile(
    r"""
    \b(?:now|timeofday|clock_timestamp|statement_timestamp|transaction_timestamp)"?\s*\(
    | \b(?:current_timestamp|current_date|current_time|localtimestamp|localtime)\b
    | \b(?:uuidv7|uuid_generate_v1|uuid_generate_v1mc|pg_sleep_until)"?\s*\(
    | \bage"?\s*\((?:[^(),]|\([^()]*\))*\)  # with one argument it counts from the present day
    """,
    re.IGNORECASE | re.VERBOSE,
)
_WORDS = re.compile(r"\b(?:now|today|tomorrow|yesterday)\b", re.IGNORECASE)
_QUOTED = r"'(?:[^']|'')*'"
_TEXTS = re.compile(
    rf"""
    (?P<prose>--[^\n]*|/\*.*?\*/|\bCOMMENT\s+ON\s[^';]*{_QUOTED}(?:\s*\n\s*{_QUOTED})*)
    | (?P<escaped>\be'(?:[^'\\]|\\.|'')*')
    | (?P<quoted>{_QUOTED}(?:\s*\n\s*{_QUOTED})*)
    | (?P<dollar>\$\w*\$[\w\s:.,+/-]*\$\w*\$)
    """,
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)
_CONTINUED = re.compile(r"'\s*\n\s*'")


def clock_reads(text: str) -> list[str]:
    """Return every read of the clock, as it is written.

    Calls are found in comments as well. A string that has one of the words is found whatever becomes of it, because
    PostgreSQL may read it as a time without a cast: in a comparison, a default, an argument. Bodies of functions are
    looked into; the texts of COMMENT ON are prose.
    """
    calls = [found.group().strip() for found in _CALLS.finditer(text)]
    texts = [_CONTINUED.sub("", found.group()) for found in _TEXTS.finditer(text) if not found["prose"]]
    return calls + [each for each in texts if _WORDS.search(each)]
