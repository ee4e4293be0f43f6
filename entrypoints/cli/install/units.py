"""The files that make this installation a service of systemd."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from attrs import frozen

CONTROLLER = "pglambda"
RUNTIME_HOST = "pglambda-runtime-host"
"""The names of the services."""

_TEMPLATES = Path(__file__).with_name("units")
_RELAXED = re.compile(r"^# Relaxed: (?P<reason>(?:.*\n# )*.*)\n(?P<directives>(?:[A-Z]\w+=.*\n)+)", re.MULTILINE)
_HIDDEN = ("/home", "/root", "/run/user", "/tmp", "/var/tmp")  # noqa: S108  # what the unit hides
_PLAIN = re.compile(r"[\w/.+-]+")


class CannotInstall(RuntimeError):
    """The units would not work; the text says why and what to do."""


@frozen
class UnitFile:
    """A file: its path on the installed system, its text, and whether an existing one is replaced."""

    path: Path
    text: str
    is_settings: bool = False
    """Whether the operator writes it, so that an existing one is kept."""
    mode: int = 0o644


@frozen
class Relaxation:
    """Directives that are looser than systemd allows, and the reason."""

    directives: Sequence[str]
    reason: str


@frozen
class Installation:
    """What is installed: a service `name` of the system or of one user, its command, and the address of its socket.

    `config_folder` is the folder of a user's configuration; None stands for the system. Without `origin_address`
    clients of lambda-microservice have no socket.
    """

    command: Path
    address: str = "127.0.0.1:8080"
    name: str = CONTROLLER
    config_folder: Path | None = None
    origin_address: str | None = None

    @property
    def files(self) -> Sequence[UnitFile]:
        """The files, in the order in which they are written."""
        folder = self.config_folder
        units = Path("/etc/systemd/system") if folder is None else folder / "systemd/user"
        settings = Path("/etc") if folder is None else folder
        service = "system.service" if folder is None else "user.service"
        users = [UnitFile(Path("/etc/sysusers.d/pglambda.conf"), self._text("pglambda.sysusers"))]
        return [
            *(users if folder is None else []),
            UnitFile(units / f"{self.name}.socket", self._text("socket.socket")),
            *(UnitFile(units / name, self._text("origin.socket")) for name in self._origin_sockets),
            UnitFile(units / f"{self.name}.service", self._text(service)),
            UnitFile(settings / f"pglambda/{self.name}.env", self._text(self._settings), is_settings=True, mode=0o600),
        ]

    @property
    def relaxations(self) -> Sequence[Relaxation]:
        """What the unit does not deny to the service, as its comments say."""
        return list(_relaxations(self.files[-2].text))

    @property
    def next_commands(self) -> Sequence[str]:
        """The commands that start the service with these files."""
        units = " ".join((f"{self.name}.socket", *self._origin_sockets, f"{self.name}.service"))
        if self.config_folder is not None:
            return [
                "systemctl --user daemon-reload",
                f"systemctl --user enable --now {units}",
                "loginctl enable-linger  # keeps the service after the logout",
            ]
        return ["systemd-sysusers", "systemctl daemon-reload", f"systemctl enable --now {units}"]

    @property
    def _settings(self) -> str:
        return "host.env" if self.name == RUNTIME_HOST else "settings.env"

    @property
    def _origin_sockets(self) -> Sequence[str]:
        return [] if self.origin_address is None else [f"{self.name}-origin.socket"]

    def _text(self, template: str) -> str:
        is_host = self.name == RUNTIME_HOST
        replaced = {
            "name": self.name,
            "title": "pglambda runtime host" if is_host else "pglambda controller",
            "command": f"{self.command} {'runtime-host' if is_host else 'serve'}",
            "address": self.address,
            "origin_address": self.origin_address or "",
        }
        text = (_TEMPLATES / template).read_text(encoding="utf-8")
        for key, value in replaced.items():
            text = text.replace(f"@{key}@", value)
        return text


def own_command(python: Path) -> Path:
    """Return the command of the installation that has this interpreter; raises CannotInstall."""
    command = python.with_name("pglambda")
    if not command.exists():
        raise CannotInstall(
            f"There is no command pglambda beside {python}. Install pglambda with pip, and run the command of that "
            "installation."
        )
    if not _PLAIN.fullmatch(str(command)):
        raise CannotInstall(
            f"The path {command} has characters that mean something in units. Install pglambda in a folder with a "
            "plain name, such as /opt/pglambda."
        )
    return command


def require_visible(*programs: Path) -> None:
    """Check that the unit of the system does not hide the programs from the service; raises CannotInstall."""
    for program in programs:
        if any(program.is_relative_to(folder) for folder in _HIDDEN):
            raise CannotInstall(
                f"The unit hides {program} from the service (ProtectHome=, PrivateTmp=). Install pglambda in "
                "/opt/pglambda with the Python of the system, or make units of your own with --user."
            )


def _relaxations(text: str) -> Iterator[Relaxation]:
    for found in _RELAXED.finditer(text):
        yield Relaxation(found["directives"].splitlines(), found["reason"].replace("\n# ", " "))
