"""What the supervisor's children are told to load, as `module:function`."""

from attrs import frozen


@frozen
class Targets:
    """`controller` and `runtime_host`: settings to an ASGI application; `migration`: settings to an exit status."""

    controller: str = "entrypoints.container.controller:create_controller"
    runtime_host: str = "entrypoints.container.host:create_runtime_host"
    migration: str = "entrypoints.commands.migration:migrate"
