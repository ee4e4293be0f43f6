"""Bodies of files."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from domain.files.asked import INLINE_SIZE_MAX
from domain.files.file import StoredFile
from domain.scripts.collected import CollectedFile
from domain.scripts.files import COUNT_MAX, PATH_SIZE_MAX, PATTERNS_LENGTH_MAX
from entrypoints.http.schemas import fields

Path = Annotated[str, Meta(description="The path of the file below /files/in.", min_length=1, max_length=PATH_SIZE_MAX)]
_INLINE = f"All content in the request together has at most {INLINE_SIZE_MAX} bytes"


class GivenFileBody(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """A file that the script finds. It has one of file_id, text and base64."""

    path: Path
    file_id: Annotated[UUID, Meta(description="A file of the caller.")] | UnsetType = UNSET
    text: Annotated[str, Meta(description=f"The content, stored as UTF-8. {_INLINE}.")] | UnsetType = UNSET
    base64: Annotated[str, Meta(description=f"The content in base64. {_INLINE}.")] | UnsetType = UNSET


GivenFilesField = Annotated[
    list[GivenFileBody],
    Meta(
        description="Files that the script finds below /files/in, if its session has files. The default is none.",
        max_length=COUNT_MAX,
    ),
]
Pattern = Annotated[str, Meta(min_length=1, max_length=PATH_SIZE_MAX)]
CollectField = Annotated[
    bool | Annotated[list[Pattern], Meta(max_length=COUNT_MAX)],
    Meta(
        description="Whether the files that the script leaves below /files/out are stored, or the paths of those to "
        "store, such as plots/*.png: * and ? stand for characters within a part. All paths together have at most "
        f"{PATTERNS_LENGTH_MAX} characters. The default is false."
    ),
]


class CollectedFileBody(Struct):
    """A file that the script left. GET /api/v1/files/{file_id}/content returns its content."""

    path: Annotated[str, Meta(description="The path below /files/out.")]
    file_id: Annotated[UUID, Meta(description="The id of the file.")]
    bytes: Annotated[int, Meta(description="Size of the content.", ge=0)]
    sha256: Annotated[str, Meta(description="SHA-256 of the content, in hexadecimal.")]
    content_type: Annotated[str, Meta(description="The media type that follows from the name.")]

    @classmethod
    def of(cls, file: CollectedFile) -> "CollectedFileBody":
        """Return the body for a file."""
        return cls(file.path, file.file_id, file.size, file.sha256, file.content_type)


CollectedFilesField = Annotated[
    list[CollectedFileBody],
    Meta(description="The files that the script left and that were stored. Absent unless collect asks for some."),
]


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
