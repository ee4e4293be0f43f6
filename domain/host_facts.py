"""Facts about this host, the runtime hosts and the origin, as an inspection finds them."""

from collections.abc import Mapping, Sequence

from attrs import field, frozen


@frozen
class LayerFacts:
    """A layer of the sandbox: whether it is active, whether scripts need it, and why it is inactive."""

    name: str
    is_active: bool
    is_required: bool
    reason: str = ""


@frozen
class LanguageFacts:
    """A language of this host: its version, the path of its interpreter, and why it cannot run.

    `why_executed` says why its workers are not forks; empty if they are.
    """

    language: str
    version: str
    program: str
    failure: str | None
    why_executed: str = ""


@frozen
class SyntaxFacts:
    """What scripts of a language may be beside ordinary ones, and why this host runs none; None if it does."""

    name: str
    language: str
    failure: str | None


@frozen
class SandboxFacts:
    """The sandbox of this host."""

    languages: Sequence[LanguageFacts]
    syntaxes: Sequence[SyntaxFacts] = field(factory=tuple, kw_only=True)
    layers: Sequence[LayerFacts] = ()
    uid: int | None = None
    """The user id of the workers; None if they have the service's own."""
    account: str = ""
    """The name of this host's account with that user id; empty if there is none."""


@frozen
class EgressFacts:
    """What connects scripts of this host: why each language does not reach a host, None if it does.

    `roots` is the path of the certificates that scripts trust; None if there are none.
    """

    languages: Mapping[str, str | None]
    roots: str | None


@frozen
class OriginFacts:
    """The origin, to which calls are passed on; `reason` says why it does not respond as it should, None if it does."""

    url: str
    reason: str | None


@frozen
class CertificateFacts:
    """Why the certificate of a runtime host is refused, else empty; days until it ends, None if it was not seen."""

    problem: str = ""
    days: float | None = None


@frozen
class RuntimeHostFacts:
    """A runtime host: its health, the languages that it serves, and its release.

    `certificate_problem` says why its certificate is refused; empty if it is not. `certificate_days` are those until it
    ends; None without TLS, or if it was not seen.
    """

    url: str
    status: str
    languages: Sequence[str]
    reason: str = ""
    version: str = ""
    certificate_problem: str = ""
    certificate_days: float | None = None
