"""Why the embedded server cannot run."""


class EmbeddedPostgresError(RuntimeError):
    """The embedded server cannot run; the text says what to do about it."""
