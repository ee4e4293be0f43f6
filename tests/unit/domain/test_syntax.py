"""Scripts are written in what their language knows."""

import pytest

from domain.errors import RuntimeUnavailable
from domain.scripts.language import Language
from domain.scripts.syntax import Syntax, require_known


def test_types_make_a_module_a_module_with_types():
    assert Syntax.of_module(None) is Syntax.MODULE
    assert {Syntax.of_module(each) for each in (Syntax.TYPESCRIPT, Syntax.TYPESCRIPT_MODULE)} == {
        Syntax.TYPESCRIPT_MODULE
    }


def test_a_caller_asks_for_types_and_the_check_finds_modules():
    assert {each: each.asked for each in Syntax} == {
        Syntax.TYPESCRIPT: Syntax.TYPESCRIPT,
        Syntax.MODULE: None,
        Syntax.TYPESCRIPT_MODULE: Syntax.TYPESCRIPT,
    }


@pytest.mark.parametrize("syntax", list(Syntax))
def test_only_scripts_of_node_have_another_syntax(syntax):
    require_known(syntax, Language.NODEJS)
    require_known(None, Language.PYTHON)
    with pytest.raises(RuntimeUnavailable, match=f"this server runs no scripts in {syntax}"):
        require_known(syntax, Language.PYTHON)
