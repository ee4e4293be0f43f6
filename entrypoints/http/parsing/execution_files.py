"""What the body of an execute says about files."""

import base64
from collections import Counter
from collections.abc import Iterator

from msgspec import UnsetType

from domain.errors import FieldTooLarge, Problem
from domain.files.asked import INLINE_SIZE_MAX, AskedFile, AskedFiles
from domain.scripts.files import PATTERNS_LENGTH_MAX, path_fault
from entrypoints.http.parsing.body_problems import BodyProblem
from entrypoints.http.schemas.executions import ExecuteBody
from entrypoints.http.schemas.fields import given
from entrypoints.http.schemas.files import GivenFileBody

_ONE = "must have exactly one of file_id, text and base64"


def files_problems(body: ExecuteBody) -> Iterator[BodyProblem]:
    """Yield what the types of `files` and `collect` cannot express."""
    files, collect = given(body.files) or [], given(body.collect)
    counts = Counter(each.path for each in files)
    for at, each in enumerate(files):
        yield from _file_problems(f"/files/{at}", each, is_double=counts[each.path] > 1)
    size = sum(map(_inline_size, files))
    if size > INLINE_SIZE_MAX:
        yield FieldTooLarge("/files", INLINE_SIZE_MAX, size)
    yield from collect_problems(collect)


def collect_problems(collect: bool | list[str] | None) -> Iterator[Problem]:
    """Yield what the type of `collect` cannot express."""
    patterns = collect if isinstance(collect, list) else []
    length = sum(map(len, patterns))
    if length > PATTERNS_LENGTH_MAX:
        yield Problem("/collect", f"must have at most {PATTERNS_LENGTH_MAX} characters together, not {length}")
    for at, pattern in enumerate(patterns):
        why = path_fault(pattern)
        if why is not None:
            yield Problem(f"/collect/{at}", f"matches no file: {why}")


def asked_files(body: ExecuteBody) -> AskedFiles | None:
    """Return what a body without problems asks for; None if it asks for nothing."""
    files, collect = given(body.files) or [], given(body.collect)
    if not files and (collect is None or collect is False):
        return None
    found = tuple(AskedFile(each.path, given(each.file_id), _content(each)) for each in files)
    return AskedFiles(found, tuple(collect) if isinstance(collect, list) else collect is True)


def _file_problems(where: str, file: GivenFileBody, *, is_double: bool) -> Iterator[Problem]:
    why = path_fault(file.path)
    if why is not None:
        yield Problem(f"{where}/path", f"must be another path: {why}")
    elif is_double:
        yield Problem(f"{where}/path", f"must be another path: {file.path} is named twice")
    if sum(not isinstance(each, UnsetType) for each in (file.file_id, file.text, file.base64)) != 1:
        yield Problem(where, _ONE)
    try:
        _content(file)
    except ValueError:
        yield Problem(f"{where}/base64", "must be base64 with its padding")


def _inline_size(file: GivenFileBody) -> int:
    """Return the bytes of the content, of base64 by its length: so that no text is decoded that is too large."""
    if isinstance(file.text, str):
        return len(file.text.encode())
    return 0 if isinstance(file.base64, UnsetType) else len(file.base64) // 4 * 3 - file.base64[-2:].count("=")


def _content(file: GivenFileBody) -> bytes:
    """Return the content in the request; raises ValueError, as which base64 reports its errors."""
    if isinstance(file.text, str):
        return file.text.encode()
    return b"" if isinstance(file.base64, UnsetType) else base64.b64decode(file.base64, validate=True)
