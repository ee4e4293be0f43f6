"""What programs of tests are given."""

import os


def unmeasured() -> dict[str, str]:
    """Return the environment without coverage, for programs whose lines other tests count: it doubles their start."""
    return {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
