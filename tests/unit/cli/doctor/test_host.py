"""The findings about this machine, its callers and its sandbox."""

import pytest

from domain.host_facts import LanguageFacts, LayerFacts, OriginFacts, SyntaxFacts
from domain.storage.storage import Part
from domain.stored_facts import AccessFacts
from entrypoints.cli.doctor.host import (
    host_facts,
    judge_access,
    judge_address,
    judge_host,
    judge_origin,
    judge_sandbox,
    judge_stored,
)
from entrypoints.cli.doctor.report import Level
from entrypoints.cli.doctor.surroundings import UserFacts, judge_names, judge_origin_clients, judge_user
from entrypoints.settings.loading import load_settings
from tests.unit.cli.doctor.facts import GIB, HOST, SANDBOX, changed, levels, seen, settings_of

SECRET = "s" * 32
OPEN = settings_of(HOST="0.0.0.0", AUTH="none", METRICS_PORT="9100")
CLOSED = settings_of(JWT_SECRET=SECRET)


class TestCallers:
    def test_open_access_on_loopback_is_a_note(self):
        assert levels(judge_address(settings_of())) == {Level.NOTE}

    def test_open_access_on_other_addresses_is_a_warning(self):
        assert seen(judge_address(OPEN), Level.WARNING) == ["everyone who can reach 0.0.0.0 port 8080 may call"]
        assert "may read the metrics" in seen(judge_address(OPEN), Level.NOTE)[0]

    def test_the_port_of_old_clients_is_named_too(self):
        both = settings_of(HOST="0.0.0.0", AUTH="none", ORIGIN_PORT="8081")
        expected = "everyone who can reach 0.0.0.0 port 8080 and (clients of lambda-microservice) 8081 may call"
        assert seen(judge_address(both), Level.WARNING) == [expected]

    def test_what_old_clients_may_miss_is_a_note(self):
        assert list(judge_origin_clients(settings_of())) == []
        (unused,) = judge_origin_clients(settings_of(ORIGIN_URL="http://old:8080"))
        assert (unused.level, unused.remedy) == (Level.WARNING, "Set ORIGIN_PORT to the port that they call.")
        found = list(judge_origin_clients(settings_of(ORIGIN_PORT="8081")))
        assert levels(found) == {Level.NOTE}
        assert [finding.remedy.split(",")[0] for finding in found] == [
            "Set CORS_ORIGINS to the origins of your own pages.",
            "Set MAX_CONTEXT_SIZE=2097152",
            "Set MAX_PARAMS_SIZE=2097152",
            "Set MAX_RESULT_SIZE=67108864",
            "Set SCRIPT_TIMEOUT_MS=30000",
        ]
        sizes = {"MAX_CONTEXT_SIZE": "2097152", "MAX_PARAMS_SIZE": "2097152", "MAX_RESULT_SIZE": "67108864"}
        others = {"SCRIPT_TIMEOUT_MS": "30000", "CORS_ORIGINS": "https://app.example.com"}
        assert list(judge_origin_clients(settings_of(ORIGIN_PORT="8081", **sizes, **others))) == []

    def test_access_with_authentication_is_ok(self):
        assert levels(judge_address(CLOSED)) == {Level.OK}

    def test_anonymous_sessions_are_a_warning_if_callers_have_to_authenticate(self):
        facts = AccessFacts(3, api_keys=0)
        assert list(judge_access(facts, settings_of())) == []
        assert seen(judge_access(facts, CLOSED), Level.WARNING) == ["3 sessions belong to `anonymous`"]
        assert next(judge_access(facts, CLOSED)).remedy == "pglambda owners move anonymous OWNER"

    def test_anonymous_sessions_are_counted_up_to_a_limit(self):
        found = judge_access(AccessFacts(10_001, api_keys=1), CLOSED)
        assert seen(found, Level.WARNING) == ["more than 10,000 sessions belong to `anonymous`"]

    def test_keys_that_end_soon_or_are_not_used_are_shown(self):
        found = list(judge_access(AccessFacts(0, 3, keys_expiring=1, keys_unused=2), CLOSED))
        assert seen(found, Level.WARNING) == ["1 API keys end within 14 days"]
        assert seen(found, Level.NOTE) == ["2 API keys have not been used for 90 days"]

    def test_authentication_without_any_key_is_a_problem(self):
        found = judge_access(AccessFacts(0, api_keys=0), settings_of(AUTH="required"))
        assert levels(found) == {Level.PROBLEM}
        assert list(judge_access(AccessFacts(0, api_keys=1), settings_of(AUTH="required"))) == []
        assert list(judge_access(None, settings_of(AUTH="required"))) == []


def test_settings_of_the_origin_are_a_warning_with_the_command_that_converts_them():
    (finding,) = judge_names({"RUST_RUNTIME_URL": "http://x"})
    assert (finding.level, "RUST_RUNTIME_URL" in finding.seen) == (Level.WARNING, True)
    assert finding.remedy == "Convert its settings with: pglambda takeover config --env FILE."


def test_a_variable_that_looks_like_a_setting_is_a_warning():
    (finding,) = judge_names({"SCRIPT_TIMEOUT": "100", "PATH": "/bin"})
    assert (finding.level, finding.seen) == (Level.WARNING, "SCRIPT_TIMEOUT is not a setting")
    assert finding.remedy == "Rename it to SCRIPT_TIMEOUT_MS, or unset it."


class TestTheUser:
    @pytest.mark.parametrize(("own", "owner"), [(1000, 1000), (1000, None), (0, 1000)])
    def test_the_user_of_the_service_and_root_may_check_everything(self, own, owner):
        assert judge_user(UserFacts("/data", own, owner)) is None

    def test_another_user_is_one_problem_with_the_command_to_run(self):
        finding = judge_user(UserFacts("/data", 4_000_000, 0))
        assert finding.level is Level.PROBLEM
        assert finding.seen == "DATA_DIR /data belongs to root, and this command runs as #4000000"
        assert "sudo -u root --preserve-env pglambda doctor" in finding.remedy


class TestTheSandbox:
    def test_a_sandbox_with_all_layers_is_ok(self):
        assert levels(judge_sandbox(SANDBOX)) == {Level.OK}

    def test_syntaxes_of_scripts_that_this_host_cannot_run_are_warnings(self):
        tried = [
            SyntaxFacts("ES modules", "nodejs", None),
            SyntaxFacts("TypeScript", "nodejs", "it needs Node.js 22.13"),
        ]
        found = list(judge_sandbox(changed(SANDBOX, syntaxes=tried)))
        assert "scripts of nodejs can be ES modules" in seen(found, Level.OK)
        assert seen(found, Level.WARNING) == ["scripts of nodejs cannot be TypeScript: it needs Node.js 22.13"]

    def test_without_a_sandbox_the_finding_is_ok(self):
        assert seen(judge_sandbox(None), Level.OK) == ["every language runs on runtime hosts"]

    def test_a_language_that_cannot_run_is_a_problem_with_its_remedy(self):
        broken = changed(SANDBOX, languages=[LanguageFacts("nodejs", "", "", "install it")])
        assert seen(judge_sandbox(broken), Level.PROBLEM) == ["nodejs cannot run: install it"]

    def test_layers_are_not_reported_if_no_worker_has_started(self):
        layers = [LayerFacts("seccomp", False, True), LayerFacts("namespaces", False, True, "Allow them.")]
        failed = [LanguageFacts(language, "", "", "no files") for language in ("nodejs", "python")]
        found = list(judge_sandbox(changed(SANDBOX, layers=layers, languages=failed)))
        cannot_run = [f"{language} cannot run: no files" for language in ("nodejs", "python")]
        assert seen(found, Level.PROBLEM) == [*cannot_run, "without namespaces"]

    def test_a_missing_layer_is_a_problem_if_it_is_required_and_a_note_otherwise(self):
        layers = [LayerFacts("seccomp", False, True), LayerFacts("a control group", False, False, "not delegated")]
        found = list(judge_sandbox(changed(SANDBOX, layers=layers)))
        assert seen(found, Level.PROBLEM) == ["without seccomp"]
        assert seen(found, Level.NOTE) == ["without a control group: not delegated"]

    def test_workers_with_the_user_id_of_the_service_are_a_note(self):
        assert "normal user" in seen(judge_sandbox(changed(SANDBOX, uid=None)), Level.NOTE)[0]

    def test_a_user_id_of_another_account_is_a_warning(self):
        found = judge_sandbox(changed(SANDBOX, uid=70, account="postgres"))
        assert seen(found, Level.WARNING) == ["workers run under user id 70, which belongs to postgres"]


class TestOrigin:
    def test_without_an_origin_nothing_is_said(self):
        assert list(judge_origin(None)) == []

    def test_an_origin_that_responds_is_ok(self):
        (finding,) = judge_origin(OriginFacts("http://old:8080", None))
        assert (finding.level, finding.seen) == (Level.OK, "http://old:8080 responds")

    def test_an_origin_that_is_away_is_a_problem(self):
        (finding,) = judge_origin(OriginFacts("http://old:8080", "Connection refused"))
        assert finding.level is Level.PROBLEM
        assert "Connection refused" in finding.seen
        assert "ORIGIN_URL" in finding.remedy


class TestTheDisk:
    SETTINGS = load_settings({"DATA_DIR": "/var/lib/pglambda"})

    @pytest.mark.parametrize(
        ("free", "level"),
        [(100 * GIB, Level.OK), (GIB, Level.WARNING), (9 * GIB, Level.WARNING), (GIB // 5, Level.PROBLEM)],
    )
    def test_a_disk_with_little_space_is_a_warning_and_then_a_problem(self, free, level):
        found = list(judge_host(changed(HOST, disk_free_bytes=free), self.SETTINGS))
        assert levels(found) - {Level.OK} == {level} - {Level.OK}
        assert "the database" in found[0].seen

    async def test_a_data_folder_that_an_upgrade_has_kept_is_a_note(self, tmp_path):
        (tmp_path / "postgres-17").mkdir()
        (tmp_path / "postgres-17/PG_VERSION").write_text("17")
        (tmp_path / "postgres-17.9-programs").mkdir()
        facts = await host_facts(settings_of(DATA_DIR=str(tmp_path)))
        (note,) = [each for each in judge_host(facts, self.SETTINGS) if "are kept" in each.seen]
        assert (note.level, note.remedy) == (Level.NOTE, "pglambda upgrade-database --finish")
        assert note.seen.endswith(f": {tmp_path}/postgres-17")

    async def test_copies_of_the_database_that_backups_and_restores_have_left_are_a_note(self, tmp_path):
        for name in ("postgres", "postgres.old-1", "scratch/postgres"):
            (tmp_path / name).mkdir(parents=True)
        facts = await host_facts(settings_of(DATA_DIR=str(tmp_path)))
        (note,) = [each for each in judge_host(facts, self.SETTINGS) if "beside it" in each.seen]
        assert note.level is Level.NOTE
        assert note.seen.endswith(f": {tmp_path}/postgres.old-1, {tmp_path}/scratch/postgres")

    @pytest.mark.parametrize(("free", "level"), [(GIB, Level.OK), (GIB // 5, Level.PROBLEM)])
    def test_without_an_embedded_database_the_disk_needs_less_space(self, free, level):
        assert levels(judge_host(changed(HOST, disk_free_bytes=free), settings_of())) == {Level.OK, level}

    @pytest.mark.parametrize(
        ("descriptors", "level"), [(1024, Level.NOTE), (7679, Level.NOTE), (7680, Level.OK), (None, Level.OK)]
    )
    def test_too_few_descriptors_are_a_note(self, descriptors, level):
        assert list(judge_host(changed(HOST, descriptors_max=descriptors), settings_of()))[-1].level is level

    @pytest.mark.parametrize(
        ("size", "budget", "level"), [(GIB, "", Level.NOTE), (GIB, "2", Level.OK), (GIB, "1.1", Level.WARNING)]
    )
    def test_a_budget_that_is_almost_used_is_a_warning(self, size, budget, level):
        assert levels(judge_stored({Part.HISTORY: size}, settings_of(STORAGE_MAX_GB=budget))) == {Level.OK, level}

    @pytest.mark.parametrize(("size", "level"), [(GIB, Level.OK), (9 * GIB, Level.WARNING)])
    def test_room_of_files_that_is_almost_used_is_a_warning(self, size, level):
        settings = settings_of(MAX_FILES_GB="10", STORAGE_MAX_GB="100")
        found = next(judge_stored({Part.FILES: size, Part.HISTORY: GIB}, settings))
        assert (found.level, found.seen) == (level, f"files take {size // GIB}.0 GiB, {size // GIB}0% of MAX_FILES_GB")
