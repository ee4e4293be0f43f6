"""The endpoint that Prometheus asks."""

from entrypoints.http.request import Request
from entrypoints.http.response import Response
from entrypoints.telemetry.metrics.scrape import Scrape


class MetricsEndpoint:
    """Answers with the figures of every process of the service."""

    def __init__(self, scrape: Scrape) -> None:
        self._scrape = scrape

    async def metrics(self, request: Request) -> Response:
        """Tell all figures, in the format that is asked for."""
        exposition = await self._scrape.exposition(request.header(b"accept") or "")
        return Response(200, exposition.body, content_type=exposition.content_type.encode())
