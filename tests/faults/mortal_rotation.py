"""A rotation of secrets that kills itself at a statement: `python -m tests.faults.mortal_rotation STEP DATABASE_URL`.

At an even step 2 n the process dies before the n-th statement that writes, at an odd one after it. At step -1 it lives.
"""

import asyncio
import os
import signal
import sys
from typing import Any

from adapters.aes_gcm_sealer import AesGcmSealer
from adapters.memory.sequential_ids import SequentialIds
from adapters.postgres.gateway import Gateway, GatewayOptions
from adapters.postgres.repositories.secrets import PostgresSecretRepository
from adapters.postgres.statements.catalogue import load_statements
from domain.audit import ActName
from domain.secrets.resealing import Resealing
from tests.support.acts import act

FORMER, PRESENT = bytes(range(32)), bytes(range(32, 64))


class MortalSecrets(PostgresSecretRepository):
    """Dies at a statement."""

    step = -1
    number = 0

    async def reseal(self, *given: Any) -> int:
        self._die_at(2 * self.number)
        changed = await super().reseal(*given)
        self._die_at(2 * self.number + 1)
        self.number += 1
        return changed

    def _die_at(self, step: int) -> None:
        if step == self.step:
            os.kill(os.getpid(), signal.SIGKILL)


async def rotate(step: int, database_url: str) -> None:
    gateway = Gateway(GatewayOptions(database_url, request_timeout_s=10))
    await gateway.open()
    secrets = MortalSecrets(gateway, load_statements().secrets)
    secrets.step = step
    async for _ in Resealing(secrets, AesGcmSealer.of([PRESENT, FORMER])).rotate(
        act(ActName.SECRETS_ROTATE, SequentialIds())
    ):
        pass
    await gateway.close()


if __name__ == "__main__":
    asyncio.run(rotate(int(sys.argv[1]), sys.argv[2]))
