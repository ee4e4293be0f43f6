"""The grant of files: its size, which a function bounds and the server pins."""

import pytest

from domain.errors import InvalidRequest
from domain.files.ceiling import FilesCeiling
from domain.grants.files import FilesGrant
from domain.grants.grants import Grants
from domain.grants.secrets import SecretsGrant
from domain.identity import ANONYMOUS
from domain.scripts.language import Language

CEILING = FilesCeiling(size_mb=8, size_mb_max=32)


@pytest.mark.parametrize("size_mb", [None, 1, 16])
def test_the_facts_of_a_grant_make_it_again(size_mb: int | None) -> None:
    grants = Grants(files=FilesGrant(size_mb))
    assert Grants.of(grants.text()) == grants
    assert list(FilesGrant(size_mb).problems(Language.PYTHON)) == []


def test_a_folder_without_room_is_refused() -> None:
    (problem,) = FilesGrant(0).problems(Language.NODEJS)
    assert (problem.pointer, problem.message) == ("/size_mb", "must be at least 1")


@pytest.mark.parametrize(
    ("asked", "granted", "message"),
    [
        (4, 4, None),
        (2, 4, None),
        (None, None, None),
        (5, 4, "must be at most 4, as the function grants; omit files to take them as they are"),
        (None, 4, "must be at most 4, as the function grants; omit files to take them as they are"),
        (5, None, "must be absent: the function has the size of the server; omit files to take them as they are"),
    ],
)
def test_a_session_may_lower_the_size_of_its_function(
    asked: int | None, granted: int | None, message: str | None
) -> None:
    found = [(each.pointer, each.message) for each in FilesGrant(asked).excess(FilesGrant(granted))]
    assert found == ([] if message is None else [("/size_mb", message)])


@pytest.mark.parametrize(("asked", "pinned"), [(None, 8), (1, 1), (32, 32)])
async def test_a_session_is_pinned_to_a_size(asked: int | None, pinned: int) -> None:
    judged = await CEILING.judge(ANONYMOUS, Grants(files=FilesGrant(asked)))
    assert judged == Grants(files=FilesGrant(pinned))


async def test_a_size_beyond_that_of_the_server_is_refused() -> None:
    with pytest.raises(InvalidRequest, match=r"/files/size_mb: must be at most 32 \(SCRIPT_FILES_MAX_MB\)"):
        await CEILING.judge(ANONYMOUS, Grants(files=FilesGrant(33)))


async def test_grants_without_files_stay_as_they_are() -> None:
    grants = Grants(secrets=SecretsGrant(("A",)))
    assert await CEILING.judge(ANONYMOUS, grants) is grants
