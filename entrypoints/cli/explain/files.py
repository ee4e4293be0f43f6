"""Which facts explain the id of a file."""

from collections.abc import Iterator

from domain.files.file import StoredFile
from domain.identity import uuid7_time
from domain.timeline import ClockReading
from entrypoints.cli.explain.sentences import Evidence, Explanation, clock_read, counted, fact, summary


def explain_file(file: StoredFile, clock: ClockReading) -> Explanation:
    """Return the explanation of a complete file."""
    name = "file_kept" if clock.now < file.expires_at else "file_expired"
    return Explanation(*summary(name, at=file.expires_at), [*_statements(file), clock_read(clock)])


def _statements(file: StoredFile) -> Iterator[Evidence]:
    yield fact("file_begun", uuid7_time(file.file_id))
    size = counted(file.size, "byte")
    yield fact("file_facts", owner=file.owner, called=file.name, size=size, type=file.content_type)
    if file.execution_id is None:
        yield fact("file_uploaded")
    else:
        yield fact("file_left", execution=file.execution_id, session=file.session_id)
