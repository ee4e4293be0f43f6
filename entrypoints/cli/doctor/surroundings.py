"""What surrounds the command: the user that runs it, and the variables of its environment."""

import os
import pwd
from collections.abc import Iterator, Mapping

from attrs import frozen

from entrypoints.cli.doctor.report import Finding, Subject
from entrypoints.settings.near_names import near_names
from entrypoints.settings.settings import Settings

USER, VARIABLES = Subject("user"), Subject("settings")


@frozen
class UserFacts:
    """The user of this command, and that to whom DATA_DIR belongs; None if there is no such folder."""

    data_dir: str
    own_uid: int
    owner_uid: int | None


def user_facts(settings: Settings) -> UserFacts:
    """Return who runs this command, and whose DATA_DIR is."""
    try:
        owner_uid = settings.data_dir.stat().st_uid
    except OSError:
        owner_uid = None
    return UserFacts(str(settings.data_dir), os.geteuid(), owner_uid)


def judge_user(facts: UserFacts) -> Finding | None:
    """Return a problem if another user than the service's runs the command; root may do what every user may."""
    if facts.own_uid == 0 or facts.owner_uid in (None, facts.own_uid):
        return None
    owner = _user_name(facts.owner_uid)
    return USER.problem(
        f"DATA_DIR {facts.data_dir} belongs to {owner}, and this command runs as {_user_name(facts.own_uid)}",
        "The sandbox, the disk and the embedded database were not checked: another user has other rights.",
        f"Run the command as the user of the service: sudo -u {owner} --preserve-env pglambda doctor",
    )


def _user_name(uid: int | None) -> str:
    try:
        return pwd.getpwuid(uid or 0).pw_name
    except KeyError:
        return f"#{uid}"


def judge_names(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Yield the variables that look like settings and are none."""
    for near in near_names(environ):
        yield VARIABLES.warning(
            f"{near.variable} is not a setting",
            f"It has no effect. {near.setting} has its default, unless that is set too.",
            f"Rename it to {near.setting}, or unset it.",
        )
