"""Becomes another program that ends with its parent: PARENT SIGNAL UID GID PROGRAM [ARGUMENT ...].

Runs by itself, before the program, with the standard library alone.
"""

import ctypes
import os
import sys

_PR_SET_PDEATHSIG = 1
_UNCHANGED = -1


def main(arguments: list[str]) -> None:
    """Change the user, ask for the death signal, make sure that the parent still lives, become the program."""
    parent, death_signal, uid, gid = map(int, arguments[:4])
    if uid != _UNCHANGED:
        os.setgroups([])
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
    # Only now: changing the user clears the signal.
    if ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, death_signal, 0, 0, 0) != 0:
        sys.exit("prctl(PR_SET_PDEATHSIG) was refused")
    if os.getppid() != parent:
        sys.exit("the parent has ended already")
    os.execv(arguments[4], arguments[4:])  # noqa: S606  # the caller chose the program


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except OSError as error:
        sys.exit(f"cannot run {sys.argv[5]}: {error.strerror}")
