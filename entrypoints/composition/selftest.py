"""The self-test of a host."""

from collections.abc import Sequence

from adapters.sandbox.selftest.corpus import load_attacks
from adapters.sandbox.selftest.results import Trial
from adapters.sandbox.selftest.trials import SelfTest
from domain.scripts.language import Language
from entrypoints.composition.host_options import sandbox_options
from entrypoints.settings.settings import Settings

__all__ = ["SelfTest", "Trial"]


def self_test(settings: Settings, languages: Sequence[Language]) -> SelfTest:
    """Return the attacks in these languages on a sandbox with the service's options."""
    return SelfTest(sandbox_options(settings, tuple(languages)), load_attacks(languages))
