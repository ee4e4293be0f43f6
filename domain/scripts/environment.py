"""An environment as a run uses it."""

from attrs import frozen


@frozen
class Environment:
    """A version of an environment, with the tree of its packages for the platform of this installation.

    `digest` is the SHA-256 of the packed tree, as 64 hex digits. `preload` names the packages that a zygote imports for
    all its workers, in this order.
    """

    name: str
    version: int
    digest: str
    preload: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.name}@{self.version}"
