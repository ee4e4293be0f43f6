"""The settings that `takeover config` prints start the complete service."""

import httpx2
from click.testing import CliRunner

from entrypoints.cli.main import cli
from tests.integration.embedded.conftest import seed
from tests.programs.supervisor.conftest import Service
from tests.support.folders import quick_parent, shared_folder
from tests.support.ports import free_port
from tests.unit.takeover.test_settings import SAMPLE


def test_the_converted_sample_of_the_origin_starts_the_service_for_its_clients(made, tmp_path):
    old, new, origin_port = tmp_path / ".env", tmp_path / "pglambda.env", str(free_port())
    old.write_text("".join(f"{name}={value}\n" for name, value in {**SAMPLE, "PORT": origin_port}.items()))
    mappings, converted = tmp_path / "old.json", tmp_path / "new.json"
    mappings.write_text('[{"pattern": "ml", "runtime_type": "python", "is_regex": false}]')
    options = ["--mappings", str(mappings), "--mappings-out", str(converted), "--port", str(free_port())]
    done = CliRunner().invoke(cli, ["takeover", "config", "--env", str(old), "--out", str(new), *options])
    assert done.exit_code == 0, done.output
    settings = dict(line.partition("=")[::2] for line in new.read_text().splitlines())
    assert settings["RUNTIME_MAPPINGS_FILE"] == str(converted)
    with shared_folder(quick_parent()) as folder:
        seed(made, folder)
        unquoted = {name: value.strip("'") for name, value in settings.items()}
        service = Service(folder, program=("entrypoints", "serve"), REQUEST_TIMEOUT_MS="10000", **unquoted)
        try:
            service.ready()
            body = {"context": {}, "script_content": "result = 1"}
            title = {"Language-Title": "python-x"}
            answer = httpx2.post(
                f"http://127.0.0.1:{origin_port}/api/v1/initialize", json=body, headers=title, timeout=30
            )
            assert (answer.status_code, answer.json()["status"]) == (200, "initialized")
        finally:
            service.end()
