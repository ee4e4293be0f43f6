"""Who runs a command."""

import os
import pwd
import socket

from domain.audit import COMMAND, Actor


def operator() -> Actor:
    """Return who runs the command: the user of the operating system, and the name of the host."""
    try:
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        user = str(os.getuid())
    return Actor(f"{user}@{socket.gethostname()}", COMMAND)
