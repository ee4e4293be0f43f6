"""Why a session is left with the origin, and what is unusual about one that is taken."""

from collections.abc import Mapping
from enum import StrEnum

from domain.takeover.languages import EMPTY_TITLE


class Reason(StrEnum):
    """Why a session is left with the origin, where it works until it expires."""

    ID_NOT_CANONICAL = "id_not_canonical"
    LANGUAGE_NOT_SERVED = "language_not_served"
    LANGUAGE_UNKNOWN = "language_unknown"
    CONTEXT_MISSING = "context_missing"
    INSTANT_OUT_OF_RANGE = "instant_out_of_range"
    CREATED_AFTER_EXPIRY = "created_after_expiry"
    NO_SCRIPT = "no_script"
    OWNER_UNKNOWN = "owner_unknown"
    EXPIRED = "expired"
    TOO_LARGE = "too_large"
    ID_IN_USE = "id_in_use"
    NOT_MOVING = "not_moving"

    @property
    def words(self) -> str:
        """The reason as a sentence, with what the operator can do."""
        return _REASONS[self]


_REASONS: Mapping[Reason, str] = {
    Reason.ID_NOT_CANONICAL: "The id is not the lower-case text of a UUID, or all its bits are equal. It is left.",
    Reason.LANGUAGE_NOT_SERVED: "The language is rust, which is not served here. The front passes its calls on.",
    Reason.LANGUAGE_UNKNOWN: "The origin has no runtime for this language-title, so its calls fail there too.",
    Reason.CONTEXT_MISSING: "The context is SQL NULL, which the origin cannot read. Correct the row, or let it expire.",
    Reason.INSTANT_OUT_OF_RANGE: "An instant is infinite, before 1970 or after 9999. Correct the row to take it.",
    Reason.CREATED_AFTER_EXPIRY: "The row was created after its expiry. Correct the row to take it.",
    Reason.NO_SCRIPT: (
        "It has no script, so the origin runs a file of its runtime's container. Register that file as a function of "
        "the same language-title, and choose --scriptless pin."
    ),
    Reason.OWNER_UNKNOWN: "The owner file does not list its user_id. Add it, or name --default-owner.",
    Reason.EXPIRED: "It has expired, and --expired leaves it.",
    Reason.TOO_LARGE: "It is larger than --batch-bytes, so it was not read. Repeat with a larger value to take it.",
    Reason.ID_IN_USE: "A session that was made here has its id. It is left, and stays at the origin until it expires.",
    Reason.NOT_MOVING: "It was not copied, and nothing moves here in this stage. The origin keeps it until it expires.",
}


class Flag(StrEnum):
    """What is unusual about a session that is taken."""

    ID_LOOKS_OWN = "id_looks_own"
    TITLE_EMPTY = "title_empty"
    TITLE_OUTSIDE_GRAMMAR = "title_outside_grammar"
    CONTEXT_NOT_OBJECT = "context_not_object"
    CONTEXT_OVER_LIMIT = "context_over_limit"
    SCRIPT_OVER_LIMIT = "script_over_limit"
    SCRIPT_PINNED = "script_pinned"
    HASH_DIFFERS = "hash_differs"
    LENGTH_CAPPED = "length_capped"
    COUNT_NEGATIVE = "count_negative"
    STATUS_IGNORED = "status_ignored"
    STATUS_HONOURED = "status_honoured"
    METADATA_SET_ASIDE = "metadata_set_aside"
    ARTIFACT_NOT_COPIED = "artifact_not_copied"
    OWNER_DIFFERS = "owner_differs"

    @property
    def words(self) -> str:
        """The observation as a sentence."""
        return _FLAGS[self]


_FLAGS: Mapping[Flag, str] = {
    Flag.ID_LOOKS_OWN: "The id is a UUIDv7, so the front takes it for one of its own until it is adopted.",
    Flag.TITLE_EMPTY: f"The title is empty; it is {EMPTY_TITLE!r} here.",
    Flag.TITLE_OUTSIDE_GRAMMAR: "The title is outside the grammar of this service. It is kept as it is.",
    Flag.CONTEXT_NOT_OBJECT: "The context is no JSON object. It is kept as it is under the convention origin.",
    Flag.CONTEXT_OVER_LIMIT: "The context is larger than MAX_CONTEXT_SIZE. It is taken; a replacement must be smaller.",
    Flag.SCRIPT_OVER_LIMIT: "The script is larger than MAX_SCRIPT_SIZE. It is taken.",
    Flag.SCRIPT_PINNED: "It has no script, and is pinned to the function of its language-title.",
    Flag.HASH_DIFFERS: "The stored script_hash is not the SHA-256 of the script. The computed one counts.",
    Flag.LENGTH_CAPPED: "It lives longer than 68 years, so its ttl_seconds is less than its length.",
    Flag.COUNT_NEGATIVE: "The execution_count is negative. It is 0 here.",
    Flag.STATUS_IGNORED: "The status is not active, and the origin serves it all the same. So it is taken as live.",
    Flag.STATUS_HONOURED: "The status is not active, and --honour-status closes it.",
    Flag.METADATA_SET_ASIDE: "The metadata is no JSON object within the limits here. It is set aside for the way back.",
    Flag.ARTIFACT_NOT_COPIED: "It has a compiled_artifact, which is not copied.",
    Flag.OWNER_DIFFERS: "Its user_id is not its owner here: it cannot be one, or another owner was chosen for it.",
}
