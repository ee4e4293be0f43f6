"""The findings about runtime hosts, named by settings or registered."""

from ipaddress import ip_address

import pytest

from domain.host_facts import CertificateFacts
from domain.hosts.host import STALE_AFTER, HostState
from entrypoints.cli.doctor.report import Level
from entrypoints.cli.doctor.runtime_hosts import judge_certificates, judge_registered, judge_runtime_hosts
from entrypoints.version import VERSION
from tests.contracts.host_directory import NOW, host
from tests.unit.cli.doctor.facts import RUNTIME_HOST, changed, levels, seen, settings_of

ACCEPTING = settings_of(RUNTIME_HOST_NETWORKS="10.0.0.0/8,127.0.0.0/8", RUNTIME_TOKEN="t")
TLS = {"url": "https://a.example", "release": VERSION}


class TestRuntimeHosts:
    def test_a_healthy_host_is_ok(self):
        assert levels(judge_runtime_hosts([changed(RUNTIME_HOST, version=VERSION)])) == {Level.OK}

    def test_a_host_of_another_release_is_a_note(self):
        assert levels(judge_runtime_hosts([changed(RUNTIME_HOST, version="0.0.9")])) == {Level.NOTE}

    def test_an_unreachable_host_is_a_problem_if_no_other_host_has_its_language(self):
        lost = changed(RUNTIME_HOST, url="http://other", status="failing", reason="refused")
        assert levels(judge_runtime_hosts([lost])) == {Level.PROBLEM}
        assert levels(judge_runtime_hosts([lost, RUNTIME_HOST])) == {Level.OK, Level.WARNING}

    def test_the_remedy_for_a_rejected_token_names_the_setting(self):
        (finding,) = judge_runtime_hosts([changed(RUNTIME_HOST, status="degraded", reason="it answered 401")])
        assert "RUNTIME_TOKEN" in finding.remedy

    @pytest.mark.parametrize(
        ("problem", "remedy"),
        [
            ("certificate has expired", "Renew the certificate"),
            ("Hostname mismatch, certificate is not valid for 'a.example'.", "Name the host in the runtime URL"),
            ("IP address mismatch, certificate is not valid for '10.0.0.7'.", "Name the host in the runtime URL"),
            ("unable to get local issuer certificate", "Set RUNTIME_CA_FILE"),
        ],
    )
    def test_a_certificate_that_is_refused_has_a_remedy_of_its_own(self, problem, remedy):
        lost = changed(RUNTIME_HOST, status="failing", reason="ConnectError", certificate_problem=problem)
        (finding,) = judge_runtime_hosts([lost])
        assert (finding.level, problem in finding.seen) == (Level.PROBLEM, True)
        assert finding.remedy.startswith(remedy)

    def test_a_certificate_that_ends_within_two_weeks_is_a_warning(self):
        for days, level in ((13.9, Level.WARNING), (14.1, Level.OK)):
            assert levels(judge_runtime_hosts([changed(RUNTIME_HOST, certificate_days=days)])) == {level}


class TestCertificatesOfRegisteredHosts:
    def test_one_that_is_valid_for_long_or_was_not_seen_needs_no_finding(self):
        hosts = [host(**TLS), host("b", 2)]
        assert list(judge_certificates(hosts, [CertificateFacts(days=14.1), CertificateFacts()])) == []

    def test_one_that_is_refused_or_ends_soon_is_a_warning_with_the_name_of_its_host(self):
        hosts = [host(**TLS), host("b", 2, url="https://b.example")]
        facts = [CertificateFacts("certificate has expired"), CertificateFacts(days=13.4)]
        refused, ending = judge_certificates(hosts, facts)
        assert {refused.level, ending.level} == {Level.WARNING}
        assert refused.seen == "the certificate of a (https://a.example) is refused: certificate has expired"
        assert refused.remedy.startswith("Renew the certificate")
        assert ending.seen == "the certificate of b (https://b.example) ends in 13 days"


class TestRegisteredHosts:
    def judged(self, *hosts, settings=ACCEPTING):
        return list(judge_registered(hosts, NOW, settings))

    def test_without_registered_hosts_nothing_is_said_unless_scripts_should_run_there(self):
        assert self.judged(settings=settings_of()) == []
        assert seen(self.judged(), Level.PROBLEM) == [
            "no host is registered for nodejs",
            "no host is registered for python",
        ]

    def test_live_hosts_are_ok(self):
        assert seen(self.judged(host(**TLS)), Level.OK) == ["1 hosts are registered, and are live"]
        assert levels(self.judged(host(**TLS))) == {Level.OK}

    def test_a_language_needs_a_host_that_starts_scripts_or_a_runtime_url(self):
        draining = host(state=HostState.DRAINING, **TLS)
        assert len(seen(self.judged(draining), Level.PROBLEM)) == 2
        listed = settings_of(
            RUNTIME_HOST_NETWORKS="10.0.0.0/8", RUNTIME_TOKEN="t", PYTHON_RUNTIME_URL="http://127.0.0.1:1"
        )
        found = self.judged(host(languages=("nodejs",), **TLS), settings=listed)
        assert seen(found, Level.PROBLEM) == []

    def test_a_host_that_is_silent_is_a_warning_and_one_that_has_ended_is_not(self):
        silent = host("b", 2, at=NOW - STALE_AFTER)
        found = self.judged(host(**TLS), silent, host("c", 3, state=HostState.ENDED))
        (warning,) = seen(found, Level.WARNING)
        assert warning.startswith("b (http://b.example:8090) was last seen at ")

    def test_a_host_outside_of_the_networks_is_a_warning(self):
        elsewhere = host("b", 2, address=ip_address("192.0.2.1"))
        (warning,) = seen(self.judged(host(**TLS), elsewhere), Level.WARNING)
        assert "192.0.2.1, outside of RUNTIME_HOST_NETWORKS" in warning

    @pytest.mark.parametrize(
        ("changed", "text"),
        [
            ({"release": "0.0.9", "url": "https://a"}, f"is of release 0.0.9, this one of {VERSION}"),
            ({"release": VERSION}, "without TLS"),
        ],
    )
    def test_another_release_and_plain_http_are_notes(self, changed, text):
        (note,) = seen(self.judged(host(**changed)), Level.NOTE)
        assert text in note

    def test_plain_http_on_loopback_is_no_note(self):
        assert seen(self.judged(host(release=VERSION, address=ip_address("127.0.0.1"))), Level.NOTE) == []

    def test_hosts_that_this_controller_does_not_use_are_a_note(self):
        (note,) = seen(self.judged(host(), settings=settings_of()), Level.NOTE)
        assert note == "1 hosts are registered, and a controller with these settings uses none of them"
