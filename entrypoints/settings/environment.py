"""Reading the table of settings from environment variables."""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import msgspec
from msgspec import inspect

from entrypoints.settings.secret import Secret

_FILE_SIZE_MAX = 64 * 1024

Table = TypeVar("Table", bound=msgspec.Struct)


class SettingsError(Exception):
    """Some settings are wrong. Each problem names its variable, says what is wrong, and what to do."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


def read_environment(table: type[Table], environ: Mapping[str, str]) -> Table:
    """Return the table with the values of variables and `NAME_FILE`s; raises SettingsError with every problem."""
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
    return table(**_defaults(environ) | values)


def variables_of(table: type[msgspec.Struct]) -> frozenset[str]:
    """Return the names of all variables that can set a field of the table, `NAME_FILE`s included."""
    kinds = get_type_hints(table, include_extras=True)
    files = {f"{name}_FILE".upper() for name, kind in kinds.items() if _is_secret(kind)}
    return frozenset(files | {name.upper() for name in kinds})


def decode_foreign(kind: type[Any], value: Any) -> Any:
    """Decode the types that msgspec does not know: secrets and absolute paths."""
    if kind is Secret:
        return Secret(value)
    if kind is Path:
        return Path(value).expanduser().absolute()
    raise NotImplementedError(kind)


def encode_foreign(value: Any) -> str:
    """Encode secrets (in plain text) and paths."""
    return value.reveal() if isinstance(value, Secret) else str(value)


def default_data_dir(environ: Mapping[str, str]) -> Path:
    """Return the system's folder for root, and the user's data folder for others."""
    if os.geteuid() == 0:
        return Path("/var/lib/pglambda")
    own = environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(own).expanduser().absolute() / "pglambda"


def _defaults(environ: Mapping[str, str]) -> dict[str, Any]:
    """Return the defaults that depend on the environment."""
    has_database_url = environ.get("DATABASE_URL") or environ.get("DATABASE_URL_FILE")
    return {"data_dir": default_data_dir(environ), "auto_migrate": not has_database_url}


def _text(name: str, kind: Any, environ: Mapping[str, str]) -> str | None:
    text = environ.get(name) or None
    path = (environ.get(f"{name}_FILE") or None) if _is_secret(kind) else None
    if path is None:
        return text
    if text is not None:
        raise ValueError(f"{name}_FILE: {name} is set too. Unset one of them.")
    return _file_text(f"{name}_FILE", path)


def _file_text(name: str, path: str) -> str:
    try:
        with Path(path).open("rb") as file:
            content = file.read(_FILE_SIZE_MAX + 1)
        text = content.decode().strip()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ValueError(f"{name}: cannot read {path!r}: {reason}. Name a text file that this user can read.") from None
    if not text or len(content) > _FILE_SIZE_MAX:
        raise ValueError(f"{name}: {path!r} is empty or too large. It must have 1 to {_FILE_SIZE_MAX} bytes of text.")
    return text


def _parse(name: str, text: str, kind: Any) -> Any:
    value = tuple(_items(text)) if _is_list(kind) else text.strip()
    try:
        return msgspec.convert(value, kind, strict=False, dec_hook=decode_foreign)
    except msgspec.ValidationError:
        shown = "its value" if _is_secret(kind) else repr(text)
        raise ValueError(f"{name}: {shown} is not valid. Set it to {_expected(kind)}, or unset it.") from None


def _items(text: str) -> Iterator[str]:
    return filter(None, (item.strip() for item in text.split(",")))


def _expected(kind: Any) -> str:
    """Describe the values of a setting."""
    info = _value_type(inspect.type_info(kind))
    if isinstance(info, inspect.EnumType):
        return f"one of {', '.join(info.cls)}"
    if isinstance(info, inspect.BoolType):
        return "true or false"
    if isinstance(info, inspect.StrType):
        return f"a text of {info.min_length} to {info.max_length} characters"
    assert isinstance(info, inspect.IntType | inspect.FloatType), info
    noun = "a whole number" if isinstance(info, inspect.IntType) else "a number"
    return f"{noun} above {info.gt} up to {info.le}" if info.gt is not None else f"{noun} from {info.ge} to {info.le}"


def _value_type(info: inspect.Type) -> inspect.Type:
    """Return the type itself: without its description, and without None."""
    if isinstance(info, inspect.Metadata):
        return _value_type(info.type)
    if isinstance(info, inspect.UnionType):
        return _value_type(next(each for each in info.types if not isinstance(each, inspect.NoneType)))
    return info


def _is_secret(kind: Any) -> bool:
    return _contains(kind, Secret)


def _is_list(kind: Any) -> bool:
    return _contains(kind, tuple)


def _contains(kind: Any, wanted: type) -> bool:
    return wanted in {kind, get_origin(kind)} or any(
        _contains(part, wanted) for part in get_args(kind) if isinstance(part, type) or get_args(part)
    )
