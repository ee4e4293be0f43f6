"""Findings about the connections of scripts."""

import pytest

from domain.host_facts import EgressFacts
from entrypoints.cli.doctor.egress import judge_egress
from entrypoints.cli.doctor.report import Level
from entrypoints.settings.loading import load_settings

SETTINGS = load_settings({"EGRESS_RULES": "api.example.com:443"})
ROOTS = "/etc/ssl/certs/ca-certificates.crt"


def judged(languages, roots=ROOTS):
    return list(judge_egress(EgressFacts(languages, roots), SETTINGS))


def test_a_host_without_rules_has_no_finding():
    assert list(judge_egress(None, SETTINGS)) == []


def test_what_scripts_reach_and_trust_is_shown():
    (finding,) = judged({"nodejs": None, "python": None})
    assert finding.level is Level.OK
    assert (
        finding.seen == f"scripts in nodejs, python reach hosts (EGRESS=rules: api.example.com:443), and trust {ROOTS}"
    )


def test_a_language_that_reaches_nothing_is_a_problem():
    (finding,) = judged({"nodejs": "no user namespaces", "python": None})
    assert (finding.level, finding.seen) == (
        Level.PROBLEM,
        "scripts in nodejs do not reach a host: no user namespaces",
    )


@pytest.mark.parametrize("languages", [{"python": None}, {"python": "why"}])
def test_a_host_without_certificates_is_a_warning(languages):
    assert Level.WARNING in {each.level for each in judged(languages, None)}
