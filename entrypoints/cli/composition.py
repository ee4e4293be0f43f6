"""The composition root, for commands."""

import importlib
from typing import cast

from entrypoints.cli.wiring import Wiring


def container() -> Wiring:
    """Return the composition root, imported only when it is needed: it is most of the start-up time."""
    return cast("Wiring", importlib.import_module("entrypoints.composition.commands"))
