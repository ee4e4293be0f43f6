"""A named SQL statement, as the gateway runs it."""

from attrs import field, frozen


@frozen
class Statement:
    """SQL text with psycopg's named placeholders (`%(name)s`) under the name that logs and metrics use.

    `prepare=False` keeps the server from planning it once for all values. A statement whose name begins with
    `select_` reads; every other one is taken to write, so that a failure says whether its effect is stored.
    """

    name: str
    sql: str = field(repr=False)
    prepare: bool = True

    @property
    def writes(self) -> bool:
        """Whether a failure has to say what became of the write."""
        return not self.name.startswith("select_")
