"""What the doctor says about secrets and their keys."""

from collections.abc import Collection, Iterator, Mapping

from attrs import frozen

from entrypoints.cli.doctor.report import Finding, Subject
from entrypoints.server.data_dir import kept_key, key_file
from entrypoints.settings.secrets import key_ids
from entrypoints.settings.settings import Settings

SECRETS = Subject("secrets")

_NAMES = frozenset({"SECRETS_KEY", "SECRETS_KEY_FILE"})
_LOST = "Executions with them get 503 SECRETS_UNAVAILABLE."


@frozen
class KeyFacts:
    """The ids of the keys that are set, the one that seals first, and whether they are in DATA_DIR alone.

    `others_can_read` says that other users can read the file of the key.
    """

    key_ids: Collection[str] = ()
    in_data_dir_only: bool = False
    others_can_read: bool = False


def key_facts(settings: Settings, environment: Mapping[str, str]) -> KeyFacts:
    """Look at the keys that are set, and at the file of the one that was made in DATA_DIR."""
    made = kept_key(settings.data_dir, "secrets")
    is_used = settings.secrets_key is not None and settings.secrets_key.reveal() == made
    return KeyFacts(
        key_ids(settings),
        in_data_dir_only=is_used and _NAMES.isdisjoint(environment),
        others_can_read=made is not None and bool(key_file(settings.data_dir, "secrets").stat().st_mode & 0o077),
    )


def judge_secrets(counts: Mapping[str, int], keys: KeyFacts) -> Iterator[Finding]:
    """Yield whether all secrets open, and what endangers their keys; `counts` are secrets by their keys."""
    if keys.others_can_read:
        yield SECRETS.problem(
            "other users can read DATA_DIR/secrets.key",
            "They can open every secret in a dump of the database.",
            "chmod 600 the file. If somebody may have read it, put a new key in front, and run `pglambda secrets "
            "rotate`.",
        )
    if not counts:
        return
    first = next(iter(keys.key_ids), None)
    absent = {key_id: number for key_id, number in counts.items() if key_id not in keys.key_ids}
    for key_id, number in absent.items():
        yield SECRETS.problem(
            f"{number:,} secrets were sealed by key {key_id}, which is not set",
            _LOST,
            "Add the key to SECRETS_KEY of all controllers. If it is lost, the owners store their secrets again.",
        )
    former = sum(number for key_id, number in counts.items() if key_id not in absent and key_id != first)
    if former:
        yield SECRETS.note(
            f"{former:,} secrets were sealed by a former key",
            remedy="Run `pglambda secrets rotate`, then remove the key.",
        )
    if keys.in_data_dir_only:
        yield SECRETS.warning(
            f"the key of {sum(counts.values()):,} secrets is in DATA_DIR/secrets.key, and backups do not have it",
            "With the disk the key is lost, and so is every secret.",
            "Keep a copy of the file elsewhere, and set SECRETS_KEY_FILE to a file outside of DATA_DIR.",
        )
    elif not absent:
        yield SECRETS.ok(f"{sum(counts.values()):,} secrets open")
