"""DATABASE_NODES says where the nodes of a distributed database are."""

import pytest

from entrypoints.settings.environment import SettingsError
from entrypoints.settings.loading import load_settings
from entrypoints.settings.nodes import node_addresses

URL = {"DATABASE_URL": "postgresql://db/pglambda"}


@pytest.mark.parametrize(
    ("nodes", "addresses"),
    [
        ("auto", {}),
        ("5=a.example:5432", {5: ("a.example", 5432)}),
        ("0=10.0.0.1:5432, 12=[2001:db8::1]:65535", {0: ("10.0.0.1", 5432), 12: ("2001:db8::1", 65535)}),
    ],
)
def test_nodes_have_addresses_by_their_groups(nodes, addresses):
    assert node_addresses(load_settings(URL | {"DATABASE_NODES": nodes})) == addresses


def test_a_plain_database_has_no_nodes():
    assert load_settings(URL).database_nodes is None
    assert node_addresses(load_settings(URL)) == {}


@pytest.mark.parametrize(
    "nodes", ["a.example:5432", "5=a.example", "5=:1", "x=a:1", "5=a:65536", "5=a:1,", "auto,5=a:1"]
)
def test_what_is_no_node_is_refused_with_its_text(nodes):
    with pytest.raises(SettingsError, match=r"DATABASE_NODES: .* is not a node"):
        load_settings(URL | {"DATABASE_NODES": nodes})


def test_the_embedded_server_has_no_nodes():
    with pytest.raises(SettingsError, match="the embedded server has no nodes"):
        load_settings({"DATABASE_NODES": "auto"})
