"""Bodies of batches, by their field names in JSON."""

from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType

from domain.executions.executed import Executed
from entrypoints.http.payloads import executions, fields
from entrypoints.http.payloads.errors import Error
from entrypoints.http.payloads.executions import ExecuteBody

Items = Annotated[list[ExecuteBody], Meta(description="What the script is executed with, item by item, in order.")]
Parallel = Annotated[int, Meta(ge=1, description="How many items may run at once; 1 runs them one after the other.")]
Index = Annotated[int, Meta(ge=0, description="The item's place in the batch, from 0 on.")]
ItemStatus = Annotated[int, Meta(description="The HTTP status that the item would have had as a call of its own.")]


class BatchBody(Struct, forbid_unknown_fields=True):
    """What a session's script is executed with, many times."""

    items: Items
    parallel: Parallel = 1


class BatchEnvelope(Struct, forbid_unknown_fields=True):
    """A batch whose items have not been looked at."""

    items: fields.RawArray | UnsetType = UNSET
    parallel: Parallel = 1


class BatchLine(Struct, omit_defaults=True):
    """How one item went: what execute answers, or an error."""

    index: Index
    status: ItemStatus
    request_id: fields.RequestId | UnsetType = UNSET
    execution_id: fields.ExecutionId | UnsetType = UNSET
    language_title: fields.Title | UnsetType = UNSET
    result: fields.Result | UnsetType = UNSET
    execution_time_ms: fields.ExecutionTimeMs | UnsetType = UNSET
    memory_usage_bytes: fields.MemoryUsageBytes | UnsetType = UNSET
    cpu_time_ms: fields.CpuTimeMs | UnsetType = UNSET
    queue_time_ms: fields.QueueTimeMs | UnsetType = UNSET
    cold_start: fields.ColdStart | UnsetType = UNSET
    execution_count: fields.ExecutionCount | UnsetType = UNSET
    stdout: fields.Stdout | UnsetType = UNSET
    stderr: fields.Stderr | UnsetType = UNSET
    error: Error | UnsetType = UNSET

    @classmethod
    def of(cls, index: int, status: int, ended: Executed) -> "BatchLine":
        """Return the line of an item that ended well."""
        return cls(index, status, **_members(executions.ExecuteResponse.of(ended)))


def _members(payload: Struct) -> dict[str, Any]:
    return {name: getattr(payload, name) for name in payload.__struct_fields__}
