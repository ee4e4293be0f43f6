"""Bodies of the routes that describe the process."""

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

Components = Annotated[
    dict[str, Any],
    Meta(description="The components by name, some of them in groups, each with its status and facts for people."),
]
Draining = Annotated[bool, Meta(description="Whether the process is about to stop.")]


class Liveness(Struct):
    """The process runs."""

    status: Annotated[Literal["ok"], Meta(description="Always ok.")]


class Readiness(Struct):
    """Whether the process should get requests. Only admins see the components."""

    status: Annotated[Literal["ready", "not_ready"], Meta(description="Whether the process should get requests.")]
    draining: Draining
    reason: (
        Annotated[str, Meta(description="Why a component fails, and what to do. It names no host and no role.")]
        | UnsetType
    ) = UNSET
    components: Components | UnsetType = UNSET


class HealthResponse(Struct):
    """The health of the service: failing if a required component fails, degraded if another one does.

    With authentication on, callers without the scope admin see the status only.
    """

    status: Annotated[Literal["ok", "degraded", "failing"], Meta(description="The status of the whole service.")]
    version: Annotated[str, Meta(description="The version of the service.")] | UnsetType = UNSET
    draining: Draining | UnsetType = UNSET
    components: Components | UnsetType = UNSET
