"""deploy/compose.yaml and the files that add to it agree with the service."""

import re
from pathlib import Path

import yaml

from entrypoints.settings.checks import CONTROLLER_CHECKS, RUNTIME_HOST_CHECKS
from entrypoints.settings.loading import load_settings

DEPLOY = Path(__file__).parents[2] / "deploy"
_VARIABLE = re.compile(r"\$\{(?P<name>\w+):(?:-(?P<default>[^}]*)|\?[^}]*)\}")


SECRET = f"{'A' * 43}="
"""The base64 of 32 bytes, which may stand for every secret."""


def filled(value):
    """Return a value of the file with the defaults of its variables, and SECRET for those that have to be set."""
    return _VARIABLE.sub(lambda found: SECRET if found["default"] is None else found["default"], str(value))


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


def test_hosts_reach_what_controllers_allow_and_one_controller_builds_packages_in_a_sandbox():
    base = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    added = yaml.safe_load((DEPLOY / "compose.scripts.yaml").read_text())
    services = added["services"]
    given = {"EGRESS_RULES": "api.example.com:443", "ENVIRONMENT_INDEX_PYTHON": "https://index.example.com/simple"}

    def settings_of(name, checks):
        variables = base["services"][services[name].get("extends", {}).get("service", name)]["environment"]
        merged = {key: filled(value) for key, value in (variables | services[name]["environment"]).items()}
        return load_settings(
            {"HOST": "0.0.0.0", **merged, **{key: given[key] for key in given if key in merged}}, checks
        )

    controllers = [settings_of(name, CONTROLLER_CHECKS) for name in ("controller-1", "controller-2", "builder")]
    host = settings_of("runtime-host", RUNTIME_HOST_CHECKS)
    assert [each.environment_builds for each in controllers] == [False, False, True]
    assert len({each.environment_index_python.reveal() for each in controllers}) == 1
    assert [each.egress_rules for each in controllers[:2]] == [host.egress_rules] * 2 == [("api.example.com:443",)] * 2
    (outside,) = services["runtime-host"]["networks"]
    assert not (added["networks"][outside] or {}).get("internal")
    assert set(services["builder"]["security_opt"]) <= set(base["services"]["runtime-host"]["security_opt"])
