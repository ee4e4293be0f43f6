"""Metrics of files."""

from collections.abc import Iterable

from attrs import define
from prometheus_client.core import Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from domain.files.service import FileService
from entrypoints.telemetry.metrics.instruments import counter, gauge

_BYTES = counter(
    "pglambda_file_bytes_total",
    "Bytes of files: received from callers, sent to them, given to scripts, and left by scripts, by direction.",
    "direction",
)
_STORED = counter("pglambda_files_stored_total", "Files that uploads have stored.")
_ABANDONED = counter("pglambda_file_uploads_abandoned_total", "Uploads that began and stored no file.")
_FULL = counter("pglambda_file_uploads_full_total", "Uploads that were refused because of MAX_FILES_GB.")
_LEFT = counter("pglambda_files_left_total", "Files that scripts have left and that were stored.")
_LOST = counter(
    "pglambda_files_lost_executions_total", "Executions that kept none of their files, because one could not be stored."
)
_TRANSFERS = gauge("pglambda_file_transfers", "Uploads and downloads in progress.")


@define(eq=False)
class FileMetrics(Collector):
    """Reads what the use cases of files have counted."""

    _service: FileService

    @override
    def collect(self) -> Iterable[Metric]:
        stats = self._service.stats
        directions = ("received", "sent", "given", "left")
        yield _BYTES.metric([((each,), getattr(stats, f"{each}_bytes")) for each in directions])
        yield _STORED.single(stats.stored)
        yield _ABANDONED.single(stats.abandoned)
        yield _FULL.single(stats.full)
        yield _LEFT.single(stats.left)
        yield _LOST.single(stats.lost)
        yield _TRANSFERS.single(self._service.transfers)
