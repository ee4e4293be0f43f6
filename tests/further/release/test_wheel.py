"""The files of a release, and the command that a wheel installs."""

import contextlib
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import httpx2
import pytest

from entrypoints.version import VERSION
from tests.distribution import SUMS, make
from tests.programs.supervisor.conftest import wait_until
from tests.support.folders import shared_folder
from tests.support.ports import free_port

ROOT = Path(__file__).parents[3]
TITLE = f"pglambda-{VERSION}"
WHEEL = f"{TITLE}-py3-none-any.whl"
SHIPPED = ("domain", "adapters", "entrypoints", "sql")
LEFT_OUT = "adapters/memory/"


@pytest.fixture(scope="module")
def release(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("release")
    make(folder)
    return folder


@pytest.fixture(scope="module")
def rebuilt(release, tmp_path_factory) -> Path:
    """The files of a release that was made from the sdist: in another folder, from files with other times."""
    folder = tmp_path_factory.mktemp("rebuilt")
    with tarfile.open(release / f"{TITLE}.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    for path in folder.rglob("*"):
        os.utime(path, (0, 0))
    make(folder / "made", folder / TITLE)
    return folder / "made"


@pytest.fixture(scope="module")
def command(release) -> Path:
    """The command in an environment that has what the release's lock names, and the wheel."""
    with shared_folder() as folder:
        venv.create(folder / "environment", with_pip=False)
        pip = [sys.executable, "-m", "pip", "--python", str(folder / "environment" / "bin" / "python"), "--quiet"]
        pip += ["--no-input", "install", "--disable-pip-version-check"]
        lock = release / f"{TITLE}-requirements.lock"
        subprocess.run([*pip, "--require-hashes", "-r", lock], check=True, timeout=150)
        subprocess.run([*pip, "--no-index", release / WHEEL], check=True, timeout=50)
        yield folder / "environment" / "bin" / "pglambda"


@contextlib.contextmanager
def served(command: Path, folder: Path, **settings: str):
    """Run the service until the end of the block; yields its URL and the file with its output."""
    port, output = free_port(), folder / "output"
    environment = {"PATH": os.environ["PATH"], "PORT": str(port), "DATA_DIR": str(folder / "data"), **settings}
    with output.open("wb") as log:
        process = subprocess.Popen([command, "serve"], cwd=folder, env=environment, stdout=log, stderr=log)
        try:
            wait_until(lambda: "Ctrl-C stops it" in output.read_text() or process.poll() is not None)
            assert process.poll() is None, output.read_text()
            yield f"http://127.0.0.1:{port}", output
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0, output.read_text()
        finally:
            process.kill()
            process.wait()


def files_of(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_two_builds_have_the_same_bytes(release, rebuilt):
    assert {path.name: path.read_bytes() for path in rebuilt.iterdir()} == {
        path.name: path.read_bytes() for path in release.iterdir()
    }


def test_the_sums_are_those_of_all_other_files(release):
    sums = dict(reversed(line.split()) for line in (release / SUMS).read_text().splitlines())
    assert sums == {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in release.iterdir() if path.name != SUMS
    }
    assert len(sums) == 4


def test_the_wheel_has_one_package_with_every_file_of_the_service_and_no_fakes(release):
    listed = subprocess.run(["git", "ls-files", *SHIPPED], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    expected = {f"pglambda/{name}" for name in listed.splitlines() if not name.startswith(LEFT_OUT)}
    found = {name for name in files_of(release / WHEEL) if not name.startswith(f"{TITLE}.dist-info/")}
    assert found == expected | {"pglambda/__init__.py", "pglambda/__main__.py"}
    assert len(listed.splitlines()) > len(expected) > 300


def test_the_component_list_is_valid_and_names_every_locked_package_with_hashes(release):
    # Each worker of the suite imports each module of tests, and these take a second.
    from cyclonedx.schema import SchemaVersion  # noqa: PLC0415
    from cyclonedx.validation.json import JsonStrictValidator  # noqa: PLC0415

    text = (release / f"{TITLE}.cdx.json").read_text()
    document = json.loads(text)
    assert JsonStrictValidator(SchemaVersion.from_version(document["specVersion"])).validate_str(text) is None
    locked = dict(re.findall(r"^([\w.-]+)==([\w.]+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE))
    packages = {each["name"]: each for each in document["components"] if each["purl"].startswith("pkg:pypi/")}
    assert {name: each["version"] for name, each in packages.items()} == locked
    assert all(each["externalReferences"][0]["hashes"] for each in packages.values())


def test_the_component_list_names_what_the_wheel_bundles(release):
    bundled = [
        each
        for each in json.loads((release / f"{TITLE}.cdx.json").read_text())["components"]
        if each["purl"].startswith("pkg:npm/")
    ]
    named = re.search(r"swagger-ui-dist ([\d.]+)", (ROOT / "entrypoints/http/endpoints/documents.py").read_text())[1]
    assert [each["version"] for each in bundled] == [named]


@pytest.mark.timeout(240)
def test_the_readmes_example_works_with_an_installed_wheel_in_a_folder_with_packages_of_the_same_names(command):
    example = re.search(r"```sh\n(A=.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)[1]
    with shared_folder() as folder:
        for name in SHIPPED:
            (folder / name).mkdir()
            (folder / name / "__init__.py").write_text(f"raise SystemExit('this is another {name}')\n")
        with served(command, folder) as (url, output):
            calls = example.replace("http://127.0.0.1:8080", url)
            completed = subprocess.run(["/bin/sh", "-c", calls], capture_output=True, text=True, check=True, timeout=30)
            assert '"result":8' in completed.stdout
            assert httpx2.get(f"{url}/docs").status_code == 200
            assert "-m entrypoints" not in output.read_text()


def test_the_installed_command_states_its_version_by_either_name(command):
    for argv in ([command], [command.with_name("python"), "-m", "pglambda"]):
        completed = subprocess.run([*argv, "--version"], capture_output=True, text=True, check=True, timeout=30)
        assert completed.stdout.strip() == f"pglambda, version {VERSION}"
