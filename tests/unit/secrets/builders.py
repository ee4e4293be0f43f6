"""Secrets over fakes."""

from attrs import define, field
from hypothesis import strategies as st

from adapters.aes_gcm_sealer import AesGcmSealer
from adapters.memory.functions import MemoryFunctionRepository
from adapters.memory.manual_clock import ManualClock
from adapters.memory.secrets import MemorySecretRepository
from adapters.memory.sequential_ids import SequentialIds
from domain.audit import Act, ActName, Actor
from domain.functions.function import Definition, Function
from domain.identity import Owner
from domain.scripts.language import LanguageTitle
from domain.scripts.script import Script
from domain.secrets.ports import Sealer
from domain.secrets.resealing import Resealing
from domain.secrets.secret import SecretRef, StoredSecret
from domain.secrets.service import SecretPolicy, SecretRequest, SecretService
from domain.secrets.values import SecretValues
from tests.support.acts import act

ALICE, BOB = Owner("alice"), Owner("bob")
ACTOR = Actor("alice", "127.0.0.1")
FIRST, SECOND = bytes(range(32)), bytes(range(32, 64))
TOKEN = SecretRef(ALICE, "TOKEN")
VALUE = "s3cret-välue"
VALUES = st.text(alphabet=st.characters(exclude_categories=("Cs",)), min_size=8, max_size=40)


@define(eq=False)
class World:
    """The use cases of secrets; each access makes one with the present fields, but `values`, which keeps some."""

    sealer: Sealer | None = field(factory=lambda: AesGcmSealer.of([FIRST]))
    secrets: MemorySecretRepository = field(factory=MemorySecretRepository)
    functions: MemoryFunctionRepository = field(factory=MemoryFunctionRepository)
    clock: ManualClock = field(factory=ManualClock)
    ids: SequentialIds = field(factory=SequentialIds)
    owner_max: int = 100

    @property
    def service(self) -> SecretService:
        policy = SecretPolicy(5.0, self.owner_max)
        return SecretService(self.clock, self.ids, self.secrets, self.functions, self.sealer, policy)

    @property
    def resealing(self) -> Resealing:
        return Resealing(self.secrets, self.sealer)

    def values(self) -> SecretValues:
        return SecretValues(self.clock, self.secrets, self.sealer)

    def act(self, name: ActName = ActName.SECRETS_ROTATE) -> Act:
        return act(name, self.ids)

    async def put(self, ref: SecretRef = TOKEN, value: str = VALUE, **facts) -> StoredSecret:
        return await self.service.put(ref, SecretRequest(value, **facts), ACTOR)

    async def opened(self, ref: SecretRef = TOKEN) -> str:
        row = self.secrets.rows[ref]
        return self.sealer.open(ref, row.secret.version, row.sealed)

    async def register(self, title: LanguageTitle) -> Function:
        now = self.clock.now()
        definition = Definition(Script.of("result = 1", 100))
        made = Function(self.ids.new(now), ALICE, title, definition, now, now)
        return await self.functions.update(ALICE, title, lambda _: made, self.act(ActName.FUNCTIONS_PUT))
