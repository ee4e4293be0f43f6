"""The unit suite is quick: few examples here, the same ones in each run; many with the profile `proof`."""

import os

from hypothesis import settings

settings.register_profile("unit", max_examples=30, deadline=None, derandomize=True)
settings.register_profile("proof", max_examples=1000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "unit"))
