"""The settings of runtime hosts that register themselves."""

from ipaddress import ip_address

import pytest

from entrypoints.settings.checks import CONTROLLER_CHECKS, RUNTIME_HOST_CHECKS
from entrypoints.settings.environment import SettingsError
from entrypoints.settings.loading import load_settings
from entrypoints.settings.runtime_hosts import host_networks, host_tls, runtime_host_name, runtime_host_url
from tests.support.certificates import Authority

HOST = {"CONTROLLER_URL": "http://c:8080,https://d", "RUNTIME_HOST_URL": "http://h:8081", "RUNTIME_TOKEN": "t"}


def problems(checks, **environ):
    with pytest.raises(SettingsError) as error:
        load_settings(environ, checks)
    return error.value.problems


def test_a_controller_accepts_hosts_in_its_networks():
    given = {"RUNTIME_HOST_NETWORKS": "10.1.0.0/16,fd00::/8", "RUNTIME_TOKEN": "t"}
    settings = load_settings(given, CONTROLLER_CHECKS)
    assert host_networks(settings).accepts(ip_address("10.1.2.3"))
    assert not host_networks(settings).accepts(ip_address("10.2.2.3"))
    assert settings.has_runtime_hosts
    assert settings.local_languages == ()


def test_without_networks_scripts_run_where_the_runtime_urls_say():
    assert load_settings({}).local_languages == ("nodejs_runtime_url", "python_runtime_url")
    assert not load_settings({}).has_runtime_hosts
    listed = load_settings({"PYTHON_RUNTIME_URL": "http://127.0.0.1:1"})
    assert (listed.local_languages, listed.has_runtime_hosts) == (("nodejs_runtime_url",), True)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"RUNTIME_HOST_NETWORKS": "10.0.0.1/8", "RUNTIME_TOKEN": "t"}, "RUNTIME_HOST_NETWORKS: '10.0.0.1/8'"),
        ({"RUNTIME_HOST_NETWORKS": "hosts", "RUNTIME_TOKEN": "t"}, "RUNTIME_HOST_NETWORKS: 'hosts'"),
        (
            {"RUNTIME_HOST_NETWORKS": ",".join(f"10.{n}.0.0/16" for n in range(65)), "RUNTIME_TOKEN": "t"},
            "RUNTIME_HOST_NETWORKS: 65 entries",
        ),
        ({"RUNTIME_HOST_NETWORKS": "10.0.0.0/8"}, "RUNTIME_TOKEN: it is not set"),
    ],
)
def test_a_wrong_setting_of_a_controller_is_named(given, expected):
    (problem,) = problems(CONTROLLER_CHECKS, **given)
    assert problem.startswith(expected)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"CONTROLLER_URL": "c:8080"}, "CONTROLLER_URL: 'c:8080' must begin with http"),
        ({"CONTROLLER_URL": "http://c/api"}, "CONTROLLER_URL: 'http://c/api' must end with the host"),
        ({"CONTROLLER_URL": ",".join(f"http://c{n}" for n in range(9))}, "CONTROLLER_URL: 9 URLs"),
        ({"RUNTIME_HOST_URL": "unix:/run/host"}, "RUNTIME_HOST_URL: 'unix:/run/host' must begin with http"),
        ({"RUNTIME_HOST_URL": "", "PORT": "0"}, "RUNTIME_HOST_URL: it is not set, and PORT is 0"),
        ({"RUNTIME_HOST_NAME": "a host"}, "RUNTIME_HOST_NAME: 'a host' does not match"),
        ({"RUNTIME_TOKEN": ""}, "RUNTIME_TOKEN: it is not set"),
    ],
)
def test_a_wrong_setting_of_a_host_is_named(changed, expected):
    load_settings(HOST, RUNTIME_HOST_CHECKS)
    (problem,) = problems(RUNTIME_HOST_CHECKS, **HOST | changed)
    assert problem.startswith(expected)


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ({"RUNTIME_HOST_URL": "https://h"}, "https://h"),
        ({"HOST": "10.0.0.7"}, "http://10.0.0.7:8081"),
        ({"HOST": "fd00::7"}, "http://[fd00::7]:8081"),
        ({"HOST": "10.0.0.7", "RUNTIME_TLS_CERT_FILE": "cert"}, "https://10.0.0.7:8081"),
        ({"HOST": "0.0.0.0"}, None),
        ({"HOST": "::"}, None),
    ],
)
def test_a_host_is_reached_at_its_url_or_where_it_listens(given, url):
    assert runtime_host_url(load_settings(HOST | {"RUNTIME_HOST_URL": "", "PORT": "8081"} | given, ())) == url


def test_a_host_has_the_name_of_its_machine_and_port_unless_it_is_given_one(monkeypatch):
    assert runtime_host_name(load_settings(HOST | {"RUNTIME_HOST_NAME": "h-1"})) == "h-1"
    for machine, name in (("box", "box:8081"), ("my box/\u00e9", "my-box--:8081"), ("b" * 200, "b" * 123 + ":8081")):
        monkeypatch.setattr("socket.gethostname", lambda machine=machine: machine)
        named = runtime_host_name(load_settings(HOST | {"PORT": "8081"}))
        assert named == name
        load_settings(HOST | {"RUNTIME_HOST_NAME": named}, RUNTIME_HOST_CHECKS)


class TestTls:
    @pytest.fixture
    def files(self, tmp_path):
        cert, key = Authority(tmp_path).vouch("host.example")
        return {"RUNTIME_TLS_CERT_FILE": str(cert), "RUNTIME_TLS_KEY_FILE": str(key)}

    def test_a_certificate_and_its_key_make_the_tls_of_a_host(self, files):
        settings = load_settings(HOST | files, RUNTIME_HOST_CHECKS)
        assert host_tls(settings) is not None
        assert host_tls(load_settings(HOST)) is None

    @pytest.mark.parametrize("missing", ["RUNTIME_TLS_CERT_FILE", "RUNTIME_TLS_KEY_FILE"])
    def test_one_without_the_other_is_named(self, files, missing):
        (problem,) = problems(RUNTIME_HOST_CHECKS, **HOST | files | {missing: ""})
        assert problem.startswith("RUNTIME_TLS_CERT_FILE: it needs RUNTIME_TLS_KEY_FILE")

    def test_a_host_with_a_certificate_at_all_addresses_needs_the_url_of_its_name(self, files):
        (problem,) = problems(RUNTIME_HOST_CHECKS, **HOST | files | {"HOST": "0.0.0.0", "RUNTIME_HOST_URL": ""})
        assert problem.startswith("RUNTIME_HOST_URL: it is not set, and a runtime host with RUNTIME_TLS_CERT_FILE")

    def test_files_that_do_not_belong_together_are_named(self, files, tmp_path):
        _, key = Authority(tmp_path, "another").vouch("host.example")
        (problem,) = problems(RUNTIME_HOST_CHECKS, **HOST | files | {"RUNTIME_TLS_KEY_FILE": str(key)})
        assert problem.startswith("RUNTIME_TLS_CERT_FILE: the certificate and the key")

    def test_the_certificates_of_a_controller_must_be_readable(self, tmp_path):
        known = Authority(tmp_path).file
        load_settings({"RUNTIME_CA_FILE": str(known)}, CONTROLLER_CHECKS)
        for wrong in (tmp_path / "none.pem", tmp_path):
            (problem,) = problems(CONTROLLER_CHECKS, RUNTIME_CA_FILE=str(wrong))
            assert problem.startswith("RUNTIME_CA_FILE: the certificates cannot be used")

    def test_the_certificates_that_verify_controllers_must_be_readable(self, tmp_path):
        load_settings(HOST | {"CONTROLLER_CA_FILE": str(Authority(tmp_path).file)}, RUNTIME_HOST_CHECKS)
        (problem,) = problems(RUNTIME_HOST_CHECKS, **HOST | {"CONTROLLER_CA_FILE": str(tmp_path)})
        assert problem.startswith("CONTROLLER_CA_FILE: the certificates cannot be used")
