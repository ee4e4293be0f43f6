"""What is said of this machine, of callers, and of what runs scripts."""

import pytest

from domain.inspection import AccessFacts, LanguageFacts, LayerFacts
from entrypoints.cli.diagnosis.access import judge_access, judge_entrance
from entrypoints.cli.diagnosis.disk import judge_host, judge_stored
from entrypoints.cli.diagnosis.finding import Level
from entrypoints.cli.diagnosis.scripts import judge_runtime_hosts, judge_sandbox
from entrypoints.settings.loading import load_settings
from entrypoints.version import VERSION
from tests.unit.examination.facts import GIB, HOST, RUNTIME_HOST, SANDBOX, changed, levels, seen, settings_of

SECRET = "s" * 32
OPEN = settings_of(HOST="0.0.0.0", AUTH="none", METRICS_PORT="9100")
CLOSED = settings_of(JWT_SECRET=SECRET)


class TestCallers:
    def test_on_loopback_everybody_may_call_which_is_noted(self):
        assert levels(judge_entrance(settings_of())) == {Level.NOTE}

    def test_off_loopback_that_is_a_warning(self):
        assert seen(judge_entrance(OPEN), Level.WARNING) == ["everybody who reaches 0.0.0.0 port 8080 may call"]
        assert "may read the metrics" in seen(judge_entrance(OPEN), Level.NOTE)[0]

    def test_with_authentication_that_is_well(self):
        assert levels(judge_entrance(CLOSED)) == {Level.OK}

    def test_sessions_of_nobody_are_a_warning_once_callers_have_to_authenticate(self):
        facts = AccessFacts(3, has_api_keys=False)
        assert judge_access(facts, settings_of()) == []
        assert seen(judge_access(facts, CLOSED), Level.WARNING) == ["3 sessions belong to `anonymous`"]
        assert judge_access(facts, CLOSED)[0].remedy == "pglambda owners move anonymous OWNER"

    def test_they_are_counted_up_to_a_bound(self):
        found = judge_access(AccessFacts(10_001, has_api_keys=True), CLOSED)
        assert seen(found, Level.WARNING) == ["more than 10,000 sessions belong to `anonymous`"]

    def test_without_any_key_nobody_can_call(self):
        found = judge_access(AccessFacts(0, has_api_keys=False), settings_of(AUTH="required"))
        assert levels(found) == {Level.PROBLEM}
        assert judge_access(AccessFacts(0, has_api_keys=True), settings_of(AUTH="required")) == []


class TestTheSandbox:
    def test_one_that_is_whole_is_well(self):
        assert levels(judge_sandbox(SANDBOX)) == {Level.OK}

    def test_a_language_that_cannot_run_is_a_problem_with_its_remedy(self):
        broken = changed(SANDBOX, languages=[LanguageFacts("nodejs", "", "", "install it")])
        assert seen(judge_sandbox(broken), Level.PROBLEM) == ["nodejs cannot run: install it"]

    def test_each_missing_layer_is_told_by_its_weight(self):
        layers = [LayerFacts("seccomp", False, True), LayerFacts("a control group", False, False, "not delegated")]
        found = judge_sandbox(changed(SANDBOX, layers=layers))
        assert seen(found, Level.PROBLEM) == ["without seccomp"]
        assert seen(found, Level.NOTE) == ["without a control group: not delegated"]

    def test_workers_under_the_services_own_user_are_noted(self):
        assert "normal user" in seen(judge_sandbox(changed(SANDBOX, uid=None)), Level.NOTE)[0]

    def test_a_user_id_of_somebody_else_is_told(self):
        found = judge_sandbox(changed(SANDBOX, uid=70, account="postgres"))
        assert seen(found, Level.WARNING) == ["workers run under user id 70, which is that of postgres"]


class TestRuntimeHosts:
    def test_one_that_is_well(self):
        assert levels(judge_runtime_hosts([changed(RUNTIME_HOST, version=VERSION)])) == {Level.OK}

    def test_one_of_another_release_is_noted(self):
        assert levels(judge_runtime_hosts([changed(RUNTIME_HOST, version="0.0.9")])) == {Level.NOTE}

    def test_one_that_cannot_be_reached_is_a_problem_when_it_is_alone(self):
        lost = changed(RUNTIME_HOST, url="http://other", status="failing", reason="refused")
        assert levels(judge_runtime_hosts([lost])) == {Level.PROBLEM}
        assert levels(judge_runtime_hosts([lost, RUNTIME_HOST])) == {Level.OK, Level.WARNING}

    def test_a_wrong_token_is_told_apart(self):
        (finding,) = judge_runtime_hosts([changed(RUNTIME_HOST, status="degraded", reason="it answered 401")])
        assert "RUNTIME_TOKEN" in finding.remedy


class TestRoom:
    SETTINGS = load_settings({"DATA_DIR": "/var/lib/pglambda"})

    @pytest.mark.parametrize(
        ("free", "level"),
        [(100 * GIB, Level.OK), (GIB, Level.WARNING), (9 * GIB, Level.WARNING), (GIB // 5, Level.PROBLEM)],
    )
    def test_a_disk_that_fills_up_is_told_in_time(self, free, level):
        found = judge_host(changed(HOST, disk_free_bytes=free), self.SETTINGS)
        assert levels(found) - {Level.OK} == {level} - {Level.OK}
        assert "the database" in found[0].seen

    @pytest.mark.parametrize(("free", "level"), [(GIB, Level.OK), (GIB // 5, Level.PROBLEM)])
    def test_a_database_elsewhere_leaves_the_disk_to_interpreters(self, free, level):
        assert levels(judge_host(changed(HOST, disk_free_bytes=free), settings_of())) == {Level.OK, level}

    @pytest.mark.parametrize(
        ("descriptors", "level"), [(1024, Level.NOTE), (5375, Level.NOTE), (5376, Level.OK), (None, Level.OK)]
    )
    def test_too_few_descriptors_are_noted(self, descriptors, level):
        assert judge_host(changed(HOST, descriptors_max=descriptors), settings_of())[-1].level is level

    @pytest.mark.parametrize(
        ("size", "budget", "level"), [(GIB, "", Level.NOTE), (GIB, "2", Level.OK), (GIB, "1.1", Level.WARNING)]
    )
    def test_a_budget_that_is_nearly_used_up_is_a_warning(self, size, budget, level):
        assert levels(judge_stored(size, settings_of(STORAGE_MAX_GB=budget))) == {level}
