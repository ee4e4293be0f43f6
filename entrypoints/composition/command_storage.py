"""The report of what is stored, made for a command."""

import shutil
from pathlib import Path

from attrs import define
from typing_extensions import override

from adapters.postgres.gateway import Gateway
from adapters.postgres.retention.survey import StorageSurvey
from adapters.postgres.statements import load_statements
from domain.idempotency import KEPT_FOR
from domain.storage.growth import StorageReport
from entrypoints.cli.wiring import Storage
from entrypoints.composition.command_gateway import require_schema, rights_told
from entrypoints.composition.options import gateway_options, retention, storage_budget
from entrypoints.settings.settings import Settings


@define
class CommandStorage(Storage):
    """Connects for one report; `disk` is a folder on the database's disk, None when that is elsewhere."""

    _settings: Settings
    _disk: Path | None

    @override
    async def report(self) -> StorageReport:
        gateway = Gateway(gateway_options(self._settings))
        await gateway.open()
        try:
            with rights_told():
                return await self._report(gateway)
        finally:
            await gateway.close()

    async def _report(self, gateway: Gateway) -> StorageReport:
        statements, budget = load_statements(), storage_budget(self._settings)
        await require_schema(gateway, statements)
        survey = StorageSurvey(gateway, statements, retention(self._settings).sessions, budget.history_days, KEPT_FOR)
        free_bytes = None if self._disk is None else shutil.disk_usage(self._disk).free
        return StorageReport(await survey.facts(), budget.size_max_bytes, free_bytes)
