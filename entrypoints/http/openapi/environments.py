"""The contracts of the routes of environments."""

from domain.environments.environment import EnvironmentConflict, EnvironmentNotFound
from domain.environments.service import BuildsUnavailable, InvalidLock
from domain.errors import FieldTooLarge, QuotaReached, StorageUnavailable
from entrypoints.http.contract import ApiExample, Contract, Link, Tag
from entrypoints.http.openapi.parameters import LOCATION
from entrypoints.http.schemas.environments import EnvironmentResponse

_LOCK = f"six==1.17.0 --hash=sha256:{'4721f391ed90541fddacab5acf947aa0d3dc7d27b2e1e8eda2be8970586c3274'}"
_BODY = {"name": "data", "language": "python", "lock": _LOCK, "preload": ["six"], "description": "Tables of numbers"}
_SUMMARY = {
    "name": "data",
    "version": 1,
    "status": "queued",
    "language": "python",
    "preload": ["six"],
    "owners": None,
    "description": "Tables of numbers",
    "created_at": "2026-11-25T12:00:00.000000Z",
    "author": "alice",
    "retired_at": None,
    "builds": {},
}
_SHOWN = {**_SUMMARY, "packages": [{"name": "six", "version": "1.17.0"}]}
_ONE = {"environment": "$response.body#/name", "environment_version": "$response.body#/version"}
_FOLLOWING = (
    Link("get_environment", "See how far the build is.", _ONE),
    Link("retire_environment", "Retire the version.", _ONE),
)

CREATE = Contract(
    Tag.ENVIRONMENTS,
    "Create a version of an environment",
    "Stores the next version of an environment: packages that scripts may import. It is built in the background, from "
    "the index of the server's settings, without running code of a package. If the newest version has the same "
    "packages, preload list and owners, that one is returned, with 200 if it is ready; one that failed is built again.",
    headers=(LOCATION,),
    errors=(InvalidLock, EnvironmentConflict, BuildsUnavailable, FieldTooLarge, QuotaReached, StorageUnavailable),
    examples=(ApiExample("python", "One package, imported before scripts start", body=_BODY, response=_SHOWN),),
    links=_FOLLOWING,
    other_responses={200: EnvironmentResponse},
)

LIST = Contract(
    Tag.ENVIRONMENTS,
    "List environments",
    "Lists the versions of all environments, at most 1,000, by name with the newest first, without packages and logs.",
    errors=(StorageUnavailable,),
    examples=(ApiExample("all", "One version", response={"environments": [_SUMMARY]}),),
)

GET = Contract(
    Tag.ENVIRONMENTS,
    "Read a version of an environment",
    "Returns a version with its packages, and its builds with what their tools wrote.",
    errors=(EnvironmentNotFound, StorageUnavailable),
    examples=(ApiExample("queued", "A version that waits for a builder", response=_SHOWN),),
    links=_FOLLOWING,
)

RETIRE = Contract(
    Tag.ENVIRONMENTS,
    "Retire a version of an environment",
    "Lets no further session use a version. Sessions that have it keep it. Retiring it again changes nothing.",
    errors=(EnvironmentNotFound, StorageUnavailable),
    examples=(ApiExample("retired", "The version serves no new session"),),
)
