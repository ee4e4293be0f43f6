"""The fake origin, as tests of the takeover have it."""

from tests.integration.conftest import server_url  # noqa: F401  # fixtures of both suites
from tests.programs.origin.conftest import client, origin, origin_url, redis_server, row  # noqa: F401
