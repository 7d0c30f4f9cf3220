"""Alerts are about metrics that there are, fire when they should and not before, and each has a runbook."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, get_args

import pytest

from hub.store.holds import Reason
from schemas.topics import BY_NAME
from tests.support import prometheus
from tests.support.promql import Checked
from tools.metrics import catalogue

ROOT = Path(__file__).parents[2]
RUNBOOKS = ROOT / "docs" / "runbooks"
ALERTS = prometheus.rules()
ID = [f"{rule['alert']}{rule['labels'].get('component', rule['labels'].get('topic', ''))}" for rule in ALERTS]
TEMPLATE_LABEL = re.compile(r"\$labels\.(\w+)")


class Case(NamedTuple):
    """Series by the minute, when an alert does not fire yet and when it does, with which labels.

    `quiet` are series on which it never fires in the same time.
    """

    alert: str
    series: Mapping[str, str]
    not_yet: float
    fires: float
    labels: Mapping[str, str]
    quiet: Mapping[str, str]


def case(
    alert: str,
    series: Mapping[str, str],
    times: tuple[float, float],
    labels: Mapping[str, str],
    quiet: Mapping[str, str],
) -> Case:
    return Case(alert, series, *times, labels, quiet)


def lag(group: str, topic: str, partitions: int, value: str = "0x20") -> dict[str, str]:
    labels = f'group="{group}", topic="{topic}"'
    return {
        f'hub_consumer_lag_messages{{{labels}, partition="{number}"}}': value for number in range(partitions)
    }


def down(component: str) -> Case:
    ready = f'hub_ready{{component="{component}", instance="a"}}'
    return case(
        "HubServiceDown",
        {ready: "1x4 0x10"},
        (7, 9),
        {"component": component, "severity": "critical"},
        {ready: "1x4 0 1x10"},
    )


def unread(group: str, topic: str) -> Case:
    count = BY_NAME[topic].partitions
    return case(
        "HubPartitionsUnread",
        lag(group, topic, count - 1),
        (4, 6),
        {"group": group, "topic": topic, "severity": "critical"},
        # The same partition told by two processes is one.
        {
            **lag(group, topic, count),
            **{f"{name[:-1]}, instance='b'}}": "5x20" for name in lag(group, topic, 1)},
        },
    )


def hold(alert: str, scope: str, reason: str, times: tuple[float, float], /, **labels: str) -> Case:
    series = f'hub_holds{{tenant="acme", scope="{scope}", reason="{reason}"}}'
    other = next(other for other in get_args(Reason) if other != reason)
    return case(
        alert,
        {series: "1x60"},
        times,
        {"tenant": "acme", "severity": "warning", **labels},
        {series: "0x60", f'hub_holds{{tenant="acme", scope="window", reason="{other}"}}': "1x60"},
    )


def waiting(
    alert: str, reason: str, times: tuple[float, float], other: str = "limited", **labels: str
) -> Case:
    rows = 'hub_pending_rows{{tenant="acme", reason="{}"}}'
    return case(
        alert,
        {rows.format(reason): "3x60"},
        times,
        {"severity": "warning", **labels},
        {rows.format(reason): "0x60", rows.format(other): "9x60"},
    )


WARNING, CRITICAL = {"severity": "warning"}, {"severity": "critical"}
ACME = {"tenant": "acme", "severity": "warning"}
LETTERS = 'hub_dead_letters_total{tenant="acme", stage="writer", reason="halo.rejected", instance="a"}'
DOUBLED = 'hub_duplicates_suspected_total{tenant="acme", instance="a"}'
BEGAN = 'hub_start_time_seconds{component="writer", instance="a"}'
STARTED = 'hub_start_time_seconds{component="mapper", instance="a"}'
CHECK = 'hub_check_ok{check="dead letters", instance="a"}'
UNSETTLED = 'hub_unsettled_oldest_age_seconds{group="hub-mapper"}'
FAILED = 'hub_publish_failures_total{topic="hub.commands.v1", instance="a"}'
LAG = 'hub_consumer_lag_messages{{group="hub-mapper", topic="hub.quotes.v1", partition="{}"}}'
OK, UNAVAILABLE = 'hub_http_answers_total{status="202"}', 'hub_http_answers_total{status="503"}'
ACCEPTED = 'hub_events_accepted_total{type="quote.published.v1"}'
REFUSED = 'hub_events_rejected_total{type="quote.published.v1", reason="event.invalid"}'
NOT_ACKNOWLEDGED = 'hub_events_rejected_total{type="quote.published.v1", reason="not_acknowledged"}'
THROTTLED = 'hub_halo_throttled_total{tenant="acme", instance="a"}'
DRAIN, HELD = (
    'hub_backlog_drain_seconds{tenant="acme"}',
    'hub_holds{tenant="acme", scope="halo", reason="denied"}',
)
OLDEST = 'hub_pending_oldest_age_seconds{{tenant="acme", reason="{}"}}'
BEHIND = 'hub_reading_behind_seconds{tenant="acme"}'
LEASE, OVERTAKEN = 'hub_lease_held{tenant="acme"}', 'hub_lanes_overtaken_total{tenant="acme"}'
FAULTS = 'hub_lane_faults_total{tenant="acme"}'
TENANT_FILE = 'hub_tenant_file_invalid{file="acme.yaml"}'
CASES = [
    *map(down, ("ingest", "mapper", "writer")),
    case(
        "HubServiceRestarting",
        {STARTED: "100x5 700x5 1300x5 1900x30"},
        (17, 19),
        {"component": "mapper", "instance": "a", "severity": "warning"},
        {STARTED: "100x5 700x5 1300x40"},
    ),
    case(
        "HubCheckFailing",
        {CHECK: "1x5 0x20"},
        (14, 17),
        {"check": "dead letters", "instance": "a", "severity": "warning"},
        {CHECK: "1x5 0x8 1x20"},
    ),
    case(
        "HubStoreUnavailable",
        {'hub_store_away{instance="a"}': "0x5 1x20"},
        (7, 9),
        {"instance": "a", "severity": "critical"},
        {'hub_store_away{instance="a"}': "0x5 1 0x20"},
    ),
    case(
        "HubConsumerLag",
        {LAG.format(0): "600x40", LAG.format(1): "600x40"},
        (14, 16),
        {"group": "hub-mapper", "topic": "hub.quotes.v1", "severity": "warning"},
        {LAG.format(0): "900x40", LAG.format(1): "0+200x5 0x40"},
    ),
    unread("hub-mapper", "hub.quotes.v1"),
    unread("hub-writer", "hub.commands.v1"),
    unread("hub-writer-feeds", "hub.halo.v1"),
    unread("hub-writer-feeds", "hub.control.v1"),
    case(
        "HubMessagesUnsettled",
        {UNSETTLED: "0+60x20"},
        (7, 9),
        {"group": "hub-mapper", "severity": "critical"},
        {UNSETTLED: "0+60x5 0x20"},
    ),
    case(
        "HubKafkaNotAcknowledging",
        {FAILED: "_x5 1+1x20"},
        (6, 9),
        {"topic": "hub.commands.v1", "severity": "critical"},
        {FAILED: "5x5 6x20"},
    ),
    case(
        "HubOutboxGrowing", {"hub_outbox_rows": "2000x20"}, (9, 11), CRITICAL, {"hub_outbox_rows": "900x20"}
    ),
    case(
        "HubDeadLetters",
        {BEGAN: "0x60", LETTERS: "_x5 1x20"},
        (4, 7),
        {"tenant": "acme", "stage": "writer", "reason": "halo.rejected", "severity": "warning"},
        # Prometheus sees it for the first time, and it is not new.
        {BEGAN: "-9999x60", LETTERS: "7x60"},
    ),
    case(
        "HubDeadLettersUnwritable",
        {"hub_dead_letters_unwritten": "0x5 4x20"},
        (7, 9),
        CRITICAL,
        {"hub_dead_letters_unwritten": "0x5 4 0x20"},
    ),
    case("HubDoorFailing", {OK: "0+60x20", UNAVAILABLE: "0x5 0+20x15"}, (7, 12), CRITICAL, {OK: "0+60x20"}),
    case(
        "HubDoorRefusing",
        {ACCEPTED: "0+10x40", REFUSED: "0+10x40"},
        (3, 12),
        WARNING,
        {ACCEPTED: "0+100x40", REFUSED: "0+10x40", NOT_ACKNOWLEDGED: "0+500x40"},
    ),
    case(
        "HubTenantFileInvalid",
        {TENANT_FILE: "1x20"},
        (4, 6),
        {"file": "acme.yaml", **WARNING},
        {TENANT_FILE: "1x3 stale"},
    ),
    case(
        "HubProducersFileInvalid",
        {"hub_producers_file_invalid": "1x20"},
        (4, 6),
        WARNING,
        {"hub_producers_file_invalid": "0x20"},
    ),
    hold("HubTenantLoginLost", "halo", "unauthorised", (0, 2)),
    hold("HubTenantRightMissing", "quote", "denied", (4, 6), scope="quote"),
    hold("HubTenantUnreachable", "halo", "unreachable", (29, 31)),
    case("HubHaloThrottled", {THROTTLED: "_x5 1 2 3x50"}, (4, 9), ACME, {THROTTLED: "3x10 4x60"}),
    case(
        "HubBudgetShort",
        {DRAIN: "7200x60"},
        (29, 31),
        ACME,
        {DRAIN: "7200x60", HELD: "1x60"},
    ),
    case(
        "HubWaitsLong",
        {OLDEST.format("dependency"): "0+60x100"},
        (65, 72),
        {"reason": "dependency", **ACME},
        {OLDEST.format("dependency"): "0+60x50 0x60", OLDEST.format("decision"): "9000x100"},
    ),
    waiting("HubDecisionWaits", "decision", (14, 16), tenant="acme"),
    waiting("HubReleaseTooOld", "version", (29, 31)),
    waiting("HubFault", "fault", (4, 6), tenant="acme"),
    case("HubFault", {FAULTS: "0+1x30"}, (4, 8), ACME, {FAULTS: "9x60"}),
    waiting("HubTenantWithoutSettings", "settings", (9, 11), tenant="acme"),
    case("HubCatalogueBehind", {BEHIND: "1+60x150"}, (119, 122), ACME, {BEHIND: "1+60x100 stale"}),
    case("HubTenantContended", {LEASE: "0x20"}, (4, 6), ACME, {LEASE: "0x3 1x20", OVERTAKEN: "0 1 2x20"}),
    case("HubTenantContended", {LEASE: "1x30", OVERTAKEN: "0+1x30"}, (4, 12), ACME, {LEASE: "1x30"}),
    case(
        "HubDuplicateSuspected",
        {BEGAN: "-9999x90", DOUBLED: "_x65 1x50"},
        (64, 67),
        {"tenant": "acme", **CRITICAL},
        {BEGAN: "-9999x90", DOUBLED: "2x90"},
    ),
]


@cache
def ran(directory: Path) -> dict[str, str]:
    documents = {}
    for number, one in enumerate(CASES):
        fires = [
            prometheus.firing(one.alert, one.not_yet),
            prometheus.firing(one.alert, one.fires, one.labels),
        ]
        never = [prometheus.firing(one.alert, at) for at in (one.not_yet, one.fires, one.fires + 5)]
        others = background(one)
        documents[f"{number}-fires"] = prometheus.document({**others, **one.series}, fires)
        documents[f"{number}-quiet"] = prometheus.document({**others, **one.quiet}, never)
    return prometheus.verdicts(directory, documents)


def background(one: Case) -> dict[str, str]:
    """What has to be there lest rules of the same alert fire for the rest of the hub."""
    if one.alert == "HubServiceDown":
        return {
            f'hub_ready{{component="{name}", instance="a"}}': "1x60"
            for name in ("ingest", "mapper", "writer")
        }
    if one.alert == "HubPartitionsUnread":
        whole: dict[str, str] = {}
        for group, topic in {
            (case.labels["group"], case.labels["topic"]) for case in CASES if case.alert == one.alert
        }:
            if topic != one.labels["topic"]:
                whole |= lag(group, topic, BY_NAME[topic].partitions)
        return whole
    return {}


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rules")


@pytest.mark.parametrize(
    "number", range(len(CASES)), ids=[f"{one.alert}-{number}" for number, one in enumerate(CASES)]
)
def test_it_fires_when_it_should_and_not_before(number: int, directory: Path) -> None:
    assert ran(directory)[f"{number}-fires"] == ""


@pytest.mark.parametrize(
    "number", range(len(CASES)), ids=[f"{one.alert}-{number}" for number, one in enumerate(CASES)]
)
def test_it_does_not_fire_without_need(number: int, directory: Path) -> None:
    assert ran(directory)[f"{number}-quiet"] == ""


def test_a_firing_that_is_not_expected_would_be_seen(directory: Path) -> None:
    wrong = prometheus.document({"hub_outbox_rows": "2000x20"}, [prometheus.firing("HubOutboxGrowing", 15)])
    assert "FAILED" in prometheus.verdicts(directory, {"wrong": wrong})["wrong"]


def test_every_alert_has_such_a_case() -> None:
    assert {one.alert for one in CASES} == {rule["alert"] for rule in ALERTS}
    assert len([one for one in CASES if one.alert == "HubPartitionsUnread"]) == 4


def test_prometheus_takes_the_rules() -> None:
    done = prometheus.run("check", "rules", prometheus.RULES)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("rule", ALERTS, ids=ID)
def test_every_name_and_label_in_it_exists(rule: dict[str, Any]) -> None:
    checked = Checked(rule["expr"], catalogue())
    assert checked.faults == []
    assert checked.metrics
    assert checked.labels is not None
    shown = set(TEMPLATE_LABEL.findall("".join(rule["annotations"].values())))
    assert shown <= checked.labels | rule["labels"].keys()


@pytest.mark.parametrize("rule", ALERTS, ids=ID)
def test_it_says_how_bad_it_is_what_it_is_and_what_to_do(rule: dict[str, Any]) -> None:
    name = re.sub(r"(?<!^)(?=[A-Z])", "-", rule["alert"].removeprefix("Hub")).lower()
    assert rule["alert"].startswith("Hub")
    assert rule["labels"]["severity"] in ("warning", "critical")
    assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}
    assert rule["annotations"]["runbook_url"] == f"docs/runbooks/{name}.md"
    assert re.search(r"\d|\$value|minute", rule["annotations"]["description"]), "a number, to judge it by"


def test_every_alert_has_a_runbook_and_every_runbook_an_alert() -> None:
    books = {f"docs/runbooks/{path.name}" for path in RUNBOOKS.glob("*.md") if path.name != "README.md"}
    assert books == {rule["annotations"]["runbook_url"] for rule in ALERTS}


def test_reasons_and_scopes_are_those_that_the_hub_tells() -> None:
    asked = {value for rule in ALERTS for value in Checked(rule["expr"], catalogue()).values}
    table = (ROOT / "docs" / "operating.md").read_text()
    waits = {value for name, label, value in asked if name.startswith("hub_pending") and label == "reason"}
    assert waits
    assert [reason for reason in waits - {"base"} if f"`{reason}`" not in table] == []
    held = {value for name, label, value in asked if (name, label) == ("hub_holds", "reason")}
    assert held
    assert held <= set(get_args(Reason))
