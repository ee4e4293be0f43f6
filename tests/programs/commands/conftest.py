"""Commands on the test's own database, as the integration suite has them."""

from tests.integration.commands.conftest import (  # noqa: F401  # fixtures of both suites
    data_dir,
    run,
    settings,
    variables,
)
