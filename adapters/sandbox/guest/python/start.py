"""Runs a module of this package: `start.py MODULE CHANNEL`, where CHANNEL is the number of a descriptor."""

import importlib
import os.path
import sys

# The interpreter runs a file, and relative imports need a package.
above, package = os.path.split(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120  # starts sooner
sys.path.insert(0, above)
module = importlib.import_module(f"{package}.{sys.argv[1]}")
sys.path.remove(above)
module.main(int(sys.argv[2]))
