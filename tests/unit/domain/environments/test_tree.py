"""Members of trees: what is accepted, and what is refused before it is written."""

import pytest
from attrs import evolve

from domain.environments.tree import (
    DEPTH_MAX,
    PART_SIZE_MAX,
    PATH_SIZE_MAX,
    BadTree,
    MemberKind,
    TreeJudge,
    TreeLimits,
    TreeMember,
)

LIMITS = TreeLimits(bytes_max=1_000, members_max=5)
FOLDER = TreeMember("lib", MemberKind.FOLDER, 0o755)


def judged(*members: TreeMember, limits: TreeLimits = LIMITS) -> TreeJudge:
    judge = TreeJudge(limits)
    for each in members:
        judge.judge(each)
    return judge


def test_files_and_folders_in_order_are_accepted_and_counted():
    found = judged(
        FOLDER,
        TreeMember("lib.txt", size=10),
        TreeMember("lib/a.py", size=20),
        TreeMember("lib/b.so", mode=0o755, size=970),
        TreeMember("lib/\u00e9.pthx"),
    )
    assert (found.count, found.size) == (5, 1_000)


LONG = "/".join(["a" * 200] * 6)
DEEP = "/".join(["a"] * (DEPTH_MAX + 1))
NAMES = {
    "absolute": "/lib/a",
    "parent": "../a",
    "parent within": "lib/../../a",
    "parent at the end": "lib/..",
    "itself": ".",
    "itself first": "./lib/a",
    "itself within": "lib/./a",
    "nothing": "",
    "an empty part": "lib//a",
    "a slash at the end": "lib/",
    "a null": "lib/a\0.py",
    "a new line": "lib/a\n",
    "an escape": "lib/\x1b[2J",
    "a delete": "lib/a\x7f",
    "a backslash": "lib\\a",
    "a drive": "C:\\a",
    "no UTF-8": "lib/\udcff",
    "a long part": "lib/" + "a" * (PART_SIZE_MAX + 1),
    "a long part by bytes": "lib/" + "\u00e9" * (PART_SIZE_MAX // 2 + 1),
    "a long path": LONG,
    "a deep path": DEEP,
    "pth": "a.pth",
    "pth within": "lib/a.pth",
    "pth in capitals": "A.PTH",
    "sitecustomize": "sitecustomize.py",
    "sitecustomize, compiled": "sitecustomize.cpython-313.pyc",
    "sitecustomize, a folder": "sitecustomize/__init__.py",
    "usercustomize": "UserCustomize.py",
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_name_that_leads_elsewhere_or_starts_something_is_refused(name):
    with pytest.raises(BadTree) as refused:
        judged(FOLDER, TreeMember(name))
    assert refused.value.name == name
    assert len(str(refused.value)) < 4 * PATH_SIZE_MAX


MEMBERS = {
    "a link": evolve(FOLDER, name="x", kind=MemberKind.LINK),
    "a hard link": TreeMember("x", MemberKind.HARD_LINK),
    "a device": TreeMember("x", MemberKind.DEVICE),
    "a pipe": TreeMember("x", MemberKind.PIPE),
    "an unknown kind": TreeMember("x", MemberKind.UNKNOWN),
    "set-uid": TreeMember("x", mode=0o4755),
    "set-gid": TreeMember("x", mode=0o2755),
    "sticky": TreeMember("x", mode=0o1644),
    "writable by all": TreeMember("x", mode=0o666),
    "unreadable": TreeMember("x", mode=0o600),
    "a folder that is closed": TreeMember("x", MemberKind.FOLDER, 0o700),
    "a folder with the mode of a file": TreeMember("x", MemberKind.FOLDER, 0o644),
    "an owner": TreeMember("x", owner=1000),
    "a group": TreeMember("x", group=1000),
    "a time": TreeMember("x", mtime=0.5),
    "a folder with bytes": TreeMember("x", MemberKind.FOLDER, 0o755, size=1),
    "a negative size": TreeMember("x", size=-1),
    "too large": TreeMember("x", size=1_001),
}


@pytest.mark.parametrize("member", MEMBERS.values(), ids=MEMBERS)
def test_a_member_other_than_a_plain_file_or_folder_is_refused(member):
    with pytest.raises(BadTree, match="'x'"):
        judged(FOLDER, member)


ORDERS = {
    "double": ([TreeMember("a"), TreeMember("a")], "does not follow"),
    "a file over a folder": ([FOLDER, TreeMember("lib")], "does not follow"),
    "descending": ([TreeMember("b"), TreeMember("a")], "does not follow"),
    "in no folder": ([TreeMember("lib/a")], "is in no folder"),
    "in a file": ([TreeMember("a"), TreeMember("a/b")], "is in no folder"),
    "too large together": ([TreeMember("a", size=600), TreeMember("b", size=401)], "1,000 bytes that are allowed"),
    "too many": ([TreeMember(name) for name in "abcdef"], "more than the 5 files and folders"),
}


@pytest.mark.parametrize(("members", "reason"), ORDERS.values(), ids=ORDERS)
def test_members_that_do_not_fit_those_before_them_are_refused(members, reason):
    with pytest.raises(BadTree, match=reason):
        judged(*members)
