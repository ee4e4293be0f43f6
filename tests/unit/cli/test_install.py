"""Units of systemd: what is written, what is never replaced unasked, and how far the units confine the service."""

import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from entrypoints.cli.install.units import CONTROLLER, CannotInstall, Installation, own_command, require_visible
from entrypoints.cli.main import cli
from entrypoints.server.control import ORIGIN
from tests.systemd_units import FOLDER, units

EXPOSURE_MAX = 26
"""Tenths of the rating of `systemd-analyze security`; docs/deploy/systemd.md states it."""
PAGE = FOLDER.parents[1] / "docs" / "deploy" / "systemd.md"
USER_UNITS = "home/.config/systemd/user"

needs_systemd_analyze = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")


def install(root: Path, *options: str) -> Result:
    """Install units of a user below the folder, where `/home` is that of the user."""
    env = {"HOME": "/home", "XDG_CONFIG_HOME": None}
    return CliRunner().invoke(cli, ["install", "--systemd", "--user", "--root", str(root), *options], env=env)


def test_the_units_in_deploy_are_those_that_the_command_writes():
    assert {path.name: path.read_text() for path in FOLDER.iterdir()} == units()


@needs_systemd_analyze
@pytest.mark.parametrize("name", ["pglambda.service", "pglambda-runtime-host.service"])
def test_the_rating_of_the_unit_is_the_stated_one(name):
    analyze = ("systemd-analyze", "security", "--offline=true", f"--threshold={EXPOSURE_MAX}", str(FOLDER / name))
    rated = subprocess.run(analyze, capture_output=True, text=True, timeout=30, check=False)
    assert rated.returncode == 0, rated.stdout
    assert f"**{EXPOSURE_MAX / 10}**" in PAGE.read_text()


@needs_systemd_analyze
def test_systemd_knows_every_directive_of_the_units(tmp_path):
    for name, text in units().items():
        (tmp_path / name).write_text(text.replace("/opt/pglambda/bin/pglambda", "/bin/true"))
    named = [str(path) for path in tmp_path.iterdir() if path.suffix in {".service", ".socket"}]
    verified = subprocess.run(
        ("systemd-analyze", "verify", *named), capture_output=True, text=True, timeout=30, check=False
    )
    assert str(tmp_path) not in verified.stderr
    assert verified.returncode == 0, verified.stderr


def test_the_page_and_the_command_explain_each_relaxed_directive(tmp_path):
    relaxed = Installation(Path("/opt/pglambda/bin/pglambda")).relaxations
    directives = [each for relaxation in relaxed for each in relaxation.directives]
    assert len(directives) == 11
    page = PAGE.read_text()
    assert [each for each in directives if f"`{each}`" not in page] == []
    output = install(tmp_path, "--dry-run").output
    assert "RestrictNamespaces=cgroup ipc mnt net pid user uts" in output


def test_units_are_written_once_with_private_settings(tmp_path):
    result = install(tmp_path)
    assert result.exit_code == 0, result.output
    settings = tmp_path / "home/.config/pglambda/pglambda.env"
    assert stat.S_IMODE(settings.stat().st_mode) == 0o600
    assert "ListenStream=127.0.0.1:8080" in (tmp_path / USER_UNITS / "pglambda.socket").read_text()
    assert "systemctl --user enable --now pglambda.socket pglambda.service" in result.output
    assert "Wrote" not in install(tmp_path).output


def test_clients_of_lambda_microservice_have_a_socket_if_one_is_wanted(tmp_path):
    install(tmp_path)
    socket = tmp_path / USER_UNITS / "pglambda-origin.socket"
    assert not socket.exists()
    result = install(tmp_path, "--origin-listen", "0.0.0.0:8080")
    assert "enable --now pglambda.socket pglambda-origin.socket pglambda.service" in result.output
    lines = socket.read_text().splitlines()
    assert {"ListenStream=0.0.0.0:8080", f"FileDescriptorName={ORIGIN}", "Service=pglambda.service"} <= set(lines)


def test_a_runtime_host_has_no_clients_of_lambda_microservice(tmp_path):
    refused = install(tmp_path, "--runtime-host", "--origin-listen", "0.0.0.0:8080")
    assert refused.exit_code == 2
    assert "leave out --origin-listen" in refused.output


def test_a_unit_that_differs_is_replaced_only_with_consent_and_settings_never(tmp_path):
    install(tmp_path)
    socket, settings = tmp_path / USER_UNITS / "pglambda.socket", tmp_path / "home/.config/pglambda/pglambda.env"
    settings.write_text("AUTH=required\n")
    before = socket.read_text()
    refused = install(tmp_path, "--listen", "[::]:9000")
    assert refused.exit_code == 2
    assert "-ListenStream=127.0.0.1:8080\n+ListenStream=[::]:9000" in refused.output
    assert socket.read_text() == before
    assert install(tmp_path, "--listen", "[::]:9000", "--yes").exit_code == 0
    assert "ListenStream=[::]:9000" in socket.read_text()
    assert settings.read_text() == "AUTH=required\n"


def test_a_dry_run_prints_the_files_and_writes_none(tmp_path):
    result = install(tmp_path, "--dry-run", "--runtime-host")
    assert f"# {tmp_path / USER_UNITS / 'pglambda-runtime-host.service'}" in result.output
    assert "pglambda runtime-host" in result.output
    assert not list(tmp_path.iterdir())


def test_the_system_has_a_user_for_the_service_and_a_user_has_none():
    system = [str(file.path) for file in Installation(Path("/opt/pglambda/bin/pglambda")).files]
    assert system[0] == "/etc/sysusers.d/pglambda.conf"
    own = Installation(Path("/opt/pglambda/bin/pglambda"), config_folder=Path("/home/me/.config")).files
    assert [str(file.path) for file in own] == [
        "/home/me/.config/systemd/user/pglambda.socket",
        "/home/me/.config/systemd/user/pglambda.service",
        "/home/me/.config/pglambda/pglambda.env",
    ]
    assert not any("User=" in file.text for file in own)


@pytest.mark.parametrize("address", ["8080", "example.com:80", "127.0.0.1", "::1:80"])
def test_an_address_without_its_parts_is_refused(tmp_path, address):
    result = install(tmp_path, "--listen", address)
    assert result.exit_code == 2
    assert "write 127.0.0.1:8080 or [::]:8080" in result.output


def test_the_kind_of_service_manager_has_to_be_named():
    assert "--systemd" in CliRunner().invoke(cli, ["install"]).output


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "home").write_text("")
    assert f"{tmp_path}/home/.config/systemd/user/pglambda.socket cannot be written" in install(tmp_path).output


@pytest.mark.parametrize("program", ["/home/me/venv/bin/pglambda", "/root/.local/bin/python3.13", "/tmp/x/pglambda"])
def test_a_program_that_the_unit_hides_is_refused(program):
    require_visible(Path("/opt/pglambda/bin/pglambda"), Path("/usr/bin/python3.13"))
    with pytest.raises(CannotInstall, match=f"hides {program}.*/opt/pglambda"):
        require_visible(Path(program))


def test_the_command_is_the_one_beside_the_interpreter(tmp_path):
    with pytest.raises(CannotInstall, match="no command pglambda beside"):
        own_command(tmp_path / "python")
    (tmp_path / CONTROLLER).touch()
    assert own_command(tmp_path / "python") == tmp_path / CONTROLLER
    odd = tmp_path / "a %folder"
    odd.mkdir()
    (odd / CONTROLLER).touch()
    with pytest.raises(CannotInstall, match="plain name"):
        own_command(odd / "python")
