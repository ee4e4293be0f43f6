from uuid import uuid4

from adapters.memory.functions import MemoryFunctionRepository
from domain.functions.function import Definition, Function
from domain.identity import SHARED, Owner
from domain.scripts.convention import Convention
from domain.scripts.language import Language, LanguageTitle
from domain.scripts.script import Script
from entrypoints.composition.takeover import with_shared_functions
from tests.unit.takeover.builders import NOW, POLICY


def function(title: str, owner: Owner = SHARED, **changes: object) -> Function:
    definition = Definition(Script.of("result = 1", 100), convention=Convention.EVENT_FIRST)
    return Function(uuid4(), owner, LanguageTitle(Language.PYTHON, title), definition, NOW, NOW, **changes)


async def test_sessions_are_pinned_to_the_current_versions_of_shared_functions_that_are_registered():
    stored = [
        *(function(f"f{number}", version=2) for number in range(5)),
        function("own", Owner("alice")),
        function("gone", deactivated_at=NOW),
    ]
    repository = MemoryFunctionRepository(
        examined_max=2, functions={(each.owner, each.language_title): each for each in stored}
    )
    policy = await with_shared_functions(POLICY, repository)
    assert {str(title): each.pinned.version for title, each in policy.functions.items()} == {
        f"python-f{number}": 2 for number in range(5)
    }
    assert {each.convention for each in policy.functions.values()} == {Convention.EVENT_FIRST}
