"""Calling conventions: what a script receives, and how its result becomes JSON."""

from enum import StrEnum


class Convention(StrEnum):
    """How the script of a session is called; it never changes during the session.

    OWN calls scripts as docs/scripts.md says. ORIGIN calls them as lambda-microservice does: `handle(params)` in
    Python, the body of `async (event) => {...}` in Node.js, and results as its web frameworks encode them. EVENT_FIRST
    is OWN, except that a function with one parameter receives the event, whatever the parameter's name is.
    """

    OWN = "own"
    ORIGIN = "origin"
    EVENT_FIRST = "event-first"
