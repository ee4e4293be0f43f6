"""The body of errors, by its field names in JSON."""

from msgspec import UNSET, Struct, UnsetType

from entrypoints.http.payloads import fields


class Error(Struct):
    """What went wrong: a code for programs, a message for people, details for both."""

    code: fields.Code
    message: fields.Message
    details: fields.Details


class ErrorBody(Struct, omit_defaults=True):
    """The one shape of every error; `request_id` is the session's."""

    error: Error
    request_id: fields.RequestId | UnsetType = UNSET
