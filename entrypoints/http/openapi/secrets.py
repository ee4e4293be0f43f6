"""The contracts of the routes of secrets."""

from domain.errors import QuotaReached, StorageUnavailable
from domain.functions.function import FunctionNotFound, FunctionVersionNotFound
from domain.secrets.secret import SecretConflict, SecretNotFound, SecretsUnavailable
from entrypoints.http.contract import ApiExample, Contract, Tag

_SECRET = {
    "name": "API_KEY",
    "version": 1,
    "functions": None,
    "created_at": "2026-11-25T13:00:00Z",
    "author": "alice",
    "uses": 0,
    "last_used_at": None,
    "is_openable": True,
}
_KEPT = "Running executions keep the value that they have. Others get the new one within 5 seconds, in every process."

PUT_SECRET = Contract(
    Tag.SECRETS,
    "Store a secret",
    "Stores a value under a name, sealed by SECRETS_KEY of the server; an existing one gets its next version. Sessions "
    f"of the caller that name it in secrets give it to their scripts. No response ever shows the value. {_KEPT} "
    "functions limits the secret to sessions of functions, which are compared by their ids: a function that is "
    "registered anew after its removal is another one.",
    errors=(
        QuotaReached,
        SecretConflict,
        SecretsUnavailable,
        FunctionNotFound,
        FunctionVersionNotFound,
        StorageUnavailable,
    ),
    examples=(
        ApiExample("stored", "For all sessions of the caller", body={"value": "s3cr3t-of-alice"}, response=_SECRET),
    ),
)

GET_SECRET = Contract(
    Tag.SECRETS,
    "Read about a secret",
    "Returns what is known of a secret, without its value.",
    errors=(SecretNotFound, StorageUnavailable),
    examples=(ApiExample("known", "What is known", response=_SECRET),),
)

LIST_SECRETS = Contract(
    Tag.SECRETS,
    "List secrets",
    "Lists the secrets of the caller by name, without their values.",
    errors=(StorageUnavailable,),
    examples=(ApiExample("all", "One secret", response={"secrets": [_SECRET]}),),
)

DELETE_SECRET = Contract(
    Tag.SECRETS,
    "Remove a secret",
    "Removes a secret. Sessions that name it stay, and within 5 seconds their executions are refused with 404, in "
    "every process.",
    errors=(SecretNotFound, StorageUnavailable),
    examples=(ApiExample("removed", "It is gone"),),
)
