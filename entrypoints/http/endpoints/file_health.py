"""The health of files: how much of their room they take."""

from collections.abc import Mapping

from attrs import define

from domain.files.service import FileService

_SHARE_HIGH = 0.9


@define(eq=False)
class FileHealth:
    """Reads the last measurement of this process, and what it has begun to store since."""

    _service: FileService

    async def probe(self) -> Mapping[str, object]:
        """Return the facts; "degraded" while files take nine tenths of MAX_FILES_GB, or more."""
        stored, size_max = self._service.stored, self._service.size_max
        facts = {"stored_bytes": stored.size_bytes, "max_bytes": size_max, "measured_at": stored.measured_at}
        if stored.size_bytes < _SHARE_HIGH * size_max:
            return {"status": "ok", **facts}
        reason = (
            f"The files of all owners take {stored.size_bytes / size_max:.0%} of MAX_FILES_GB. Beyond it uploads get "
            "507 STORAGE_FULL. Raise MAX_FILES_GB, or lower FILE_RETENTION_SECONDS."
        )
        return {"status": "degraded", "reason": reason, **facts}
