"""Small scripts that take their interpreter long to parse."""

from domain.scripts.language import Language
from domain.scripts.script import Script
from tests.contracts.script_runs import script_of

_CLASSES = "/\\p{RGI_Emoji}/v;" * 440
"""V8 makes the set of characters of each while it parses: 7.5 KB take 0.4 to 0.9 s."""
_TRIES = 17
"""Each code of a `finally` is compiled twice, with all that is in it: 0.9 KB take about 3 s."""


def hostile_script(language: Language, nonce: str) -> Script:
    """Return a script whose check takes too long, and that no other call has had."""
    return script_of(f"// {nonce}\n{_CLASSES}" if language is Language.NODEJS else f"# {nonce}\n{_nested()}")


def _nested() -> str:
    levels = ("{0}try:\n{0} pass\n{0}finally:\n".format(" " * n) for n in range(_TRIES))
    return "".join(levels) + " " * _TRIES + "pass\n"
