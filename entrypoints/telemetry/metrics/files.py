"""Metrics of files."""

from collections.abc import Iterable

from attrs import define
from prometheus_client.core import Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from domain.files.service import FileService
from entrypoints.telemetry.metrics.instruments import counter, gauge

_BYTES = counter(
    "pglambda_file_bytes_total", "Bytes of files that callers have sent and received, by direction.", "direction"
)
_STORED = counter("pglambda_files_stored_total", "Files that uploads have stored.")
_ABANDONED = counter("pglambda_file_uploads_abandoned_total", "Uploads that began and stored no file.")
_FULL = counter("pglambda_file_uploads_full_total", "Uploads that were refused because of MAX_FILES_GB.")
_TRANSFERS = gauge("pglambda_file_transfers", "Uploads and downloads in progress.")


@define(eq=False)
class FileMetrics(Collector):
    """Reads what the use cases of files have counted."""

    _service: FileService

    @override
    def collect(self) -> Iterable[Metric]:
        stats = self._service.stats
        yield _BYTES.metric([(("received",), stats.received_bytes), (("sent",), stats.sent_bytes)])
        yield _STORED.single(stats.stored)
        yield _ABANDONED.single(stats.abandoned)
        yield _FULL.single(stats.full)
        yield _TRANSFERS.single(self._service.transfers)
