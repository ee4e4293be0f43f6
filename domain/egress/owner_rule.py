"""What an operator lets the scripts of one owner reach, beside EGRESS_RULES."""

from datetime import datetime

from attrs import frozen

from domain.egress.rule import EgressRule
from domain.identity import Owner

OWNER_RULES_MAX = 256
"""Rules of one owner; calls at the same time may each exceed it by one."""


class TooManyOwnerRules(RuntimeError):
    """The owner has as many rules as one may have, so nothing was stored."""

    def __init__(self, owner: Owner, rules_max: int) -> None:
        super().__init__(
            f"{owner} has {rules_max} egress rules, which is the limit, so nothing was changed. Remove one with "
            "pglambda egress deny, or allow a pattern such as *.example.com:443."
        )


@frozen
class OwnerEgressRule:
    """A rule of one owner. It may be a pattern such as `*.example.com:443`."""

    owner: Owner
    rule: EgressRule
    created_at: datetime
