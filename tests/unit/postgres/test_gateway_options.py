"""The gateway's numbers."""

import pytest
from psycopg.conninfo import conninfo_to_dict

from adapters.postgres.batching.locking_writes import POLLS_MAX
from adapters.postgres.connections.statement import Statement
from adapters.postgres.gateway_options import GatewayOptions


def test_each_time_limit_is_below_the_next():
    options = GatewayOptions("dbname=x", request_timeout_s=2.0)
    assert options.lock_timeout_s == pytest.approx(0.3)
    assert options.statement_timeout_s == pytest.approx(0.5)
    assert options.socket_timeout_s == pytest.approx(0.7)
    assert options.socket_timeout_s * 2 + options.pool_timeout_s < options.request_timeout_s
    assert options.lock_timeout_s + POLLS_MAX * options.poll_pause_s < options.request_timeout_s


@pytest.mark.parametrize(("request_s", "connect_s"), [(0.1, 1.0), (2.0, 1.5), (60.0, 5.0)])
def test_connecting_is_bounded_whatever_the_budget(request_s, connect_s):
    options = GatewayOptions("dbname=x", request_timeout_s=request_s)
    assert options.connect_timeout_s == connect_s
    assert int(conninfo_to_dict(options.conninfo)["connect_timeout"]) >= connect_s


def test_the_server_gets_its_time_limits_in_the_connection_options():
    options = conninfo_to_dict(GatewayOptions("dbname=x options='-c work_mem=8MB'").conninfo)["options"]
    timeouts = "-c lock_timeout=300 -c statement_timeout=500"
    plans = "-c plan_cache_mode=force_generic_plan -c enable_seqscan=off -c jit=off"
    assert options == f"-c work_mem=8MB -c TimeZone=UTC {timeouts} {plans}"


def test_a_node_limits_the_time_of_a_client_that_stops_while_it_holds_a_bucket():
    at_home, at_node = (
        conninfo_to_dict(GatewayOptions("dbname=x", holds_buckets=holds).conninfo)["options"] for holds in (False, True)
    )
    assert at_node == f"{at_home} -c transaction_timeout=700 -c tcp_user_timeout=700"


def test_behind_a_pooler_no_options_are_sent():
    assert "options" not in conninfo_to_dict(GatewayOptions("dbname=x", server_timeouts=False).conninfo)


@pytest.mark.parametrize("hosts", ["host=a,b", "hostaddr=10.0.0.1,10.0.0.2"])
def test_the_gateway_connects_to_the_primary_of_several_hosts(hosts):
    assert conninfo_to_dict(GatewayOptions(hosts).conninfo)["target_session_attrs"] == "read-write"


def test_a_choice_of_hosts_in_the_address_is_kept():
    assert (
        conninfo_to_dict(GatewayOptions("host=a,b target_session_attrs=any").conninfo)["target_session_attrs"] == "any"
    )
    assert "target_session_attrs" not in conninfo_to_dict(GatewayOptions("host=a").conninfo)


def test_a_bad_address_is_refused_without_showing_the_password():
    with pytest.raises(ValueError, match="neither") as caught:
        GatewayOptions("host=a secret-word")
    assert "secret-word" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_options_do_not_show_the_password():
    assert "hunter2" not in repr(GatewayOptions("postgresql://u:hunter2@h/d"))


@pytest.mark.parametrize("wrong", [{"pool_size_max": 0}, {"request_timeout_s": 0.0}])
def test_a_meaningless_number_is_refused(wrong):
    with pytest.raises(ValueError, match="must be"):
        GatewayOptions("dbname=x", **wrong)


def test_a_statement_writes_unless_its_name_says_select():
    assert not Statement("select_sessions", "SELECT 1").writes
    assert Statement("begin_executions", "WITH x AS (SELECT 1) SELECT 1").writes
