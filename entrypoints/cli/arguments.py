"""Arguments of commands, as types."""

import re
from collections.abc import Callable
from datetime import timedelta

import click

from domain.access.principal import Scope
from domain.identity import Owner, OwnerRefused, named_owner, parse_owner

_SPAN = re.compile(r"([1-9][0-9]{0,5})(s|m|h|d)")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_SPAN_MAX = timedelta(days=3660)


def span(text: str) -> timedelta:
    """Return a length of time, such as 30m, 12h or 90d; raises BadParameter."""
    match = _SPAN.fullmatch(text)
    length = timedelta(**{_UNITS[match[2]]: int(match[1])}) if match else None
    if length is None or length > _SPAN_MAX:
        raise click.BadParameter(f"{text!r} is not a length of time; write 30m, 12h or 90d, up to ten years")
    return length


def owner(text: str) -> Owner:
    """Return the name of an owner that a caller can have; raises BadParameter."""
    return _owner(text, parse_owner)


def any_owner(text: str) -> Owner:
    """Return the name of an owner, reserved ones included; raises BadParameter."""
    return _owner(text, named_owner)


def _owner(text: str, read: Callable[[str], Owner]) -> Owner:
    try:
        return read(text)
    except OwnerRefused as error:
        raise click.BadParameter(str(error)) from None


scopes_option = click.option(
    "--scope",
    "scopes",
    type=click.Choice([each.value for each in Scope]),
    multiple=True,
    required=True,
    help="What the credential allows. Repeat the option for several scopes.",
)
owner_option = click.option(
    "--owner", type=owner, metavar="OWNER", required=True, help="The owner that the caller acts as."
)
