"""A program that becomes another one, which ends with its parent: PARENT SIGNAL UID GID PROGRAM [ARGUMENT ...].

It runs by itself, before the other program, and imports the standard library only.
"""

import ctypes
import os
import sys

_PR_SET_PDEATHSIG = 1
_UNCHANGED = -1


def main(arguments: list[str]) -> None:
    """Change the user, set the death signal, check that the parent still runs, and become the program."""
    parent, death_signal, uid, gid = map(int, arguments[:4])
    if uid != _UNCHANGED:
        os.setgroups([])
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
    # After the change of the user, which clears the signal.
    if ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, death_signal, 0, 0, 0) != 0:
        sys.exit("prctl(PR_SET_PDEATHSIG) failed, so this program could outlive its parent")
    if os.getppid() != parent:
        sys.exit("the parent has ended already")
    os.execv(arguments[4], arguments[4:])  # noqa: S606  # the caller chose the program


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except OSError as error:
        sys.exit(f"cannot run {sys.argv[5]}: {error.strerror}")
