"""Indexes of packages on this machine: their packages are made by the tests. Builds from them need uv."""

import base64
import hashlib
import io
import json
import re
import subprocess
import sys
import tarfile
import threading
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from attrs import define, field

from entrypoints.composition.environments import uv_program

_GATE_S = 60.0
_DOWNLOAD_S = 60.0
_LOCK = Path(__file__).parents[2] / "requirements-dev.lock"
_ENTRY = re.compile(r"^(\S+)==(?:.*\\\n)*.*\n", re.MULTILINE)
"""A package of a lock, with its hashes."""


def _has_uv() -> bool:
    try:
        uv_program()
    except FileNotFoundError:
        return False
    return True


needs_uv = pytest.mark.skipif(not _has_uv(), reason="uv is not installed: make .venv anew")


@define(eq=False)
class LocalIndex:
    """Serves files by their paths, and records the requests. Their content waits for the gate, which is open at first."""

    url: str
    files: dict[str, bytes] = field(factory=dict)
    asked: list[str] = field(factory=list)
    gate: threading.Event = field(factory=threading.Event)

    def __attrs_post_init__(self) -> None:
        self.gate.set()

    def add_wheel(self, name: str, files: Mapping[str, bytes], links: Mapping[str, str] | None = None) -> str:
        """Serve a wheel of version 1.0, and return its SHA-256."""
        content = wheel(name, files, links or {})
        file = f"{name}-1.0-py3-none-any.whl"
        digest = hashlib.sha256(content).hexdigest()
        self.files[f"/files/{file}"] = content
        link = f'<a href="/files/{file}#sha256={digest}">{file}</a>'
        self.files[f"/simple/{name}/"] = f"<!DOCTYPE html><html><body>{link}</body></html>".encode()
        return digest

    def add_source(self, name: str, setup: str) -> str:
        """Serve a package of version 1.0 as source alone, whose installation runs `setup`; return its SHA-256."""
        content = tarball({"setup.py": setup, "PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"})
        file, digest = f"{name}-1.0.tar.gz", hashlib.sha256(content).hexdigest()
        self.files[f"/files/{file}"] = content
        link = f'<a href="/files/{file}#sha256={digest}">{file}</a>'
        self.files[f"/simple/{name}/"] = f"<!DOCTYPE html><html><body>{link}</body></html>".encode()
        return digest

    def add_package(self, name: str, files: Mapping[str, str], **facts: object) -> str:
        """Serve a package of Node.js of version 1.0.0, and return its integrity."""
        manifest = {"name": name, "version": "1.0.0", **facts}
        content = tarball({"package.json": json.dumps(manifest), **files})
        integrity = "sha512-" + base64.b64encode(hashlib.sha512(content).digest()).decode()
        dist = {"tarball": f"{self.url}/{name}/-/{name}-1.0.0.tgz", "integrity": integrity}
        packument = {"name": name, "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": {**manifest, "dist": dist}}}
        self.files[f"/{name}"] = json.dumps(packument).encode()
        self.files[f"/{name}/-/{name}-1.0.0.tgz"] = content
        return integrity


def locked_wheels(names: Iterable[str], folder: Path) -> list[Path]:
    """Return the wheels of packages that the lock of development has, by its hashes; skips without an index."""
    entries = {match[1]: match[0] for match in _ENTRY.finditer(_LOCK.read_text())}
    (folder / "lock.txt").write_text("".join(entries[name] for name in names))
    options = ["--quiet", "--retries", "1", "--no-deps", "--require-hashes", "--only-binary", ":all:"]
    pip = [sys.executable, "-m", "pip", "download", *options, "--dest", str(folder), "-r", str(folder / "lock.txt")]
    try:
        subprocess.run(pip, check=True, capture_output=True, text=True, timeout=_DOWNLOAD_S)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        said = str(error.stderr)
        assert "HASHES" not in said, said
        pytest.skip(f"no index has the wheels: {said[-500:]}")
    return sorted(folder.glob("*.whl"))


def wheel(name: str, files: Mapping[str, bytes], links: Mapping[str, str]) -> bytes:
    """Return a wheel; `links` are symbolic links by name."""
    about = f"{name}-1.0.dist-info"
    metadata = {
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n".encode(),
        f"{about}/WHEEL": b"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    everything = {**files, **metadata}
    record = "".join(f"{each},,\n" for each in (*everything, *links, f"{about}/RECORD"))
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in {**everything, f"{about}/RECORD": record.encode()}.items():
            archive.writestr(path, content)
        for path, to in links.items():
            info = zipfile.ZipInfo(path)
            info.external_attr = 0o120777 << 16
            archive.writestr(info, to)
    return target.getvalue()


def tarball(files: Mapping[str, str]) -> bytes:
    """Return a package of Node.js, packed."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz") as archive:
        for name, text in files.items():
            info = tarfile.TarInfo(f"package/{name}")
            info.size = len(text.encode())
            archive.addfile(info, io.BytesIO(text.encode()))
    return target.getvalue()


@contextmanager
def local_index() -> Iterator[LocalIndex]:
    """Serve an index on a free port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._head()

        def do_GET(self) -> None:
            content = self._head()
            index.gate.wait(_GATE_S)
            self.wfile.write(content)

        def _head(self) -> bytes:
            index.asked.append(self.path)
            content = index.files.get(self.path.replace("%2f", "/"))
            self.send_response(404 if content is None else 200)
            is_page = self.path.startswith("/simple/")
            kind = "text/html" if is_page else "application/json" if self.path.count("/") == 1 else "application/x"
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            return content or b""

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    index = LocalIndex(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield index
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
