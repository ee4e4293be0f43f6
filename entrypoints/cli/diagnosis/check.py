"""A look at one subject: by itself and within a time, so that one that fails hides no other."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from attrs import frozen

from domain.inspection import DatabaseUnreachable, InspectionFailed
from entrypoints.cli.diagnosis.finding import Finding, warning
from entrypoints.cli.diagnosis.reach import judge_unreached

_TIMEOUT_S = 10.0

Look = Callable[[], Awaitable[Sequence[Finding]]]


@frozen
class Check:
    """A look, and the seconds that it may take."""

    subject: str
    look: Look
    timeout_s: float = _TIMEOUT_S

    async def findings(self) -> Sequence[Finding]:
        """Look; what goes wrong with that is a finding too."""
        try:
            async with asyncio.timeout(self.timeout_s):
                return await self.look()
        except DatabaseUnreachable as failure:
            return [judge_unreached(failure)]
        except TimeoutError:
            return [self._unseen(f"the look did not end within {self.timeout_s:g} s")]
        except InspectionFailed as error:
            return [self._unseen(str(error))]
        except Exception as error:  # noqa: BLE001  # a bug in one look is no reason to hide the others
            return [self._unseen(f"{type(error).__name__}: {error}")]

    def _unseen(self, reason: str) -> Finding:
        return warning(
            self.subject,
            f"could not be looked at: {reason}",
            "Whether it is well is not known.",
            "Remove the reason, and run `pglambda doctor` again.",
        )


async def in_order(checks: Sequence[Check]) -> list[Finding]:
    """Make the checks one after the other: they share a connection."""
    return [finding for check in checks for finding in await check.findings()]


async def together(checks: Sequence[Check]) -> list[Finding]:
    """Make the checks at the same time."""
    found = await asyncio.gather(*(check.findings() for check in checks))
    return [finding for findings in found for finding in findings]
