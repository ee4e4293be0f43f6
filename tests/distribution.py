"""Makes the files of a release in a folder: `python -m tests.distribution FOLDER`.

Wheel and sdist, the lock of what the wheel needs, a CycloneDX document of all of it, and the hashes of these files.
"""

import hashlib
import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
SUMS = "SHA256SUMS"
_NAME = re.compile(r"[A-Za-z0-9._-]+")

BUNDLED = {
    "type": "library",
    "bom-ref": "swagger-ui-dist",
    "name": "swagger-ui-dist",
    "version": "5.35.0",
    "purl": "pkg:npm/swagger-ui-dist@5.35.0",
    "licenses": [{"license": {"id": "Apache-2.0"}}],
    "description": "Files in entrypoints/http/docs_ui, unchanged.",
}
"""What the wheel contains of others, in the terms of CycloneDX."""


def make(folder: Path, root: Path = ROOT) -> None:
    """Write the files of a release of the tree `root`; the same tree gives the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    title = f"{project['name']}-{project['version']}"
    _run(root, "-m", "hatchling", "build", "-d", str(folder.resolve()))
    shutil.copyfile(root / "requirements.lock", folder / f"{title}-requirements.lock")
    (folder / f"{title}.cdx.json").write_text(json.dumps(_components(root, project), indent=2, sort_keys=True) + "\n")
    names = sorted(path.name for path in folder.glob(f"{title}*"))
    (folder / SUMS).write_text("".join(f"{_digest(folder / name)}  {name}\n" for name in names))


def _components(root: Path, project: dict[str, Any]) -> Any:
    """Return the CycloneDX document: the lock with its hashes, what is bundled, and what the project itself names."""
    arguments = ("requirements", "requirements.lock", "--pyproject", "pyproject.toml", "--output-reproducible")
    document = json.loads(_run(root, "-W", "ignore", "-m", "cyclonedx_py", *arguments))
    document["components"].append(BUNDLED)
    references = {_normal(component["name"]): component["bom-ref"] for component in document["components"]}
    direct = [references[_normal(requirement)] for requirement in project["dependencies"]]
    root_reference = document["metadata"]["component"]["bom-ref"]
    others = [each for each in document["dependencies"] if each["ref"] != root_reference]
    needed = {"ref": root_reference, "dependsOn": sorted({*direct, BUNDLED["bom-ref"]})}
    return document | {"dependencies": [*others, {"ref": BUNDLED["bom-ref"]}, needed]}


def _normal(requirement: str) -> str:
    """Return the name in a requirement, as the index of packages spells it."""
    name = _NAME.match(requirement)
    assert name is not None
    return re.sub(r"[-_.]+", "-", name[0]).lower()


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _run(root: Path, *arguments: str) -> str:
    return subprocess.run([sys.executable, *arguments], cwd=root, check=True, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    make(Path(sys.argv[1]))
