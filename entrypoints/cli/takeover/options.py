"""The options that commands of a takeover share."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click
from attrs import frozen

from domain.identity import Owner
from domain.takeover.languages import MappingRefused, OriginLanguages, read_rules
from domain.takeover.options import TakeoverOptions
from domain.takeover.owners import AnonymousOwner, LabelOwner, ListedOwner, OwnerRule, OwnersRefused, read_owners
from domain.takeover.plan import Generation
from domain.takeover.source import SourceAddress
from domain.takeover.source_session import Expired, Scriptless
from entrypoints.cli.arguments import owner
from entrypoints.settings.settings import Settings

Command = TypeVar("Command", bound=Callable[..., Any])

_ANONYMOUS = "anonymous"
_USER_ID = "user_id"
_MAPPINGS_SIZE_MAX = 1024 * 1024
_OWNERS_SIZE_MAX = 64 * 1024 * 1024
_SIZE = re.compile(r"([1-9][0-9]{0,6})(KiB|MiB)")
_SIZE_UNITS = {"KiB": 1024, "MiB": 1024**2}
_SIZE_MAX = 64 * 1024**2


def _timezone(text: str) -> str:
    try:
        return ZoneInfo(text).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise click.BadParameter(f"{text!r} is no time zone; write a name such as UTC or Asia/Tokyo") from None


def _option(*names: str, **given: Any) -> Callable[[Command], Command]:
    return click.option(*names, **given)


mappings_option = _option(
    "--mappings",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE",
    help="The RUNTIME_MAPPINGS_FILE of the origin, if its RUNTIME_SELECTION_STRATEGY is config.",
)
_SOURCE: Sequence[Callable[[Any], Any]] = (
    _option("--source", metavar="URL", help="The PostgreSQL of the origin. Default: TAKEOVER_SOURCE_URL."),
    _option("--schema", metavar="NAME", help="The schema of its tables. Default: TAKEOVER_SOURCE_SCHEMA."),
    _option(
        "--redis", metavar="URL", help="The Redis of the origin, if it is of generation 1. Default: TAKEOVER_REDIS_URL."
    ),
    _option(
        "--timezone", type=_timezone, metavar="ZONE", help="The time zone of instants that are stored without one."
    ),
    _option(
        "--generation",
        type=click.Choice(["auto", *(each.value for each in Generation)]),
        default="auto",
        show_default=True,
        help="Where the origin keeps sessions: g1 in Redis too, g2 in memory too, g3 in PostgreSQL alone.",
    ),
)
_POLICY: Sequence[Callable[[Any], Any]] = (
    _option(
        "--owner",
        "owner_rule",
        metavar="anonymous|user_id|FILE",
        default=_ANONYMOUS,
        show_default=True,
        help="The owner of sessions here: anonymous, their user_id, or as a CSV file with user_id,owner says.",
    ),
    _option("--default-owner", type=owner, metavar="OWNER", help="The owner of sessions whose user_id gives none."),
    mappings_option,
    _option(
        "--expired",
        type=click.Choice([each.value for each in Expired]),
        default=Expired.RETAINED.value,
        show_default=True,
        help="Expired sessions to take: those within SESSION_RETENTION_SECONDS, none, or all.",
    ),
    _option(
        "--scriptless",
        type=click.Choice([each.value for each in Scriptless]),
        default=Scriptless.LEAVE.value,
        show_default=True,
        help="Sessions without a script: leave them, or pin them to the function of their language-title.",
    ),
    _option("--honour-status", is_flag=True, help="Close sessions whose status is not active. The origin serves them."),
)


def source_options(command: Command) -> Command:
    """Add the options about the origin; `SourceChoice.of` reads them."""
    return _with(command, _SOURCE)


def policy_options(command: Command) -> Command:
    """Add the options about what is taken; `chosen_options` reads them."""
    return _with(command, _POLICY)


restored_option = _option(
    "--restored",
    is_flag=True,
    help="Continue with this source although it is another database: the origin was restored to it.",
)
lost_option = _option(
    "--origin-lost",
    is_flag=True,
    help="The origin is lost for good: go on without it, with what was copied of it.",
)
report_option = _option(
    "--report",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="A new file for one JSON object in each line: what was left or is unusual, with the reason.",
)


def _batch_bytes(text: str) -> int:
    """Return a size, such as 512KiB or 8MiB; raises BadParameter."""
    match = _SIZE.fullmatch(text)
    size_bytes = int(match[1]) * _SIZE_UNITS[match[2]] if match else 0
    if not 0 < size_bytes <= _SIZE_MAX:
        raise click.BadParameter(f"{text!r} is not a size of a batch; write 512KiB or 8MiB, at most 64MiB")
    return size_bytes


batch_bytes_option = _option(
    "--batch-bytes",
    type=_batch_bytes,
    default="8MiB",
    show_default=True,
    metavar="SIZE",
    help="The size of a batch. A larger session is left.",
)


def _with(command: Command, options: Sequence[Callable[[Any], Any]]) -> Command:
    for option in reversed(options):
        command = option(command)
    return command


@frozen
class SourceChoice:
    """Where the origin is, and of which generation it is if the operator says so."""

    address: SourceAddress
    generation: Generation | None
    is_restored: bool = False
    """Whether the origin was restored to this source, so that it may differ from the one of before."""

    @classmethod
    def of(cls, given: Mapping[str, Any], settings: Settings) -> "SourceChoice":
        """Read the options, and the settings in their place; raises UsageError without a source."""
        named = given["source"] or (settings.takeover_source_url and settings.takeover_source_url.reveal())
        if not named:
            raise click.UsageError("Name the database of the origin with --source or TAKEOVER_SOURCE_URL.")
        schema = given["schema"] or settings.takeover_source_schema
        generation = None if given["generation"] == "auto" else Generation(given["generation"])
        redis, cache_url = settings.takeover_redis_url, given["redis"]
        if cache_url is None and redis is not None:
            cache_url = redis.reveal()
        if generation not in (None, Generation.G1):
            cache_url = None
        return cls(SourceAddress(named, schema, given["timezone"], cache_url), generation, given.get("restored", False))


def chosen_options(given: Mapping[str, Any], settings: Settings) -> TakeoverOptions:
    """Read the options about what is taken, and their files; raises BadParameter."""
    return TakeoverOptions(
        owners=_owner_rule(given["owner_rule"], given["default_owner"], settings),
        languages=OriginLanguages() if given["mappings"] is None else origin_languages(given["mappings"]),
        expired=Expired(given["expired"]),
        scriptless=Scriptless(given["scriptless"]),
        honours_status=given["honour_status"],
    )


def origin_languages(path: Path) -> OriginLanguages:
    """Return the rules of the origin's mapping file; raises BadParameter."""
    try:
        return read_rules(json.loads(text_of(path, _MAPPINGS_SIZE_MAX)))
    except (MappingRefused, ValueError) as error:
        raise click.BadParameter(f"{str(path)!r}: {error}", param_hint="--mappings") from None


def _owner_rule(named: str, default: Owner | None, settings: Settings) -> OwnerRule:
    if named == _ANONYMOUS:
        if settings.authenticated:
            raise click.BadParameter(
                "with authentication no caller is anonymous, so nobody could use the sessions; name user_id or a file",
                param_hint="--owner",
            )
        return AnonymousOwner()
    if not settings.authenticated:
        raise click.BadParameter(
            "without authentication every caller is anonymous, and sessions of other owners are hidden from it; set "
            "AUTH to required, or leave --owner out",
            param_hint="--owner",
        )
    if named == _USER_ID:
        if default is None:
            raise click.BadParameter("is needed for sessions without a valid user_id", param_hint="--default-owner")
        return LabelOwner(default)
    return ListedOwner(_listed(Path(named)), default)


def _listed(path: Path) -> Mapping[str, Owner]:
    try:
        return read_owners(text_of(path, _OWNERS_SIZE_MAX).splitlines(keepends=True))
    except (OSError, OwnersRefused, ValueError) as error:
        raise click.BadParameter(f"{str(path)!r}: {error}", param_hint="--owner") from None


def text_of(path: Path, size_max: int) -> str:
    """Return the text of a file, or of standard input for `-`.

    Raises ValueError if it is too large or not UTF-8, or OSError.
    """
    with click.open_file(path, "rb") as file:
        content: bytes = file.read(size_max + 1)
    if len(content) > size_max:
        raise ValueError(f"it is larger than {size_max:,} bytes")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"it is not UTF-8 at byte {error.start + 1:,}; convert it to UTF-8") from None
