"""What the supervisor's children are told to load, as `module:function`."""

from attrs import frozen


@frozen
class Targets:
    """`controller` and `runtime_host`: settings to an ASGI application; `migration`: settings to an exit status."""

    controller: str = "entrypoints.container:create_controller"
    runtime_host: str = "entrypoints.container:create_runtime_host"
    migration: str = "entrypoints.migration:migrate"
