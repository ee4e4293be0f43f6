"""Databases on the tests' own server, and folders of embedded servers, as the integration suite has them."""

from tests.integration.conftest import (  # noqa: F401  # fixtures of both suites
    database_url,
    empty_database_url,
    gateway,
    new_database,
    server_url,
    statements,
    template,
)
from tests.integration.embedded.conftest import folder, made, start  # noqa: F401  # fixtures of both suites
