"""Lets `python -m entrypoints` be the command."""

from entrypoints.cli.main import main

if __name__ == "__main__":
    main()
