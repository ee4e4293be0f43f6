"""The contracts of the routes of files."""

from typing import Annotated

from msgspec import Meta

from domain.errors import FieldTooLarge, QuotaReached, StorageUnavailable
from domain.files.file import DigestMismatch, FileExpired, FileNotFound, StorageFull
from entrypoints.http.contract import ApiExample, Contract, In, Link, Parameter, ResponseHeader, Tag
from entrypoints.http.errors import RangeNotSatisfiable, UnsupportedMediaType
from entrypoints.http.openapi.parameters import CURSOR, ETAG, IF_NONE_MATCH, LIMIT, LINK
from entrypoints.http.parsing.uploads import NAME_LENGTH_MAX

_SHA256 = "492d5ea496056f1a6a6592241032fab764c321596317930b4fa0e1e8bc3b7470"
_NAME = Parameter(
    "name",
    In.QUERY,
    Annotated[str, Meta(min_length=1, max_length=NAME_LENGTH_MAX, pattern=r"^[^/\\]+$")],
    "The name of the file, of printable characters without / and \\. The default is file.",
    "data.csv",
)
_DIGEST = Parameter(
    "Content-Digest",
    In.HEADER,
    Annotated[str, Meta(pattern="^sha-256=:[A-Za-z0-9+/]{43}=:$")],
    "The SHA-256 of the body (RFC 9530). If it differs, nothing is stored.",
    "sha-256=:SS1epJYFbxpqZZIkEDL6t2TDIVljF5MLT6Dh6Lw7dHA=:",
)
_RANGE = Parameter(
    "Range",
    In.HEADER,
    Annotated[str, Meta(pattern="^bytes=([0-9]{1,9}-[0-9]{0,9}|-[1-9][0-9]{0,8})$")],
    "One range of bytes, such as bytes=0-1023, bytes=1024- or bytes=-512. Several ranges give the whole.",
    "bytes=0-3",
)
_IF_RANGE = Parameter(
    "If-Range",
    In.HEADER,
    str,
    "The ETag of which the range is wanted; another one gives the whole.",
    f'"{_SHA256}"',
)
_LOCATION = ResponseHeader(
    "Location", str, "The path of the file.", "/api/v1/files/01a2101f-a3da-7b64-8000-000000000006"
)
_FILE = {
    "file_id": "01a2101f-a3da-7b64-8000-000000000006",
    "name": "data.csv",
    "content_type": "text/csv",
    "bytes": 8,
    "sha256": _SHA256,
    "expires_at": "2026-11-26T12:00:02.000000Z",
    "request_id": None,
    "execution_id": None,
}
_OF_FILE = {"file_id": "$response.body#/file_id"}
_READS = (FileNotFound, FileExpired, StorageUnavailable)

UPLOAD = Contract(
    Tag.FILES,
    "Upload a file",
    "Stores the body, as it is, for FILE_RETENTION_SECONDS. Each 256 KiB must arrive within 16 s. Without "
    "Content-Length, MAX_FILE_MB count in the quota of the owner until the end of the upload. A file counts at least "
    "64 KiB there. Nobody sees a file whose upload has broken off.",
    parameters=(_NAME, _DIGEST),
    errors=(
        FieldTooLarge,
        UnsupportedMediaType,
        DigestMismatch,
        QuotaReached,
        StorageFull,
        FileNotFound,
        StorageUnavailable,
    ),
    headers=(_LOCATION,),
    examples=(ApiExample("csv", "A table", body="a,b\n1,2\n", parameters={"name": "data.csv"}, response=_FILE),),
    links=(
        Link("get_file_content", "Read the content.", _OF_FILE),
        Link("get_file", "Read what is known of it.", _OF_FILE),
        Link("delete_file", "Remove it.", _OF_FILE),
    ),
    binary_body=True,
)

LIST = Contract(
    Tag.FILES,
    "List files",
    "Lists the caller's files that are kept, newest first.",
    parameters=(LIMIT, CURSOR),
    errors=(StorageUnavailable,),
    headers=(LINK,),
    examples=(
        ApiExample(
            "own",
            "The caller's files",
            parameters={"limit": 20},
            response={"files": [_FILE], "next_cursor": None},
        ),
    ),
    links=(Link("list_files", "Read the next page.", {"query.cursor": "$response.body#/next_cursor"}),),
)

GET = Contract(
    Tag.FILES,
    "Read what is known of a file",
    "Returns name, size, digest and expiry.",
    errors=_READS,
    examples=(ApiExample("file", "The file", response=_FILE),),
    links=(Link("get_file_content", "Read the content.", _OF_FILE),),
)

DELETE = Contract(
    Tag.FILES,
    "Remove a file",
    "Removes a file at once, and erases its content soon.",
    errors=(FileNotFound, StorageUnavailable),
    examples=(ApiExample("remove", "Remove the file"),),
)

CONTENT = Contract(
    Tag.FILES,
    "Read the content of a file",
    "Returns the content with the media type of the file, as an attachment that a browser does not show. The ETag is "
    "the SHA-256. A connection that ends early says that the file was removed, or that the client took nothing for "
    "30 s.",
    parameters=(_RANGE, _IF_RANGE, IF_NONE_MATCH),
    errors=(*_READS, RangeNotSatisfiable),
    headers=(ETAG,),
    examples=(ApiExample("beginning", "The first bytes", parameters={"Range": "bytes=0-3"}),),
    binary_responses={200: "The whole content.", 206: "The range of the content."},
)
