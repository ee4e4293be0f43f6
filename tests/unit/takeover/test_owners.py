import pytest

from domain.takeover.owners import AnonymousOwner, LabelOwner, ListedOwner, OwnersRefused, read_owners


def test_without_authentication_every_session_is_anonymous():
    assert {AnonymousOwner().owner_of(label) for label in (None, "", "alice")} == {"anonymous"}


@pytest.mark.parametrize("label", [None, "", "*", "Anonymous", "shared", " alice", "a\tb", "x" * 256])
def test_a_label_that_cannot_be_an_owner_has_the_default(label: str | None):
    assert LabelOwner("default").owner_of(label) == "default"


def test_a_label_that_can_be_an_owner_is_the_owner():
    assert LabelOwner("default").owner_of("alice") == "alice"


def test_a_file_maps_labels_and_the_empty_label_stands_for_none():
    rule = ListedOwner(read_owners(["user_id,owner\n", "u1,alice\n", '"u,2",bob\n', "\n", ",carol\n"]))
    assert [rule.owner_of(label) for label in ("u1", "u,2", None, "", "u3")] == ["alice", "bob", "carol", "carol", None]


def test_a_label_that_is_not_listed_has_the_default_if_there_is_one():
    assert ListedOwner({}, "default").owner_of("u3") == "default"


def test_anonymous_may_be_named_in_the_file():
    assert read_owners(["user_id,owner", "u1,anonymous"]) == {"u1": "anonymous"}


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([], "the first line"),
        (["a,b"], "the first line"),
        (["user_id,owner", "u1"], "line 2: it has 1 columns"),
        (["user_id,owner", "u1,a", "u1,b"], "line 3: the label 'u1' is there already"),
        (["user_id,owner", "u1,*", "u2, a"], r"line 2: '\*' is reserved; line 3: "),
        (["user_id,owner", 'u1,"a'], "line 2: unexpected end"),
    ],
)
def test_a_file_of_another_form_is_refused_by_line(lines: list[str], words: str):
    with pytest.raises(OwnersRefused, match=words):
        read_owners(lines)


def test_a_file_of_too_many_lines_is_refused():
    lines = ["user_id,owner", *(f"u{number},a" for number in range(5))]
    with pytest.raises(OwnersRefused, match="more than 4 lines"):
        read_owners(lines, lines_max=4)


def test_only_the_first_faults_are_reported():
    with pytest.raises(OwnersRefused) as caught:
        read_owners(["user_id,owner", *["x"] * 100])
    assert str(caught.value).count("line") == 20
