"""Sandboxes as the integration suite has them."""

from tests.integration.sandbox.conftest import (  # noqa: F401  # fixtures of both suites
    built,
    guest_coverage,
    opened,
    runtimes_dir,
    shared,
)
