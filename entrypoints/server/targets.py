"""What the supervisor's children are told to load, as `module:function`."""

from attrs import frozen


@frozen
class Targets:
    """`controller` and `runtime_host`: settings to an ASGI application; `migration`: settings to an exit status."""

    controller: str = "entrypoints.composition.controller:create_controller"
    runtime_host: str = "entrypoints.composition.runtime_host:create_runtime_host"
    migration: str = "entrypoints.cli.migration:migrate"
