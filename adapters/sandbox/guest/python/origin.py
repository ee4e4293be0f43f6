"""Scripts that were written for the origin: what they find, and how their results become JSON."""

# ruff: noqa: D103  # functions of one program, which names explain

from __future__ import annotations

import collections
import contextlib
import dataclasses
import datetime as dt
import decimal
import enum
import functools
import operator
import os
import re
import sys
import traceback
import types
import uuid

from .results import DEPTH_MAX, NotSerializable, result_text
from .scripts import FILE_NAME, NO_RESULT, CompiledScript

TYPE_CHECKING = False  # importing typing would cost a tenth of the start
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from .progress import ProgressReporter

LEVELS = ("trace", "debug", "info", "success", "warning", "error", "critical")
SEQUENCES = (list, tuple, set, frozenset, collections.deque)
ITERATORS = (types.GeneratorType, types.CoroutineType, types.AsyncGeneratorType)
ADDRESSES = ("IPv4Address", "IPv4Interface", "IPv4Network", "IPv6Address", "IPv6Interface", "IPv6Network")
NOTED_MAX = 10
NAME_SIZE_MAX = 100


class OriginScript(CompiledScript):
    """A script whose result is what `handle(params)` returns, or else its `result`."""

    def run(  # type: ignore[explicit-override]  # `typing` takes long to import
        self,
        event: dict[str, Any],
        progress: ProgressReporter,  # noqa: ARG002  # the origin has none
    ) -> Any:
        names = self.new_names()
        names.update(event, logger=Logger())
        exec(self.code, names)  # noqa: S102  # the purpose of this program
        handle = names.get("handle")
        if not callable(handle):
            return names.get("result", NO_RESULT)
        value = handle(event["params"])
        return NO_RESULT if value is None and not self.returns_values(handle) else value

    def text_of(self, result: Any, size_max: int) -> bytes:  # type: ignore[explicit-override]  # `typing` takes long to import
        try:
            return result_text(result, size_max)
        except NotSerializable:
            fitting = Fitting()
            text = result_text(fitting.fitted(result), size_max)
        fitting.report()
        return text


class Fitting:
    """Replaces what JSON cannot hold by what FastAPI 0.95 with pydantic 1.10 writes for it."""

    def __init__(self) -> None:
        self.replaced: dict[str, None] = {}

    def fitted(self, result: Any) -> Any:
        """Return the result with its values replaced; raises NotSerializable."""
        try:
            return self.value(result, "result", 0)
        except RecursionError:
            raise NotSerializable("The result is nested too deeply for JSON.") from None

    def report(self) -> None:
        """Name the types of the replaced values on stderr: another calling convention would refuse them."""
        names = ", ".join(sorted(self.replaced)[:NOTED_MAX])
        line = f'Of the result, the calling convention "origin" has fitted to JSON: {names}\n'
        with contextlib.suppress(OSError):  # the script may have closed it
            os.write(2, line.encode("utf-8", "replace"))

    def value(self, value: Any, path: str, depth: int) -> Any:
        if depth > DEPTH_MAX:
            raise NotSerializable("The result is nested too deeply for JSON, or contains itself.")
        if isinstance(value, enum.Enum):
            return self.noted(value, value.value)
        if isinstance(value, (str, int, float, type(None))):
            return value
        if isinstance(value, dict):
            return dict(self.members(value, path, depth))
        if isinstance(value, SEQUENCES):
            values = [self.value(each, f"{path}[{n}]", depth + 1) for n, each in enumerate(value)]
            return values if isinstance(value, (list, tuple)) else self.noted(value, values)
        return self.noted(value, self.replacement(value, path, depth))

    def members(self, value: dict[Any, Any], path: str, depth: int) -> Iterable[tuple[Any, Any]]:
        for key, each in value.items():
            fitted_key = self.value(key, f"{path} (a key)", depth + 1)
            if isinstance(fitted_key, (list, dict)):
                raise NotSerializable(f"{path} (a key) is {kind_of(key)}, which JSON cannot hold.")
            yield fitted_key, self.value(each, f"{path}[{key!r}]", depth + 1)

    def replacement(self, value: Any, path: str, depth: int) -> Any:
        for classes, replace in (*REPLACEMENTS, *loaded_replacements()):
            if isinstance(value, classes):
                try:
                    return replace(value)
                except (ValueError, TypeError):  # bytes that are no UTF-8, a Decimal that is no number
                    raise NotSerializable(f"{path} is {kind_of(value)}, which JSON cannot hold.") from None
        return self.value(attributes_of(value, path), path, depth + 1)

    def noted(self, value: Any, fitted: Any) -> Any:
        self.replaced[type(value).__name__[:NAME_SIZE_MAX]] = None
        return fitted


def attributes_of(value: Any, path: str) -> dict[Any, Any]:
    """Return an object as a dictionary; raises NotSerializable if it is none."""
    if isinstance(value, ITERATORS):
        raise NotSerializable(
            f'{path} is {kind_of(value)}, which JSON cannot hold. The calling convention "origin" awaits nothing.'
        )
    readers: tuple[Callable[[Any], Any], ...] = (dict, vars)
    if dataclasses.is_dataclass(value):
        readers = (dataclasses.asdict,)
    for read in readers:
        try:
            return dict(read(value))
        except Exception:  # noqa: BLE001, S112  # code of the script
            continue
    raise NotSerializable(f"{path} is {kind_of(value)}, which JSON cannot hold.")


def kind_of(value: Any) -> str:
    return f"a value of type {type(value).__name__[:NAME_SIZE_MAX]}"


def number_of(value: decimal.Decimal) -> float:
    """Return an integer if it has no decimal places; raises ValueError and TypeError if it is no number."""
    exponent = value.as_tuple().exponent
    return int(value) if exponent >= 0 else float(value)  # type: ignore[operator]  # a text if it is no number


REPLACEMENTS: tuple[tuple[type | tuple[type, ...], Callable[[Any], Any]], ...] = (
    ((dt.date, dt.time), operator.methodcaller("isoformat")),
    (dt.timedelta, dt.timedelta.total_seconds),
    (decimal.Decimal, number_of),
    (uuid.UUID, str),
    (bytes, bytes.decode),
    (re.Pattern, operator.attrgetter("pattern")),
)


def loaded_replacements() -> Iterable[tuple[tuple[type, ...], Callable[[Any], Any]]]:
    """Yield the replacements for classes of modules that take long to import, if the script has imported them."""
    for module, names in (("pathlib", ("PurePath",)), ("ipaddress", ADDRESSES)):
        loaded = sys.modules.get(module)
        yield tuple(getattr(loaded, name) for name in names if hasattr(loaded, name)), str


class Logger:
    """What scripts find as `logger`: of loguru's methods those that write a line to stderr, `bind` and `opt`."""

    def __init__(self, exception: object = None) -> None:
        self._exception = exception

    def __getattr__(self, name: str) -> Callable[..., None]:
        if name not in LEVELS:
            known = ", ".join((*LEVELS, "exception", "log", "bind", "opt"))
            raise AttributeError(f"the logger has no {name!r}: it has {known}")
        return functools.partial(self.log, name.upper())

    def log(self, level: str | int, message: object, *given: object, **named: object) -> None:
        """Write a line. With further arguments, the message is formatted by `str.format`."""
        text = str(message).format(*given, **named) if given or named else str(message)
        sys.stderr.write(f"{level!s: <8} | {place_of_caller()} - {text}\n{self._trace()}")

    def exception(self, message: object, *given: object, **named: object) -> None:
        """Write a line of level ERROR, and the stack of the exception that is being handled."""
        Logger(exception=True).log("ERROR", message, *given, **named)

    def bind(self, **_extra: object) -> Logger:
        return self

    def opt(self, *, exception: object = None, **_others: object) -> Logger:
        return Logger(exception)

    def _trace(self) -> str:
        error = sys.exception() if self._exception is True else self._exception
        if not isinstance(error, BaseException):
            return ""
        return "".join(traceback.format_exception(error))


def place_of_caller() -> str:
    """Return the function and the line of the script that calls the logger."""
    frame = sys._getframe(1)  # noqa: SLF001  # `inspect` would take longer
    while frame.f_code.co_filename != FILE_NAME and frame.f_back is not None:
        frame = frame.f_back
    return f"{frame.f_code.co_name}:{frame.f_lineno}"
