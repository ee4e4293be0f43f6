"""Bodies of files."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from domain.files.file import StoredFile
from entrypoints.http.schemas import fields


class FileResponse(Struct):
    """What is known of a file."""

    file_id: Annotated[UUID, Meta(description="The id of the file.")]
    name: Annotated[str, Meta(description="The name that the caller or the script has given.")]
    content_type: Annotated[str, Meta(description="The media type that was declared, or that follows from the name.")]
    bytes: Annotated[int, Meta(description="Size of the content.", ge=0)]
    sha256: Annotated[str, Meta(description="SHA-256 of the content, in hexadecimal; also the ETag of the content.")]
    expires_at: Annotated[datetime, Meta(description="Until when the file is kept.")]
    request_id: Annotated[UUID | None, Meta(description="The session whose execution has written it, if one has.")]
    execution_id: Annotated[UUID | None, Meta(description="The execution that has written it, if one has.")]

    @classmethod
    def of(cls, file: StoredFile) -> "FileResponse":
        """Return the body for a file."""
        return cls(
            file.file_id,
            file.name,
            file.content_type,
            file.size,
            file.sha256,
            file.expires_at,
            file.session_id,
            file.execution_id,
        )


class FilePage(Struct):
    """A page of files, newest first."""

    files: Annotated[list[FileResponse], Meta(description="The files of the page.")]
    next_cursor: fields.NextCursor
