"""Reading a table of settings from environment variables."""

import os
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from entrypoints.settings.secret import Secret

_FILE_SIZE_MAX = 64 * 1024

Table = TypeVar("Table", bound=msgspec.Struct)


class SettingsError(Exception):
    """Settings are wrong; each problem begins with the name of its variable."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


def read_environment(table: type[Table], environ: Mapping[str, str]) -> Table:
    """Return the table filled from variables and `NAME_FILE`s; raises SettingsError with every problem."""
    problems: list[str] = []
    values: dict[str, Any] = {}
    kinds = get_type_hints(table, include_extras=True)
    for name, kind in kinds.items():
        try:
            text = _text(name.upper(), kind, environ)
            if text is not None:
                values[name] = _parse(name.upper(), text, kind)
        except ValueError as error:
            problems.append(str(error))
    if problems:
        raise SettingsError(problems)
    return table(**_derived(environ) | values)


def decode_foreign(kind: type[Any], value: Any) -> Any:
    """Decode what msgspec does not know: secrets and absolute paths."""
    if kind is Secret:
        return Secret(value)
    if kind is Path:
        return Path(value).expanduser().absolute()
    raise NotImplementedError(kind)


def encode_foreign(value: Any) -> str:
    """Encode secrets (in plain text) and paths."""
    return value.reveal() if isinstance(value, Secret) else str(value)


def default_data_dir(environ: Mapping[str, str]) -> Path:
    """Return the system's folder for root, the user's data folder otherwise."""
    if os.geteuid() == 0:
        return Path("/var/lib/pglambda")
    own = environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(own).expanduser().absolute() / "pglambda"


def _derived(environ: Mapping[str, str]) -> dict[str, Any]:
    given = environ.get("DATABASE_URL") or environ.get("DATABASE_URL_FILE")
    return {"data_dir": default_data_dir(environ), "auto_migrate": not given}


def _text(name: str, kind: Any, environ: Mapping[str, str]) -> str | None:
    text = environ.get(name) or None
    path = (environ.get(f"{name}_FILE") or None) if _is_secret(kind) else None
    if path is None:
        return text
    if text is not None:
        raise ValueError(f"{name}_FILE: {name} is set too; set one of them")
    return _file_text(f"{name}_FILE", path)


def _file_text(name: str, path: str) -> str:
    try:
        with Path(path).open("rb") as file:
            content = file.read(_FILE_SIZE_MAX + 1)
        text = content.decode().strip()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ValueError(f"{name}: cannot read {path!r}: {reason}") from None
    if not text or len(content) > _FILE_SIZE_MAX:
        raise ValueError(f"{name}: {path!r} must hold 1 to {_FILE_SIZE_MAX} bytes of text")
    return text


def _parse(name: str, text: str, kind: Any) -> Any:
    value = tuple(_items(text)) if _is_list(kind) else text.strip()
    try:
        return msgspec.convert(value, kind, strict=False, dec_hook=decode_foreign)
    except msgspec.ValidationError as error:
        shown = "its value" if _is_secret(kind) else repr(text)
        raise ValueError(f"{name}: {shown} does not fit: {_expected(kind) or _sentence(error)}") from None


def _items(text: str) -> Iterator[str]:
    return filter(None, (item.strip() for item in text.split(",")))


def _expected(kind: Any) -> str:
    """Return what a choice is between; nothing for what is no choice."""
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return f"expected one of {', '.join(kind)}"
    return next(filter(None, map(_expected, get_args(kind))), "")


def _sentence(error: msgspec.ValidationError) -> str:
    text = str(error).replace("`", "")
    return text[0].lower() + text[1:]


def _is_secret(kind: Any) -> bool:
    return _mentions(kind, Secret)


def _is_list(kind: Any) -> bool:
    return _mentions(kind, tuple)


def _mentions(kind: Any, wanted: type) -> bool:
    return wanted in {kind, get_origin(kind)} or any(
        _mentions(part, wanted) for part in get_args(kind) if isinstance(part, type) or get_args(part)
    )
