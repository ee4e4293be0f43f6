"""Folders for servers and sandboxes of tests."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def shared_folder() -> Iterator[Path]:
    """Yield a folder that users of workers and servers may enter; for root, pytest's own folders are private.

    Its path is short enough for Unix sockets below it.
    """
    with tempfile.TemporaryDirectory(prefix="pgl-", dir="/tmp", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder
