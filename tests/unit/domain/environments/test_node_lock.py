"""Locks of Node.js: what is read, and what is refused, with its line."""

import base64
import json
from pathlib import Path

import pytest

from domain.environments.lock import PACKAGES_MAX, LockedPackage, LockProblem, LockRefused
from domain.environments.node_lock import read_node_lock

SHA512 = "sha512-" + base64.b64encode(b"x" * 64).decode()
LODASH = {"version": "4.17.21", "resolved": "https://host/lodash.tgz", "integrity": SHA512, "license": "MIT"}


def text_of(packages: object, **changes: object) -> str:
    return json.dumps({"name": "x", "lockfileVersion": 3, "requires": True, "packages": packages} | changes, indent=2)


def locked(place: str = "node_modules/lodash", root: object = None, **changes: object) -> str:
    return text_of({"": root or {"dependencies": {"lodash": "^4.17.0"}}, place: LODASH | changes})


def problems_of(text: str) -> list[LockProblem]:
    with pytest.raises(LockRefused) as refused:
        read_node_lock(text)
    return list(refused.value.problems)


def test_a_lock_is_read_and_its_text_has_no_place_of_the_registry():
    aliased = {"name": "string-width", "version": "4.2.3", "integrity": SHA512, "dependencies": {"a": "npm:@b/c@^1"}}
    lock = read_node_lock(
        text_of(
            {
                "": {"name": "x", "dependencies": {"lodash": "^4.17.0"}, "scripts": {"install": "rm"}},
                "node_modules/lodash": LODASH | {"hasInstallScript": True},
                "node_modules/@scope/a/node_modules/string-width-cjs": aliased,
            }
        )
    )
    assert lock.packages == [LockedPackage("string-width", "4.2.3"), LockedPackage("lodash", "4.17.21")]
    assert json.loads(lock.text) == {
        "lockfileVersion": 3,
        "requires": True,
        "packages": {
            "": {"dependencies": {"lodash": "^4.17.0"}},
            "node_modules/lodash": {"version": "4.17.21", "integrity": SHA512},
            "node_modules/@scope/a/node_modules/string-width-cjs": aliased,
        },
    }
    assert read_node_lock(lock.text) == lock


def test_the_lock_of_this_project_is_read():
    text = (Path(__file__).parents[4] / ".ci/openapi/package-lock.json").read_text()
    assert len(read_node_lock(text).packages) == text.count('"integrity": "sha512-')


BAD = {
    "no digest": (locked(integrity=None), "lodash has no sha512 integrity: make the lock"),
    "a shorter digest": (locked(integrity="sha1-" + "A" * 28), "lodash has no sha512 integrity"),
    "half a digest": (locked(integrity=SHA512[:-8]), "lodash has no sha512 integrity"),
    "two digests": (locked(integrity=f"{SHA512} {SHA512}"), "lodash has no sha512 integrity"),
    "a link": (locked(link=True), "lodash is a link to a folder"),
    "a file": (locked(resolved="file:../lodash.tgz"), "lodash comes from elsewhere than the registry"),
    "a repository": (locked(resolved="git+ssh://git@host/lodash.git"), "lodash comes from elsewhere"),
    "no text as place": (locked(resolved=7), "lodash comes from elsewhere"),
    "no version": (locked(version="latest"), "lodash has no version such as 1.2.3"),
    "a version from elsewhere": (locked(version="file:.."), "lodash has no version"),
    "a workspace": (locked("packages/mine"), "'packages/mine' is no package below node_modules"),
    "a way out": (locked("node_modules/../etc"), "is no package below node_modules"),
    "a name of dots": (locked("node_modules/.."), "is no package below node_modules"),
    "an absolute place": (locked("/node_modules/a"), "is no package below node_modules"),
    "another name": (locked(name="../x"), "lodash has another name that is none of a package"),
    "no object": (text_of({"": {}, "node_modules/lodash": 7}), "lodash is no object"),
    "needs of a file": (locked(dependencies={"x": "file:.."}), "x is wanted from elsewhere"),
    "needs of a repository": (locked(optionalDependencies={"x": "user/repository"}), "x is wanted from elsewhere"),
    "needs of no object": (locked(dependencies=[]), "dependencies is no object"),
}


@pytest.mark.parametrize(("text", "message"), BAD.values(), ids=BAD)
def test_a_bad_package_is_refused_with_its_line_and_the_reason(text, message):
    (problem,) = problems_of(text)
    line = text.split("\n")[problem.line - 1]
    assert line.lstrip().startswith('"')
    assert line.endswith(("{", "7"))
    assert message in problem.message
    assert problem.line > 5


ROOTS = {
    "workspaces": ({"workspaces": ["packages/*"]}, "workspaces are not accepted"),
    "a folder": ({"dependencies": {"x": "file:../x"}}, "x is wanted from elsewhere"),
    "a repository": ({"devDependencies": {"x": "github:user/x"}}, "x is wanted from elsewhere"),
    "a URL": ({"dependencies": {"x": "https://host/x.tgz"}}, "x is wanted from elsewhere"),
    "a number": ({"dependencies": {"x": 7}}, "x is wanted from elsewhere"),
}


@pytest.mark.parametrize(("root", "message"), ROOTS.values(), ids=ROOTS)
def test_what_is_needed_comes_from_the_registry(root, message):
    (problem,) = problems_of(locked(root=root))
    assert message in problem.message


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("{\n  nothing\n}", 2, "it is no JSON"),
        ("[" * 100_000, 1, "it is nested too deeply"),
        ("1" * 10_000, 1, "it cannot be read"),
        ('{"lockfileVersion": 3, "packages": {"": {}, "": {}}}', 1, "the name '' is there twice"),
        (text_of({"": {"dependencies": float("nan")}}), 1, "NaN is no JSON"),
        ("[]", 1, "it is no package-lock.json with lockfileVersion 3"),
        (text_of({"": {}}, lockfileVersion=2), 1, "it is no package-lock.json with lockfileVersion 3"),
        (text_of([]), 1, "it has no packages"),
        (text_of({"node_modules/lodash": LODASH}), 1, "it has no packages, or not the one that needs them"),
        (text_of({"": []}), 6, "the first package is no object"),
        (text_of({"": {}}), 1, "the lock has no packages"),
        (text_of({"": {}} | {f"node_modules/p{number}": LODASH for number in range(PACKAGES_MAX + 1)}), 1, "1,001"),
        ("x" * 1_048_577, 1, "bytes, and 1,048,576 are allowed"),
    ],
    ids=range(13),
)
def test_a_text_that_is_no_lock_is_refused(text, line, message):
    (problem,) = problems_of(text)
    assert (problem.line, message in problem.message) == (line, True), problem
