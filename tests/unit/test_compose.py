"""deploy/compose.yaml and the file that adds the port for clients of lambda-microservice agree with the service."""

import re
from pathlib import Path

import yaml

from entrypoints.settings.checks import CONTROLLER_CHECKS, RUNTIME_HOST_CHECKS
from entrypoints.settings.loading import load_settings

DEPLOY = Path(__file__).parents[2] / "deploy"
_VARIABLE = re.compile(r"\$\{(?P<name>\w+):(?:-(?P<default>[^}]*)|\?[^}]*)\}")


def filled(value):
    """Return a value of the file with the defaults of its variables, and a text for those that have to be set."""
    return _VARIABLE.sub(lambda found: found["default"] or "a text of the test, of 32 bytes at least", str(value))


def test_runtime_hosts_register_at_both_controllers_from_the_network_that_these_accept():
    deployment = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    services = deployment["services"]
    given = {key: filled(value) for key, value in services["runtime-host"]["environment"].items()}
    host = load_settings({"HOST": "0.0.0.0", **given}, RUNTIME_HOST_CHECKS)
    (subnet,) = deployment["networks"]["runtime"]["ipam"]["config"]
    for url in host.controller_url:
        controller = services[url.removeprefix("http://").removesuffix(":8080")]
        assert "runtime" in controller["networks"]
        variables = {key: filled(value) for key, value in controller["environment"].items()}
        settings = load_settings({"HOST": "0.0.0.0", **variables}, CONTROLLER_CHECKS)
        assert settings.runtime_host_networks == (filled(subnet["subnet"]),)
        assert settings.runtime_token.reveal() == host.runtime_token.reveal()
    assert len(host.controller_url) == 2
    assert host.database_url is None


def test_both_controllers_serve_the_port_that_the_proxy_publishes():
    services = yaml.safe_load((DEPLOY / "compose.origin.yaml").read_text())["services"]
    proxy = (DEPLOY / "haproxy" / "origin.cfg").read_text()
    (listens,) = re.findall(r"bind :(\d+)", proxy)
    servers = dict(re.findall(r"server (\S+) \1:(\d+)", proxy))
    assert services["proxy"]["ports"][0].endswith(f":{listens}")
    assert "/usr/local/etc/haproxy/origin.cfg" in services["proxy"]["command"]
    for name, port in servers.items():
        variables = {key: str(value) for key, value in services[name]["environment"].items()}
        variables["ORIGIN_URL"] = "http://old:8080"
        settings = load_settings({"DATABASE_URL": "postgresql://postgres/pglambda", **variables}, CONTROLLER_CHECKS)
        assert settings.origin_port == int(port)
    assert set(servers) == {"controller-1", "controller-2"}
