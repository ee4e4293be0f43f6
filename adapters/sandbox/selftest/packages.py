"""The packages of the attacks that need some: as hostile as those of an environment may be."""

from collections.abc import Mapping
from pathlib import Path

from attrs import define
from typing_extensions import override

from domain.environments.ports import HeldTree, TreeCache
from domain.scripts.environment import Environment
from domain.scripts.language import Language

_PACKAGE = "packaged"
_FILES: Mapping[Language, Mapping[str, str]] = {
    Language.PYTHON: {
        "packaged.py": "STATE = {}\n",
        "json.py": "HIDDEN = 'by a package'\n",
        "sitecustomize.py": "import sys\nsys.ran_at_start = 'sitecustomize'\n",
        "usercustomize.py": "import sys\nsys.ran_at_start = 'usercustomize'\n",
        "lines.pth": "import sys; sys.ran_at_start = 'a line of a .pth file'\n",
    },
    Language.NODEJS: {
        "package.json": "{}",
        "node_modules/packaged/index.js": "exports.state = {};\n",
        "node_modules/fs/index.js": "exports.hidden = 'by a package';\n",
    },
}


@define(eq=False)
class _HeldPackages(HeldTree):
    path: Path

    @override
    def release(self) -> None:
        """They end with the self-test."""


@define(eq=False)
class HostilePackages(TreeCache):
    """A tree for each language, below a folder that the workers' uid can reach."""

    folder: Path

    def environment(self, language: Language) -> Environment:
        """Return the environment of the attacks in this language."""
        return Environment("selftest", 1, str(language), (_PACKAGE,))

    @override
    async def hold(self, digest: str) -> HeldTree:
        tree = self.folder / "packages" / digest
        for name, text in _FILES[Language(digest)].items():
            file = tree / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        for each in (tree.parent, tree, *tree.rglob("*")):
            each.chmod(0o755 if each.is_dir() else 0o644)
        return _HeldPackages(tree)
