"""The container image, built on a base that mmdebstrap makes, and containers of it."""

import contextlib
import os
import resource
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import frozen

ROOT = Path(__file__).parents[2]
BASE = "localhost/pglambda-test-base"
IMAGE = "localhost/pglambda-test"
LEFT_OUT = ("/usr/share/man/*", "/usr/share/doc/*", "/usr/share/locale/*")
"""What Debian's own small images leave out as well."""
BUILD_TIMEOUT_S = 900


@frozen
class Podman:
    """Podman, which gives containers no higher limits than this process may have."""

    environment: dict[str, str]

    @classmethod
    def make(cls, folder: Path) -> "Podman":
        limits = {"nofile": resource.RLIMIT_NOFILE, "nproc": resource.RLIMIT_NPROC}
        given = (
            f'"{name}={hard}:{hard}"' for name, number in limits.items() for hard in resource.getrlimit(number)[1:]
        )
        configuration = folder / "containers.conf"
        configuration.write_text(f"[containers]\ndefault_ulimits = [{', '.join(given)}]\n")
        own = {"CONTAINERS_CONF_OVERRIDE": str(configuration), "PODMAN_IGNORE_CGROUPSV1_WARNING": "1"}
        return cls({**os.environ, **own})

    def run(self, *arguments: str, check: bool = True, timeout_s: float = 120) -> "subprocess.CompletedProcess[str]":
        """Run a command of podman to its end."""
        return subprocess.run(
            ["podman", *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            check=check,
            timeout=timeout_s,
        )

    def built(self, base: str, image: str) -> None:
        """Build the image by `make image`, with what this machine's pip needs to reach its index."""
        with tempfile.TemporaryDirectory() as name:
            options = ["--network=host", *_certificate_for_pip(Path(name))]
            subprocess.run(
                ["make", "image", f"BASE={base}", f"IMAGE={image}", f"BUILD={' '.join(options)}"],
                cwd=ROOT,
                env=self.environment,
                check=True,
                timeout=BUILD_TIMEOUT_S,
            )

    @contextlib.contextmanager
    def volume(self, name: str) -> Iterator[str]:
        """Make a volume, which is removed at the end with the containers that use it."""
        self.run("volume", "rm", "--force", name)
        self.run("volume", "create", name)
        try:
            yield name
        finally:
            self.run("volume", "rm", "--force", name)


def _certificate_for_pip(folder: Path) -> list[str]:
    """Return options that show pip of the build the certificates that pip of this machine trusts."""
    certificates = os.environ.get("PIP_CERT")
    if certificates is None:
        return []
    (folder / "pip.conf").write_text("[global]\ncert = /run/certificates\n")
    return [f"--volume={certificates}:/run/certificates:ro", f"--volume={folder}/pip.conf:/etc/pip.conf:ro"]


@pytest.fixture(scope="session")
def podman(tmp_path_factory) -> Podman:
    missing = [name for name in ("podman", "mmdebstrap") if shutil.which(name) is None]
    if missing:
        pytest.skip(f"{' and '.join(missing)} are not installed")
    return Podman.make(tmp_path_factory.mktemp("podman"))


@pytest.fixture(scope="session")
def base(podman) -> str:
    """A Debian of its own, made once on a machine; PGLAMBDA_IMAGE_BASE names another one."""
    given = os.environ.get("PGLAMBDA_IMAGE_BASE")
    if given is None and podman.run("image", "exists", BASE, check=False).returncode:
        with tempfile.TemporaryDirectory() as folder:
            options = [f"--dpkgopt=path-exclude={pattern}" for pattern in LEFT_OUT]
            made = f"{folder}/base.tar"
            command = ["mmdebstrap", "--quiet", "--variant=minbase", *options, "trixie", made]
            subprocess.run(command, check=True, timeout=BUILD_TIMEOUT_S)
            podman.run("import", made, BASE)
    return given or BASE


@pytest.fixture(scope="session")
def image(podman, base) -> str:
    podman.built(base, IMAGE)
    return IMAGE
