"""How large the files of an execution may be."""

from attrs import evolve, frozen

from domain.errors import InvalidRequest, Problem
from domain.grants.files import FilesGrant
from domain.grants.grants import Grants
from domain.grants.ports import GrantCeiling, Pin
from domain.identity import Owner


@frozen
class FilesCeiling(GrantCeiling):
    """Pins the size of the files of sessions, in MiB: at most `size_mb_max`, and `size_mb` for those that name none."""

    size_mb: int = 16
    size_mb_max: int = 128

    async def judge(self, _owner: Owner, grants: Grants, _pin: Pin | None = None) -> Grants:
        """Raise InvalidRequest for a larger size."""
        asked = grants.files
        if asked is None:
            return grants
        if asked.size_mb is None:
            return evolve(grants, files=FilesGrant(self.size_mb))
        if asked.size_mb > self.size_mb_max:
            message = f"must be at most {self.size_mb_max} (SCRIPT_FILES_MAX_MB)"
            problems = (Problem("/files/size_mb", message),)
            raise InvalidRequest(problems)  # type: ignore[arg-type]  # attrs' plugin cannot type a generic converter
        return grants
