"""Why a session is left with the origin, and what is unusual about one that is taken."""

from enum import StrEnum
from typing import Self

from domain.takeover.languages import EMPTY_TITLE


class Worded(StrEnum):
    """Values of which each has a sentence for the operator: what it means, and what to do."""

    words: str

    def __new__(cls, value: str, words: str) -> Self:
        member = str.__new__(cls, value)
        member._value_, member.words = value, words
        return member


class Reason(Worded):
    """Why a session is left with the origin, where it works until it expires."""

    ID_NOT_CANONICAL = (
        "id_not_canonical",
        "The id is not the lower-case text of a UUID, or all its bits are equal. It is left.",
    )
    LANGUAGE_NOT_SERVED = (
        "language_not_served",
        "The language is rust, which is not served here. The front passes its calls on.",
    )
    LANGUAGE_UNKNOWN = (
        "language_unknown",
        "The origin has no runtime for this language-title, so its calls fail there too.",
    )
    CONTEXT_MISSING = (
        "context_missing",
        "The context is SQL NULL, which the origin cannot read. Correct the row, or let it expire.",
    )
    INSTANT_OUT_OF_RANGE = (
        "instant_out_of_range",
        "An instant is infinite, before 1970 or after 9999. Correct the row to take it.",
    )
    CREATED_AFTER_EXPIRY = "created_after_expiry", "The row was created after its expiry. Correct the row to take it."
    NO_SCRIPT = (
        "no_script",
        (
            "It has no script, so the origin runs a file of its runtime's container. Register that file as a function "
            "of the same language-title, and choose --scriptless pin."
        ),
    )
    OWNER_UNKNOWN = "owner_unknown", "The owner file does not list its user_id. Add it, or name --default-owner."
    EXPIRED = "expired", "It has expired, and --expired leaves it."
    TOO_LARGE = (
        "too_large",
        "It is larger than --batch-bytes, so it was not read. Repeat with a larger value to take it.",
    )
    ID_IN_USE = (
        "id_in_use",
        "A session that was made here has its id. It is left, and stays at the origin until it expires.",
    )
    NOT_MOVING = (
        "not_moving",
        "It was not copied, and nothing moves here in this stage. The origin keeps it until it expires.",
    )


class Flag(Worded):
    """What is unusual about a session that is taken."""

    ID_LOOKS_OWN = "id_looks_own", "The id is a UUIDv7, so the front takes it for one of its own until it is adopted."
    TITLE_EMPTY = "title_empty", f"The title is empty; it is {EMPTY_TITLE!r} here."
    TITLE_OUTSIDE_GRAMMAR = (
        "title_outside_grammar",
        "The title is outside the grammar of this service. It is kept as it is.",
    )
    CONTEXT_NOT_OBJECT = (
        "context_not_object",
        "The context is no JSON object. It is kept as it is under the convention origin.",
    )
    CONTEXT_OVER_LIMIT = (
        "context_over_limit",
        "The context is larger than MAX_CONTEXT_SIZE. It is taken; a replacement must be smaller.",
    )
    SCRIPT_OVER_LIMIT = "script_over_limit", "The script is larger than MAX_SCRIPT_SIZE. It is taken."
    SCRIPT_PINNED = "script_pinned", "It has no script, and is pinned to the function of its language-title."
    HASH_DIFFERS = "hash_differs", "The stored script_hash is not the SHA-256 of the script. The computed one counts."
    LENGTH_CAPPED = "length_capped", "It lives longer than 68 years, so its ttl_seconds is less than its length."
    COUNT_NEGATIVE = "count_negative", "The execution_count is negative. It is 0 here."
    STATUS_IGNORED = (
        "status_ignored",
        "The status is not active, and the origin serves it all the same. So it is taken as live.",
    )
    STATUS_HONOURED = "status_honoured", "The status is not active, and --honour-status closes it."
    METADATA_SET_ASIDE = (
        "metadata_set_aside",
        "The metadata is no JSON object within the limits here. It is set aside for the way back.",
    )
    ARTIFACT_NOT_COPIED = "artifact_not_copied", "It has a compiled_artifact, which is not copied."
    OWNER_DIFFERS = (
        "owner_differs",
        "Its user_id is not its owner here: it cannot be one, or another owner was chosen for it.",
    )
