"""Dashboard, alert rules and documents name existing metrics and labels."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import yaml

from entrypoints.http.instrumentation import AccessLine
from entrypoints.telemetry.metrics.instruments import Family
from tests.metrics_catalogue import COMMON, families, family_of, metrics
from tests.promql import Mentioned, mentioned

ROOT = Path(__file__).parents[3]
ALERTS = ROOT / "deploy/prometheus/alerts.yml"
DASHBOARD = ROOT / "deploy/grafana/pglambda.json"
OPERATIONS = (ROOT / "docs/operations.md").read_text()
FAMILIES = families()
FROM_PROMETHEUS = {"up"}
SUFFIXES = ("_bucket", "_count", "_sum")


def rules():
    for group in yaml.safe_load(ALERTS.read_text())["groups"]:
        yield from group["rules"]


def panels():
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target


def named_by(item: Mapping[str, str]) -> frozenset[str]:
    """Return the metrics of the service that an alert or a target of a panel names."""
    return mentioned(item["expr"]).metrics - FROM_PROMETHEUS


def family_named(metric: str) -> Family:
    if metric in FAMILIES:
        assert FAMILIES[metric].kind != "histogram", f"{metric} has buckets, a count and a sum"
        return FAMILIES[metric]
    base = next(metric.removesuffix(suffix) for suffix in SUFFIXES if metric.endswith(suffix))
    assert FAMILIES[base].kind == "histogram"
    return FAMILIES[base]


def known_labels(found: Mentioned) -> set[str]:
    known = [set(family_named(metric).labels) for metric in found.metrics - FROM_PROMETHEUS]
    return COMMON | {"le"} | set().union(*known)


@pytest.mark.parametrize("expression", [pytest.param(rule["expr"], id=rule["alert"]) for rule in rules()])
def test_alerts_use_existing_metrics_and_labels(expression):
    found = mentioned(expression)
    assert found.metrics
    assert found.labels <= known_labels(found)


@pytest.mark.parametrize(
    "target", [pytest.param(target, id=f"{title} {target['refId']}") for title, target in panels()]
)
def test_panels_use_existing_metrics_and_labels(target):
    found = mentioned(target["expr"])
    assert found.metrics
    shown = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
    assert found.labels | shown <= known_labels(found)


@pytest.mark.parametrize("rule", [pytest.param(rule, id=rule["alert"]) for rule in rules()])
def test_each_alert_says_what_to_do(rule):
    assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert rule["annotations"]["summary"].endswith(".")
    assert len(rule["annotations"]["runbook"]) > 80
    shown = set(re.findall(r"\$labels\.(\w+)", str(rule["annotations"])))
    assert shown <= mentioned(rule["expr"]).labels | COMMON | _kept(rule["expr"])
    for metric in re.findall(r"`(pglambda_\w+|process_\w+)", rule["annotations"]["runbook"]):
        assert metric in FAMILIES


def _kept(expression: str) -> set[str]:
    """Return the labels that are left if the expression has no sum."""
    return set() if "sum" in expression else set().union(*_labels_of(expression))


def _labels_of(expression: str) -> Iterator[set[str]]:
    yield from (set(family_named(metric).labels) for metric in mentioned(expression).metrics - FROM_PROMETHEUS)


_GROWTH = re.compile(r"increase\((?P<metric>\w+)(\{(?P<wanted>[^}]*)\})?\[\w+\]\)+ (> 0|== 0)")


@pytest.mark.parametrize(
    "growth",
    [pytest.param(found, id=rule["alert"]) for rule in rules() if (found := _GROWTH.search(rule["expr"])) is not None],
)
def test_series_of_alerts_on_growth_exist_before_the_first_event(growth):
    """Prometheus sees no growth in the first value of a series."""
    exposed = [
        sample.labels for metric in metrics() if family_of(metric).name == growth["metric"] for sample in metric.samples
    ]
    wanted = set(re.findall(r'(\w+)="([^"]*)"', growth["wanted"] or "")) - {("job", "pglambda")}
    assert any(wanted <= set(labels.items()) for labels in exposed)


def test_alerts_have_unique_names():
    names = [rule["alert"] for rule in rules()]
    assert len(names) == len(set(names))


def test_promtool_accepts_the_rules():
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed; the rules' form and names are checked all the same")
    checked = subprocess.run([promtool, "check", "rules", str(ALERTS)], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_dashboard_shows_every_metric_of_nodes_and_of_runtime_hosts():
    shown = {metric for _, target in panels() for metric in mentioned(target["expr"]).metrics}
    about = re.compile("pglambda_(buckets?|node|runtime(?!_host_)|clock_correction|webhook_copies)_")
    wanted = {name for name, family in FAMILIES.items() if about.match(name)}
    assert {name for name in wanted if not any(metric.startswith(name) for metric in shown)} == set()


def test_the_dashboard_shows_every_metric_of_the_alerts():
    shown = {family_named(metric).name for _, target in panels() for metric in named_by(target)}
    assert {family_named(metric).name for rule in rules() for metric in named_by(rule)} - shown == set()


def test_panels_do_not_overlap():
    listed = json.loads(DASHBOARD.read_text())["panels"]
    assert len({panel["id"] for panel in listed}) == len(listed)
    cells = [
        (x, y)
        for panel in listed
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(cells) == len(set(cells))
    assert all(x < 24 for x, _ in cells)


def test_the_document_lists_every_metric_with_its_help():
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| ([^|]*) \| (.*) \|$", OPERATIONS, re.MULTILINE)
    listed = {name: (kind, tuple(re.findall(r"`(\w+)`", labels)), says) for name, kind, labels, says in rows}
    assert listed == {name: (family.kind, family.labels, family.help) for name, family in FAMILIES.items()}


def test_the_document_lists_every_field_of_the_access_line():
    section = OPERATIONS[OPERATIONS.index("## Logs") : OPERATIONS.index("These events need attention")]
    cells = re.findall(r"^\| ((?:`\w+` ?)+)\|", section, re.MULTILINE)
    assert {name for cell in cells for name in re.findall(r"`(\w+)`", cell)} == set(AccessLine.__struct_fields__)


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_names_follow_the_conventions(family):
    assert re.fullmatch("(pglambda|process)_[a-z_]+", family.name)
    assert family.name.endswith("_total") is (family.kind == "counter")
    assert not re.search("_(ms|milliseconds|minutes|kb|mb|kilobytes)(_|$)", family.name)
    assert not COMMON & set(family.labels)
    assert list(family.bounds) == sorted(set(family.bounds))
    assert bool(family.bounds) is (family.kind == "histogram")
    assert family.help.endswith(".")


@pytest.mark.parametrize(
    ("expression", "metrics", "labels"),
    [
        ("a_total", {"a_total"}, set()),
        ('sum by (x, y) (rate(a_total{z=~"q{}",w!="b"}[5m])) > 0', {"a_total"}, {"x", "y", "z", "w"}),
        ("time() - max by (x) (b) / ignoring (y) group_left c", {"b", "c"}, {"x", "y"}),
        ("histogram_quantile(0.99, sum by (le) (rate(d_bucket[$__rate_interval])))", {"d_bucket"}, {"le"}),
        ("a == 0 or b > 0.25", {"a", "b"}, set()),
    ],
)
def test_the_parser_finds_metrics_and_labels_of_expressions(expression, metrics, labels):
    assert mentioned(expression) == Mentioned(frozenset(metrics), frozenset(labels))
