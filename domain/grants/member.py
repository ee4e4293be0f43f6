"""What each member of grants can do."""

from collections.abc import Iterator
from typing import Any, Protocol, Self

from domain.errors import Problem
from domain.scripts.language import Language


class Member(Protocol):
    """A member of grants, such as the state of a session. Pointers of its problems begin within the member."""

    @classmethod
    def of(cls, facts: Any) -> Self:
        """Return the member that has these facts; it does not check them."""
        ...

    def facts(self) -> Any:
        """Return the member as a JSON value, with every fact; `of` is the inverse."""
        ...

    def problems(self, language: Language) -> Iterator[Problem]:
        """Yield why no script in this language can have the member as it is."""
        ...

    def excess(self, granted: Self) -> Iterator[Problem]:
        """Yield what this member asks for beyond another one."""
        ...
