"""Bodies of answers that tell about the process, by their field names in JSON."""

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

Components = Annotated[
    dict[str, Any],
    Meta(description="The parts by name, groups of them nested; each has its status and facts for people."),
]
Draining = Annotated[bool, Meta(description="Whether the process is about to stop.")]


class Liveness(Struct):
    """The process runs."""

    status: Annotated[Literal["ok"], Meta(description="Always ok.")]


class Readiness(Struct):
    """Whether work should be sent here; the components are for those who may see details."""

    status: Annotated[Literal["ready", "not_ready"], Meta(description="Whether work should be sent here.")]
    draining: Draining
    components: Components | UnsetType = UNSET


class HealthResponse(Struct):
    """How the service is, for people: failing where a required part is, degraded where another is not well.

    With authentication on, all but the status is for those with the scope admin.
    """

    status: Annotated[Literal["ok", "degraded", "failing"], Meta(description="The service as a whole.")]
    version: Annotated[str, Meta(description="The version of the service.")] | UnsetType = UNSET
    draining: Draining | UnsetType = UNSET
    components: Components | UnsetType = UNSET
