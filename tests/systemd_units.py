"""The units in deploy/systemd, for an installation in /opt/pglambda: `python -m tests.systemd_units` writes them."""

from collections.abc import Mapping
from pathlib import Path

from entrypoints.cli.install.units import CONTROLLER, RUNTIME_HOST, Installation

FOLDER = Path(__file__).parents[1] / "deploy" / "systemd"
_COMMAND = Path("/opt/pglambda/bin/pglambda")


def units() -> Mapping[str, str]:
    """Return the text of each file by its name."""
    installations = (
        Installation(_COMMAND, name=CONTROLLER, origin_address="127.0.0.1:8082"),
        Installation(_COMMAND, "127.0.0.1:8081", RUNTIME_HOST),
    )
    return {file.path.name: file.text for each in installations for file in each.files}


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, text in units().items():
        (FOLDER / name).write_text(text)
