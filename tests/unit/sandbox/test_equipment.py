"""Plain zygotes are started as before there were equipped ones, and equipped ones with more."""

import json
from pathlib import Path

import pytest
from attrs import evolve

from adapters.sandbox.equipment import Equipment, WorkerNetwork
from adapters.sandbox.isolation.seccomp import network_filter
from adapters.sandbox.network import network_of
from adapters.sandbox.options import MIB, SandboxOptions
from adapters.sandbox.protocol.execution import LoadFacts, operations_of
from adapters.sandbox.runtimes.interpreters import Bind, Interpreter
from adapters.sandbox.runtimes.launchers import Programs
from adapters.sandbox.zygote.preload import PreloadCost
from adapters.sandbox.zygote.sandbox_spec import SandboxSpec
from domain.egress.rule import EgressRule
from domain.scripts.convention import Convention
from domain.scripts.language import Language
from tests.contracts.script_runs import new_session, run_of, script_of

RECORDED = json.loads(Path(__file__).with_name("plain_zygotes.json").read_text())
EQUIPMENT = Equipment(roots=Path("/etc/roots.pem"), tree=Path("/trees/1"))
NETWORK = WorkerNetwork(["api.example.com", "db.example.com"], [443, 5432])


def spec_of(language: Language = Language.PYTHON, *, is_forked: bool = True) -> SandboxSpec:
    interpreter = Interpreter(
        language=language,
        version="1",
        binds=[Bind(Path("/host/program"), Path("/usr/bin/program"))],
        guest_binds=[Bind(Path("/host/guest"), Path("/guest"))],
        program=Path("/usr/bin/program"),
        guest=["/guest", "zygote"],
        data_base_mb=16,
        mapped_base_mb=64,
        threads_later_max=0,
        is_forked=is_forked,
    )
    programs = Programs(*(Path(f"/usr/bin/{name}") for name in ("bwrap", "unshare", "setpriv", "sh")))
    options = SandboxOptions(Path("/data"))
    return SandboxSpec(interpreter, interpreter, programs, Path("/nothing"), b"1", b"2", None, 128, True, options)


def facts_of(spec: SandboxSpec) -> dict[str, object]:
    order = {**spec.order(), "processors": []}
    return {"command": spec.command(7, 8), "setup": spec.setup(), "order": order}


@pytest.mark.parametrize(("language", "is_forked"), [(each, forks) for each in Language for forks in (True, False)])
def test_a_plain_zygote_is_started_as_before_there_were_equipped_ones(language, is_forked):
    facts = json.loads(json.dumps(facts_of(spec_of(language, is_forked=is_forked))))
    assert facts == RECORDED[f"{language} {is_forked}"]


@pytest.mark.parametrize("convention", Convention)
def test_the_operations_of_a_plain_session_are_those_of_before(convention):
    script, ref = script_of("result = 1"), new_session()
    run = run_of("result = 1", '{"a":1}', convention=convention, ref=ref)
    operations = operations_of(run, script, "ab", SandboxOptions(Path("/data")), LoadFacts())
    recorded = RECORDED[f"operations {convention}"].replace("SESSION", str(ref.session_id))
    assert operations.hex() == recorded.encode("latin-1").hex()


def test_an_equipped_zygote_may_make_networks_and_has_its_files():
    plain, equipped = spec_of().command(7, 8), evolve(spec_of(), equipment=EQUIPMENT).command(7, 8)
    assert [each for each in equipped if each not in plain] == [
        "CAP_NET_ADMIN", "CAP_NET_BIND_SERVICE",
        "/etc/roots.pem", "/usr/lib/pglambda/roots.pem", "/trees/1", "/environment",
        "/etc/roots.pem", "/worker/usr/lib/pglambda/roots.pem", "/trees/1", "/worker/environment", "/worker/etc",
    ]  # fmt: skip


def test_an_equipped_zygote_has_both_filters_and_a_plain_one_its_own():
    assert evolve(spec_of(), equipment=EQUIPMENT).setup()["network_filter"] == network_filter().hex()
    assert "network_filter" not in spec_of().setup()


def test_a_worker_with_patterns_has_a_proxy_and_variables_that_name_it():
    network = network_of(tuple(map(EgressRule.parse, ("*.example.org:443", "example.org:443", "db.test:443/tcp"))))
    assert (network.hosts, network.ports, network.has_proxy) == (["example.org", "db.test"], [443], True)
    order = evolve(spec_of(), equipment=EQUIPMENT, network=network).order()
    assert order["listeners"] == [443, 3128]
    proxy, direct = "http://127.0.0.1:3128", "db.test"
    variables = {"HTTPS_PROXY": proxy, "https_proxy": proxy, "NO_PROXY": direct, "no_proxy": direct}
    assert network.variables() == variables
    assert order["variables"] == {
        "NODE_EXTRA_CA_CERTS": "/usr/lib/pglambda/roots.pem",
        "NODE_USE_ENV_PROXY": "1",
        **variables,
    }
    assert NETWORK.variables() == NETWORK.variables_at_start() == {}


def test_the_loopback_of_a_worker_gets_the_addresses_that_rules_name():
    network = WorkerNetwork(["10.1.2.3", "127.0.0.1", "api.example.com"], [5432])
    assert dict(network.order())["addresses"] == ["10.1.2.3"]
    assert "addresses" not in dict(NETWORK.order())


def test_the_order_of_a_worker_has_its_network():
    order = evolve(spec_of(), equipment=EQUIPMENT, network=NETWORK).order()
    assert order["own_network"] is True
    assert order["listeners"] == [443, 5432]
    assert order["hosts"] == "127.0.0.1 localhost\n127.1.0.1 api.example.com\n127.1.0.2 db.example.com\n"
    assert order["variables"] == {"NODE_EXTRA_CA_CERTS": "/usr/lib/pglambda/roots.pem"}


def test_a_worker_of_an_equipped_zygote_may_have_no_network():
    order = evolve(spec_of(), equipment=EQUIPMENT).order()
    assert not order.keys() & {"own_network", "listeners", "hosts"}


def test_zygotes_are_shared_by_equal_equipment_alone():
    same = Equipment(roots=Path("/etc/roots.pem"), tree=Path("/trees/1"))
    assert evolve(spec_of(), equipment=EQUIPMENT).kind == evolve(spec_of(), equipment=same).kind
    assert (
        spec_of().kind != evolve(spec_of(), equipment=EQUIPMENT).kind != evolve(spec_of(), equipment=Equipment()).kind
    )


def test_a_worker_with_files_mounts_a_folder_of_its_size():
    without, spec = (
        evolve(spec_of(), equipment=Equipment(has_files=each), files_mb=20 * each) for each in (False, True)
    )
    assert [each for each in spec.command(7, 8) if each not in without.command(7, 8)] == ["/worker/files"]
    assert spec.setup() == {**without.setup(), "files": True}
    order = spec.order()
    assert order["files"] == "size=20971520,nr_inodes=256,mode=0700"
    assert {**without.order(), "files": order["files"], "limits": order["limits"]} == order
    assert (without.limits()["fsize"], spec.limits()["fsize"]) == (16 * MIB, 20 * MIB)
    assert evolve(spec, files_mb=1).limits()["fsize"] == 16 * MIB
    assert spec.kind != without.kind


def test_packages_are_named_to_the_zygote_with_the_variables_that_they_read():
    setup = evolve(spec_of(), equipment=evolve(EQUIPMENT, preload=("numpy", "pandas"))).setup()
    assert setup["preload"] == ("numpy", "pandas")
    assert setup["variables"]["OPENBLAS_NUM_THREADS"] == "1"
    assert "preload" not in evolve(spec_of(), equipment=Equipment(EQUIPMENT.roots)).setup()


def test_the_first_worker_has_the_memory_of_the_packages_beside_its_own():
    spec = evolve(spec_of(), equipment=EQUIPMENT)
    cost = PreloadCost(cpu_ms=1.0, private_bytes=5 * MIB, data_bytes=70 * MIB, mapped_bytes=150 * MIB)
    assert spec.limits(None, cost)["data"] == (70 + 128) * MIB
    assert spec.limits(None, cost)["as"] == (150 + 16 + 128) * MIB
    assert spec.limits(50 * MIB, cost)["data"] == (50 - 1 + 128) * MIB


def test_packages_of_nodejs_may_make_functions_from_text():
    interpreter = evolve(spec_of().interpreter, language=Language.NODEJS)
    plain, packaged = (interpreter.command(3, 128, generates_code=each) for each in (False, True))
    assert [each for each in plain if each not in packaged] == ["--disallow-code-generation-from-strings"]


def test_equipment_without_roots_names_none():
    assert Equipment().variables() == Equipment().variables_at_start() == {}
    assert set(Equipment(EQUIPMENT.roots).variables()) == {"SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"}
