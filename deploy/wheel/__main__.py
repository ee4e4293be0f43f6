"""Runs the command of an installed wheel."""

import sys
from pathlib import Path


def main() -> None:
    """Run the command with the packages of this folder, which come before others with the same names."""
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    from entrypoints.cli.main import main as command  # noqa: PLC0415  # the path has to be set first

    command()


if __name__ == "__main__":
    main()
