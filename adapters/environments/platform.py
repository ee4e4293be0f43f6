"""For which interpreter and machine a tree is built."""

import platform
import re

from domain.scripts.language import Language


def platform_of(language: Language, version: str, machine: str | None = None) -> str:
    """Return the platform of an interpreter's version, such as cp313-x86_64-glibc or node24-x86_64.

    Packages of Python with compiled files are for one minor version of it, those of Node.js for one major version.
    """
    machine = machine or platform.machine()
    major, minor = re.findall(r"[0-9]+", version)[:2]
    return f"cp{major}{minor}-{machine}-glibc" if language is Language.PYTHON else f"node{major}-{machine}"
