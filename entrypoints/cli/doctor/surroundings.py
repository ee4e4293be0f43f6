"""What surrounds the command: the user that runs it, and the variables of its environment."""

import os
import pwd
from collections.abc import Iterator, Mapping

from attrs import frozen

from entrypoints.cli.doctor.report import Finding, Subject
from entrypoints.settings.near_names import ORIGIN_REMEDY, near_names, origin_names
from entrypoints.settings.settings import MEBI, Settings

USER, VARIABLES = Subject("user"), Subject("settings")

_ORIGIN_LIMITS = {
    "max_context_size": 2 * MEBI,
    "max_params_size": 2 * MEBI,
    "max_result_size": 64 * MEBI,
    "script_timeout_ms": 30_000,
}
"""What the origin accepts by default: its limits of a body and of the time of a script; a result has none there."""


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


def judge_origin_clients(settings: Settings) -> Iterator[Finding]:
    """Yield what clients of the origin may miss at ORIGIN_PORT, and who else may call there."""
    if settings.origin_port is None and settings.origin_url is not None:
        yield VARIABLES.warning(
            "ORIGIN_URL is set without ORIGIN_PORT",
            "Nothing is passed on: there is no port for clients of lambda-microservice.",
            "Set ORIGIN_PORT to the port that they call.",
        )
    if settings.origin_port is None:
        return
    if not settings.cors_origins:
        seen = f"web pages of every origin may call port {settings.origin_port} from the browsers of your users"
        yield VARIABLES.note(seen, remedy="Set CORS_ORIGINS to the origins of your own pages.")
    for name, usual in _ORIGIN_LIMITS.items():
        value = getattr(settings, name)
        if value < usual:
            seen = f"{name.upper()} is {value}, and clients of lambda-microservice may rely on {usual}"
            yield VARIABLES.note(seen, remedy=f"Set {name.upper()}={usual}, unless your clients need less.")


def judge_names(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Yield the variables that look like settings and are none."""
    for near in near_names(environ):
        yield VARIABLES.warning(
            f"{near.variable} is not a setting",
            f"It has no effect. {near.setting} has its default, unless that is set too.",
            f"Rename it to {near.setting}, or unset it.",
        )
    if names := origin_names(environ):
        yield VARIABLES.warning(
            f"there are settings of lambda-microservice: {', '.join(names)}",
            "They have no effect. Others of its settings mean something else here, such as RUNTIME_TIMEOUT_SECONDS.",
            f"{ORIGIN_REMEDY}.",
        )
