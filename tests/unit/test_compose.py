"""The file that adds the port for clients of lambda-microservice to deploy/compose.yaml."""

import re
from pathlib import Path

import yaml

from entrypoints.settings.checks import CONTROLLER_CHECKS
from entrypoints.settings.loading import load_settings

DEPLOY = Path(__file__).parents[2] / "deploy"


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
