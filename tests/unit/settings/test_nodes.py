"""DATABASE_NODES says where the nodes of a distributed database are."""

import pytest

from entrypoints.settings.environment import SettingsError
from entrypoints.settings.loading import load_settings
from entrypoints.settings.nodes import clock_source, node_addresses

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


@pytest.mark.parametrize(
    ("source", "address"),
    [("home", None), ("a.example:5432", ("a.example", 5432)), ("[2001:db8::1]:1", ("2001:db8::1", 1))],
)
def test_the_source_of_the_time_is_home_or_the_address_of_a_node(source, address):
    settings = load_settings(URL | {"DATABASE_NODES": "auto", "CLOCK_SOURCE": source})
    assert clock_source(settings) == address


@pytest.mark.parametrize("source", ["a.example", "2=a:1", "a:65536", "a:1,b:1", "home:"])
def test_a_source_that_is_no_address_is_refused(source):
    with pytest.raises(SettingsError, match=r"CLOCK_SOURCE: .* is no node"):
        load_settings(URL | {"DATABASE_NODES": "auto", "CLOCK_SOURCE": source})


def test_a_plain_database_has_no_other_source_of_the_time():
    assert clock_source(load_settings(URL)) is None
    with pytest.raises(SettingsError, match="CLOCK_SOURCE: only a distributed database has other nodes"):
        load_settings(URL | {"CLOCK_SOURCE": "a:1"})


def test_the_embedded_server_has_no_nodes():
    with pytest.raises(SettingsError, match="the embedded server has no nodes"):
        load_settings({"DATABASE_NODES": "auto"})
