"""What a zygote has imported for all its workers, and what that took."""

from collections.abc import Mapping

from attrs import frozen

_MEMBER = "preload"


@frozen
class PreloadCost:
    """What the imports took, and the memory of the zygote after them, in bytes.

    `private_bytes` is what no other process has, `data_bytes` what RLIMIT_DATA counts, `mapped_bytes` what RLIMIT_AS
    counts.
    """

    cpu_ms: float
    private_bytes: int
    data_bytes: int
    mapped_bytes: int


def cost_in(ready: Mapping[str, Mapping[str, float]]) -> PreloadCost | None:
    """Return the cost that a zygote's first message has; None if its workers have no packages."""
    if _MEMBER not in ready:
        return None
    cost = ready[_MEMBER]
    sizes = (int(cost[name]) for name in ("private_bytes", "data_bytes", "mapped_bytes"))
    return PreloadCost(float(cost["cpu_ms"]), *sizes)
