"""An exchange on a connection that is lost in a pipeline, as libpq presents it."""

import socket

import psycopg
import pytest
from psycopg.pq import ConnStatus, PipelineStatus

from adapters.postgres.connections.exchange import StatementExchange


class LostConnection:
    """A connection in a pipeline, of which libpq knows that it is lost: it has no result, however often it is asked."""

    status = ConnStatus.BAD
    pipeline_status = PipelineStatus.ON

    def __init__(self, socket):
        self.socket = socket.fileno()

    def flush(self):
        return 0

    def is_busy(self):
        return 0

    def get_result(self):
        return None


async def test_a_pipeline_on_a_lost_connection_ends():
    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.raises(psycopg.OperationalError):
        await StatementExchange(LostConnection(ours)).results()
