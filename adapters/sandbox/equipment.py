"""What workers of equipped zygotes have beyond plain ones."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from attrs import field, frozen

from adapters.sandbox.runtimes.interpreters import Bind
from domain.addresses import parse_address
from domain.egress.rule import PROXY_PORT

ENVIRONMENT = Path("/environment")
_ONE_THREAD = (
    "OPENBLAS_NUM_THREADS",
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
"""By these, libraries for numbers start no threads: a worker with threads of its own serves no second execution."""
_PACKAGES = {**dict.fromkeys(_ONE_THREAD, "1"), "MPLCONFIGDIR": "/tmp"}  # noqa: S108  # the sandbox's own
_ROOTS = Path("/usr/lib/pglambda/roots.pem")
_FIRST_HOST = 1
_PROXY = f"http://127.0.0.1:{PROXY_PORT}"


@frozen
class Equipment:
    """What all workers of an equipped zygote have in common. Equal ones share a zygote.

    `roots` is a file of certificates for TLS, and `tree` a folder of packages; both are files of the host that the
    workers' uid can read. None of them is there without a path. The zygote imports the packages of `preload`, in this
    order. Those that have files find a folder /files, which each worker mounts for itself.
    """

    roots: Path | None = None
    tree: Path | None = None
    preload: tuple[str, ...] = ()
    has_files: bool = False

    @property
    def binds(self) -> Sequence[Bind]:
        """The files in the root of the workers, and in that of the zygote."""
        found = [(self.roots, _ROOTS), (self.tree, ENVIRONMENT)]
        return [Bind(source, target) for source, target in found if source is not None]

    def variables(self) -> Mapping[str, str]:
        """Return the environment variables of a script in Python.

        By them libraries find the certificates, and start no threads.
        """
        roots = {} if self.roots is None else dict.fromkeys(("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"), str(_ROOTS))
        return {**roots, **self.package_variables()}

    def package_variables(self) -> Mapping[str, str]:
        """Return those that packages read when they are imported."""
        return {} if self.tree is None else _PACKAGES

    def variables_at_start(self) -> Mapping[str, str]:
        """Return those with which a worker executes Node.js, which reads them once."""
        return {} if self.roots is None else {"NODE_EXTRA_CA_CERTS": str(_ROOTS)}


@frozen
class WorkerNetwork:
    """The loopback of one worker: names with an address of their own each, and ports on which all of them listen."""

    hosts: Sequence[str] = field(factory=tuple)
    ports: Sequence[int] = field(factory=tuple)
    has_proxy: bool = False
    """Whether hosts of patterns are reached by a proxy, for which its scripts have environment variables."""
    direct: Sequence[str] = field(factory=tuple)
    """Hosts that the proxy does not reach. Clients take a name here for its subdomains too, so there are no others."""

    @property
    def listening(self) -> Sequence[int]:
        """The ports on which its worker listens."""
        return [*self.ports, PROXY_PORT] if self.has_proxy else list(self.ports)

    def host_file(self) -> str:
        """Return the text of /etc/hosts."""
        lines = [f"{address} {name}\n" for name, address in self.addresses().items()]
        return "".join(["127.0.0.1 localhost\n", *lines])

    def addresses(self) -> Mapping[str, str]:
        """Return the address of each name."""
        return {name: f"127.1.0.{number}" for number, name in enumerate(self.hosts, _FIRST_HOST)}

    @staticmethod
    def _is_address_elsewhere(name: str) -> bool:
        """Return whether clients connect to the name itself, without a lookup, and loopback does not have it."""
        address = parse_address(name)
        return address is not None and not address.is_loopback

    def variables(self) -> Mapping[str, str]:
        """Return the environment variables by which clients find the proxy."""
        if not self.has_proxy:
            return {}
        direct = ",".join(self.direct)
        return {"HTTPS_PROXY": _PROXY, "https_proxy": _PROXY, "NO_PROXY": direct, "no_proxy": direct}

    def variables_at_start(self) -> Mapping[str, str]:
        """Return those with which a worker executes Node.js, of a release that reads them at its start only."""
        return {**self.variables(), "NODE_USE_ENV_PROXY": "1"} if self.has_proxy else {}

    def order(self) -> Iterator[tuple[str, object]]:
        """Yield the members of the order to a zygote."""
        yield "own_network", True
        yield "listeners", self.listening
        own = [name for name in self.hosts if self._is_address_elsewhere(name)]
        if own:
            yield "addresses", own
        yield "hosts", self.host_file()
