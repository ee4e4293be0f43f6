"""Links of documents lead somewhere, examples in them parse, and the README stays short."""

import ast
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
README_LINES_MAX = 120

FENCED = re.compile(r"^ *```(?P<language>[a-z]*)\n(?P<text>.*?)^ *```$", re.DOTALL | re.MULTILINE)
CODE = re.compile(r"`[^`\n]+`")
LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)\)")
HEADING = re.compile(r"^#{1,6} +(?P<title>.+?) *$", re.MULTILINE)
ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:")
LEFT_OUT = "..."


def links(document: Path) -> Iterator[str]:
    """Yield the targets of a document's links to other files and headings of the project."""
    prose = CODE.sub("`", FENCED.sub("", document.read_text()))
    yield from (target for target in LINK.findall(prose) if not ELSEWHERE.match(target))


def anchors(document: Path) -> set[str]:
    """Return the anchors that GitHub makes of a document's headings."""
    made: dict[str, int] = {}
    found = set()
    for title in HEADING.findall(FENCED.sub("", document.read_text())):
        shown = LINK.sub(lambda link: link[0].partition("](")[0], title)
        anchor = re.sub(r"[^\w\- ]", "", shown.lower()).replace(" ", "-")
        repeated = made.get(anchor, 0)
        made[anchor] = repeated + 1
        found.add(f"{anchor}-{repeated}" if repeated else anchor)
    return found


def broken(document: Path) -> Iterator[str]:
    """Yield the links of a document that lead to no file, or to no heading."""
    for link in links(document):
        path, _, anchor = link.partition("#")
        target = (document.parent / path) if path else document
        if not target.exists() or (anchor and anchor not in anchors(target)):
            yield link


def parse_json(text: str) -> None:
    """Parse one JSON document, or one in each line, unless parts are left out; raises ValueError."""
    if LEFT_OUT in text:
        return
    try:
        json.loads(text)
    except ValueError:
        for line in text.splitlines():
            json.loads(line)


PARSERS: dict[str, Callable[[str], object]] = {"json": parse_json, "python": ast.parse}


def examples() -> Iterator[tuple[str, str, str]]:
    """Yield the fenced blocks that have a parser: the document and line, the language, and the text."""
    for document in DOCUMENTS:
        text = document.read_text()
        for block in FENCED.finditer(text):
            if block["language"] in PARSERS:
                line = text.count("\n", 0, block.start()) + 1
                yield f"{document.relative_to(ROOT)}:{line}", block["language"], block["text"]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_to_files_and_headings_that_exist(document):
    assert not list(broken(document))


def test_links_and_anchors_are_found():
    assert "docs/scripts.md" in links(ROOT / "README.md")
    assert "how-a-script-fails" in anchors(ROOT / "docs/scripts.md")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[a](b.md)", ["b.md"]),
        ("[a](#nowhere)", ["#nowhere"]),
        ("[a](a.md#the-call--and-its-end-1)", ["a.md#the-call--and-its-end-1"]),
        ("## The `call`: & [its](a.md) end\n\n[a](#the-call--its-end)", []),
        ("## Twice\n\n## Twice\n\n[a](#twice) [b](#twice-1) [c](#twice-2)", ["#twice-2"]),
        ("[a](https://example.com/b.md) `[b](b.md)`\n\n```sh\n# Title [c](c.md)\n```\n", []),
        ("```sh\n# Title\n```\n\n[a](#title)", ["#title"]),
    ],
)
def test_a_broken_link_is_recognised(tmp_path, text, expected):
    document = tmp_path / "a.md"
    document.write_text(text)
    assert list(broken(document)) == expected


@pytest.mark.parametrize(("place", "language", "text"), list(examples()))
def test_an_example_parses(place, language, text):
    PARSERS[language](text)


@pytest.mark.parametrize(
    ("language", "text"), [("json", '{"a": 1,}'), ("json", '{"a": 1}\n{"b"}'), ("python", "def handler(:")]
)
def test_an_example_that_does_not_parse_is_recognised(language, text):
    with pytest.raises((ValueError, SyntaxError)):
        PARSERS[language](text)


def test_the_readme_is_short():
    lines = (ROOT / "README.md").read_text().splitlines()
    assert len(lines) <= README_LINES_MAX, f"README.md has {len(lines)} lines; move details to docs/"


def tree_paths() -> Iterator[Path]:
    """Yield every path that the tree in ARCHITECTURE.md names at the beginning of a line."""
    text = (ROOT / "ARCHITECTURE.md").read_text().partition("## The tree")[2].partition("\n## ")[0]
    parents = {-1: ROOT}
    for line in text.splitlines():
        names = re.match(r"    (?P<indent>(?:  ){0,2})(?P<names>(?:[\w./]+(?:/|\.py) ?)+)", line)
        if names is not None:
            depth = len(names["indent"]) // 2
            found = [parents[depth - 1] / name for name in names["names"].split()]
            parents[depth] = found[0]
            yield from found


def test_the_tree_of_the_architecture_names_files_that_exist():
    found = list(tree_paths())
    assert len(found) > 50
    assert [str(path.relative_to(ROOT)) for path in found if not path.exists()] == []
