import json

import pytest

from domain.takeover.environment import EnvironmentRefused, read_variables

COMPOSE = {
    "services": {
        "nodejs-runtime": {"environment": {"NODE_ENV": "development", "PORT": "1"}},
        "controller": {
            "environment": {
                "NODEJS_RUNTIME_URL": "http://nodejs:8080",
                "DATABASE_URL_FILE": "/run/secrets/db_url",
                "REDIS_URL_FILE": "/run/secrets/none",
                "EMPTY": None,
            }
        },
        "redis": {},
    },
    "secrets": {"db_url": {"file": "/srv/secrets/db_url.txt"}},
}


def test_lines_are_read_as_compose_reads_them():
    text = """
# a comment
HOST=0.0.0.0
export PORT = 8080
EMPTY=
URL=postgres://u:p#w@h/d # the old one
SINGLE='a # b' # c
DOUBLE="a \\"b\\" c"
SAME=a=b
"""
    assert read_variables(text) == {
        "HOST": "0.0.0.0",
        "PORT": "8080",
        "EMPTY": "",
        "URL": "postgres://u:p#w@h/d",
        "SINGLE": "a # b",
        "DOUBLE": 'a "b" c',
        "SAME": "a=b",
    }


def test_of_compose_the_controller_counts_with_what_only_the_runtimes_have():
    assert read_variables(json.dumps(COMPOSE)) == {
        "NODE_ENV": "development",
        "NODEJS_RUNTIME_URL": "http://nodejs:8080",
        "DATABASE_URL_FILE": "/srv/secrets/db_url.txt",
        "REDIS_URL_FILE": "/run/secrets/none",
    }


def test_an_environment_may_be_a_list():
    compose = {"services": {"x": {"environment": ["NODEJS_RUNTIME_URL=a=b", "FLAG"]}}}
    assert read_variables(json.dumps(compose)) == {"NODEJS_RUNTIME_URL": "a=b", "FLAG": ""}


def test_a_config_map_is_read():
    assert read_variables('{"kind": "ConfigMap", "data": {"PORT": "8080", "N": 1}}') == {"PORT": "8080", "N": "1"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("services:\n  x:", "line 1 is not NAME=value. Give a Compose file as `docker compose config --format json`"),
        ("A=1\n2B=3", "line 2"),
        ("{", "begins like JSON"),
        ("{}", 'without "services" or "data"'),
        ('{"services": {"x": {"environment": {"A": "1"}}}}', "no service has NODEJS_RUNTIME_URL"),
    ],
)
def test_another_form_is_refused(text: str, words: str):
    with pytest.raises(EnvironmentRefused, match=words):
        read_variables(text)
