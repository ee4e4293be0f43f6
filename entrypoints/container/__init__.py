"""The composition root: which class is used for what; the only package that names adapters."""

from entrypoints.container.commands import embedded_postgres, migrations
from entrypoints.container.controller import create_controller
from entrypoints.container.host import create_runtime_host

__all__ = ["create_controller", "create_runtime_host", "embedded_postgres", "migrations"]
