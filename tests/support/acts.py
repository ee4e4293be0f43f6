"""Administrative acts for tests, and what is recorded of them."""

from adapters.memory.manual_clock import ManualClock
from adapters.memory.sequential_ids import SequentialIds
from domain.audit import Act, ActName, Actor, AuditEntry, AuditReader
from domain.clock import IdGenerator

OPERATOR = Actor("root@example", "cli")
_IDS = SequentialIds()


def act(name: ActName = ActName.FUNCTIONS_PUT, ids: IdGenerator = _IDS, actor: Actor = OPERATOR) -> Act:
    return Act(ids.new(ManualClock().now()), actor, name)


async def recorded(audit: AuditReader, size: int = 100) -> list[AuditEntry]:
    """Return the entries of all acts but migrations, newest first."""
    found: list[AuditEntry] = []
    page = await audit.page(None, size)
    found += page.items
    while page.next_after is not None:
        page = await audit.page(page.next_after, size)
        assert len(page.items) <= size
        found += page.items
    return [entry for entry in found if not entry.act.startswith("migrations.")]
