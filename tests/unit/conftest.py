"""The unit suite is quick: few examples here, many in the longer suites."""

from hypothesis import settings

settings.register_profile("unit", max_examples=30, deadline=None)
settings.load_profile("unit")
