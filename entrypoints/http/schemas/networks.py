"""What responses say about the connections of a script."""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from domain.egress.traffic import ExecutionTraffic


class HostTrafficBody(Struct):
    """What the connections to one host used."""

    host: Annotated[str, Meta(description="The host.")]
    port: Annotated[int, Meta(description="The port.")]
    connections: Annotated[int, Meta(description="Connections that were made.", ge=0)]
    sent_bytes: Annotated[int, Meta(description="Bytes that the script sent.", ge=0)]
    received_bytes: Annotated[int, Meta(description="Bytes that the script received.", ge=0)]
    refused: Annotated[int, Meta(description="Connections that were refused, or ended by a limit.", ge=0)]


class RefusalBody(Struct):
    """A connection that was refused, or ended by a limit."""

    host: Annotated[str, Meta(description="The host.")]
    port: Annotated[int, Meta(description="The port.")]
    why: Annotated[str, Meta(description="The reason.")]


NetworkField = Annotated[
    list[HostTrafficBody],
    Meta(description="What the connections of the script used, by host. Absent if its session has no network."),
]
RefusalsField = Annotated[
    list[RefusalBody],
    Meta(description="The first 32 connections that were refused, or ended by a limit. Absent without any."),
]
NetworkLost = Annotated[
    bool, Meta(description="True if the process that connects scripts ended, so that the traffic is unknown.")
]


def network_bodies(traffic: ExecutionTraffic) -> Mapping[str, Any]:
    """Return the members of a response about the network of an execution."""
    bodies: dict[str, Any] = {"network": [msgspec.convert(host.facts(), HostTrafficBody) for host in traffic.hosts]}
    if traffic.refusals:
        bodies["network_refused"] = [RefusalBody(each.host, each.port, each.reason.value) for each in traffic.refusals]
    return {**bodies, "network_lost": True} if traffic.is_lost else bodies
