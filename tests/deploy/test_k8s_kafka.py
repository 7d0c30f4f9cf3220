"""Topics, rights and scaling in the manifests are those of the hub's own code."""

import re
from typing import Any

import pytest

from hub.bus.topics import topic_configs
from schemas.topics import BY_NAME, COMMANDS, CONTROL, IMPORTS, QUOTES, SOURCE_TOPICS, TOPICS
from services.halo_writer.app import GROUP as WRITER_GROUP
from services.mapper.app import GROUP as MAPPER_GROUP
from tests.deploy.k8s_pods import variables, workload
from tests.deploy.k8s_render import OVERLAYS, ROOT, Manifest, named, of_kind
from tools import kafka_resources

pytestmark = pytest.mark.feature("hub.k8s", part="all")
STRIMZI = "prod-strimzi"
SCALED = [
    (overlay, service, group, topic)
    for overlay in OVERLAYS
    if overlay != "dev"
    for service, group, topic in (("mapper", MAPPER_GROUP, QUOTES), ("writer", WRITER_GROUP, COMMANDS))
]


def test_the_generated_files_are_what_the_generator_writes() -> None:
    stale = [path.name for path, text in kafka_resources.files().items() if path.read_text() != text]
    assert stale == [], "run: python -m tools.kafka_resources"


# Topics ---------------------------------------------------------------------------------------------------------


def test_every_topic_is_there_as_its_version_fixes_it() -> None:
    topics = {topic["metadata"]["name"]: topic["spec"] for topic in of_kind(STRIMZI, "KafkaTopic")}
    assert set(topics) == {spec.name for spec in TOPICS}
    for spec in TOPICS:
        made = topics[spec.name]
        assert made["partitions"] == spec.partitions
        assert made["config"]["retention.ms"] == str(-1 if spec.retention_ms is None else spec.retention_ms)
        assert made["config"]["cleanup.policy"] == ("compact" if spec.compacted else "delete")
        assert topic_configs(spec).items() <= made["config"].items()
        assert 1 < int(made["config"]["min.insync.replicas"]) < made["replicas"], "one broker may be away"


def test_no_tool_prunes_a_topic() -> None:
    """The log is the truth: a KafkaTopic that is deleted takes its topic along."""
    for topic in of_kind(STRIMZI, "KafkaTopic"):
        annotations = topic["metadata"]["annotations"]
        assert annotations["argocd.argoproj.io/sync-options"] == "Prune=false,Delete=false"
        assert annotations["kustomize.toolkit.fluxcd.io/prune"] == "disabled"


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_topics_are_made_by_the_operator_or_by_a_job_and_never_by_both(overlay: str) -> None:
    jobs = [job["metadata"]["name"] for job in of_kind(overlay, "Job")]
    assert ("topics" in jobs) == (not of_kind(overlay, "KafkaTopic"))


# Rights ---------------------------------------------------------------------------------------------------------


def logins() -> dict[str, list[Manifest]]:
    return {
        user["metadata"]["name"]: user["spec"]["authorization"]["acls"]
        for user in of_kind(STRIMZI, "KafkaUser")
    }


def having(acls: list[Manifest], operation: str, kind: str = "topic") -> set[tuple[str, str]]:
    """What the rights give that operation on: names with their pattern."""
    return {
        (acl["resource"]["name"], acl["resource"]["patternType"])
        for acl in acls
        if acl["resource"]["type"] == kind and operation in acl["operations"]
    }


def test_each_login_writes_what_the_guide_on_security_says() -> None:
    guide = (ROOT / "docs" / "security.md").read_text()
    rows = dict(re.findall(r"^\| ([a-z]+)(?: \(`hub`\))? \| (`hub\..*) \|$", guide, re.MULTILINE))
    assert set(rows) == {"ingest", "mapper", "writer", "operators"}
    for who, told in rows.items():
        names = set(re.findall(r"`(hub\.[a-z-]+\.v1)`", told))
        if "the source topics" in told:
            names |= set(SOURCE_TOPICS)
        acls = logins()[f"hub-{who.removesuffix('s') if who == 'operators' else who}"]
        assert having(acls, "Write") == {(name, "literal") for name in names}
        assert having(acls, "Read") == {("hub.", "prefix")}
        assert having(acls, "Read", "group") == {("hub-", "prefix")}


def test_a_publishing_team_writes_its_own_topic_and_reads_imports_alone() -> None:
    teams = {name: acls for name, acls in logins().items() if name.startswith("team-")}
    written = {name: having(acls, "Write") for name, acls in teams.items()}
    assert sorted(written.values(), key=str) == sorted(
        ({(topic, "literal")} for topic in SOURCE_TOPICS), key=str
    )
    for name, acls in teams.items():
        assert having(acls, "Read") == {(IMPORTS, "literal")}
        assert having(acls, "Read", "group") == {(f"{name}-", "prefix")}, (
            "no group of the hub or of another team"
        )


def test_nobody_but_the_hub_writes_commands_and_settings() -> None:
    for topic, may in ((COMMANDS, {"hub-mapper"}), (CONTROL, {"hub-mapper", "hub-writer", "hub-operator"})):
        assert {name for name, acls in logins().items() if (topic, "literal") in having(acls, "Write")} == may


def test_nobody_has_more_than_reading_and_writing() -> None:
    operations = {operation for acls in logins().values() for acl in acls for operation in acl["operations"]}
    assert operations == {"Read", "Write", "Describe"}
    assert {(acl["resource"]["type"]) for acls in logins().values() for acl in acls} == {"topic", "group"}
    scaler = logins()["hub-scaler"]
    assert {operation for acl in scaler for operation in acl["operations"]} == {"Describe"}


@pytest.mark.parametrize("service", ["ingest", "mapper", "writer", "operator"])
def test_each_process_signs_in_as_itself(service: str) -> None:
    for overlay in (STRIMZI, "prod-managed"):
        one = workload(overlay, service)
        assert variables(one)["HUB_KAFKA_SASL_USERNAME"] == f"hub-{service}"
        (password,) = [each for each in one.main["env"] if each["name"] == "HUB_KAFKA_SASL_PASSWORD"]
        assert password["valueFrom"]["secretKeyRef"] == {"name": f"hub-{service}", "key": "password"}
    assert f"hub-{service}" in logins()


# Scaling --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("overlay", "service", "group", "topic"), SCALED)
def test_a_service_is_scaled_on_its_own_lag_up_to_its_partitions(
    overlay: str, service: str, group: str, topic: str
) -> None:
    spec = named(overlay, "ScaledObject", service)["spec"]
    assert spec["scaleTargetRef"] == {"name": service}
    assert spec["maxReplicaCount"] == BY_NAME[topic].partitions
    assert 2 <= spec["minReplicaCount"] < spec["maxReplicaCount"]
    (trigger,) = spec["triggers"]
    assert (trigger["metadata"]["consumerGroup"], trigger["metadata"]["topic"]) == (group, topic)
    assert (
        trigger["metadata"]["bootstrapServers"]
        == variables(workload(overlay, service))["HUB_BOOTSTRAP_SERVERS"]
    )
    assert trigger["metadata"]["offsetResetPolicy"] == "earliest", (
        "a group without a position has read nothing"
    )


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_there_are_never_more_replicas_than_partitions(overlay: str) -> None:
    for service, topic in (("mapper", QUOTES), ("writer", COMMANDS)):
        fixed: dict[str, Any] = workload(overlay, service).manifest["spec"]
        assert fixed.get("replicas", 0) <= BY_NAME[topic].partitions


def test_keda_signs_in_as_the_services_do() -> None:
    for overlay in (STRIMZI, "prod-managed"):
        scaling = named(overlay, "ConfigMap", "scaling")["data"]
        given = variables(workload(overlay, "writer"))
        assert scaling["sasl"] == given["HUB_KAFKA_SASL_MECHANISM"].lower().replace("sha-", "sha").replace(
            "-", "_"
        )
        assert (scaling["tls"] == "enable") == given["HUB_KAFKA_SECURITY_PROTOCOL"].endswith("SSL")
        assert scaling["username"] in logins()
