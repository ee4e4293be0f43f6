"""Functions: scripts registered under their language-title."""

from collections.abc import Mapping
from typing import ClassVar

from attrs import define

from domain.errors import NotFound
from domain.language import LanguageTitle


@define(eq=False)
class FunctionNotFound(NotFound):
    """No script came with the call, and none is registered under the title."""

    code: ClassVar[str] = "FUNCTION_NOT_FOUND"
    language_title: LanguageTitle

    @property
    def message(self) -> str:
        return f"No function is registered as {self.language_title}. Send the script as script_content."

    @property
    def details(self) -> Mapping[str, object]:
        return {"language_title": str(self.language_title)}
