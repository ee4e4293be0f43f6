"""Backups as foreign input: hostile, damaged and foreign tar files."""

import gzip
import io
import os
import tarfile
from datetime import UTC, datetime

import pytest

from adapters.embedded_postgres.account import Account, EmbeddedPostgresError
from adapters.embedded_postgres.unpacking import BackupLabel, CountedStream, unpack

OWN = Account(os.geteuid(), os.getegid())
LABEL = """START WAL LOCATION: 0/3000028 (file 000000010000000000000003)
CHECKPOINT LOCATION: 0/3000080
BACKUP METHOD: streamed
BACKUP FROM: primary
START TIME: 2026-11-27 16:13:12 UTC
LABEL: pglambda 0.1.0, 1234 bytes
START TIMELINE: 1
"""
FILES = {"backup_label": LABEL, "PG_VERSION": "18\n", "global/pg_control": "c" * 8192, "backup_manifest": "{}"}


def file(name: str, content: str = "") -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    return member, content.encode()


def link(name: str, kind: bytes, target: str = "") -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member, b""


def tar(*more: tuple[tarfile.TarInfo, bytes], files: dict[str, str] = FILES) -> bytes:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for member, content in (*(file(*each) for each in files.items()), *more):
            archive.addfile(member, io.BytesIO(content))
    return written.getvalue()


def unpacked(content: bytes, folder) -> BackupLabel:
    return unpack(CountedStream(io.BytesIO(content)), folder / "postgres", OWN)


def without(*names: str) -> dict[str, str]:
    return {name: content for name, content in FILES.items() if name not in names}


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "compressed"])
def test_a_backup_is_unpacked_into_private_files_with_its_label(pack, tmp_path):
    label = unpacked(pack(tar()), tmp_path)
    assert label == BackupLabel(
        datetime(2026, 11, 27, 16, 13, 12, tzinfo=UTC), "000000010000000000000003", "pglambda 0.1.0", 1234
    )
    found = [path for path in (tmp_path / "postgres").rglob("*") if path.is_file()]
    assert {str(path.relative_to(tmp_path / "postgres")) for path in found} == set(FILES)
    assert {path.stat().st_mode & 0o777 for path in found} == {0o600}
    assert (tmp_path / "postgres").stat().st_mode & 0o777 == 0o700


def test_the_progress_counts_the_bytes_that_were_read(tmp_path):
    counted: list[int] = []
    content = gzip.compress(tar())
    unpack(CountedStream(io.BytesIO(content), counted.append), tmp_path / "postgres", OWN)
    assert sum(counted) == len(content)


@pytest.mark.parametrize(
    "member",
    [
        file("../outside", "x"),
        file("base/../../outside", "x"),
        link("base/1", tarfile.SYMTYPE, "/etc/passwd"),
        link("base/1", tarfile.LNKTYPE, "backup_label"),
        link("base/1", tarfile.CHRTYPE),
        link("base/1", tarfile.FIFOTYPE),
    ],
    ids=["parent", "inner parent", "symlink", "hard link", "device", "pipe"],
)
def test_a_backup_writes_nothing_but_files_and_folders_below_its_folder(member, tmp_path):
    with pytest.raises(EmbeddedPostgresError, match=r"^The file is not a backup, or it is damaged: .*outside|base/1"):
        unpacked(tar(member), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["postgres"]
    assert not (tmp_path / "postgres/base/1").exists()


def test_an_absolute_path_is_taken_as_one_below_the_folder(tmp_path):
    unpacked(tar(file(f"{tmp_path}/outside", "x")), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["postgres"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"age-encryption.org/v1\n" + b"\x93" * 2000,
        tar()[:9000],
        gzip.compress(tar())[:-40],
        tar(files=without("backup_manifest")),
        tar(files=without("backup_label")),
        tar(files=without("PG_VERSION")),
        tar(files={**FILES, "backup_label": "no label"}),
    ],
    ids=["empty", "encrypted", "cut", "compressed and cut", "no manifest", "no label", "no version", "foreign label"],
)
def test_what_is_not_a_whole_backup_is_a_clear_error(content, tmp_path):
    with pytest.raises(EmbeddedPostgresError, match=r"^The file is not a backup, or it is damaged: .* Nothing was"):
        unpacked(content, tmp_path)


def test_a_disk_that_is_too_small_is_reported_before_the_data_is_unpacked(tmp_path):
    label = LABEL.replace("1234 bytes", f"{10**17} bytes")
    with pytest.raises(EmbeddedPostgresError, match=r"The disk of .* has [\d,]+ free bytes, and 100,000,.* are needed"):
        unpacked(tar(files={**FILES, "backup_label": label}), tmp_path)
    assert [path.name for path in (tmp_path / "postgres").iterdir()] == ["backup_label"]
