"""Writes the hub's topics and logins as Strimzi's resources: `python -m tools.kafka_resources`.

Topics come from `schemas.topics`, with the configuration that `hub topics apply` gives them. Who may write what is
`WRITERS` for the hub's own processes, and for a publishing team the one source topic of its family.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from hub.bus.topics import topic_configs
from schemas.topics import (
    COMMANDS,
    CONTROL,
    DEAD_LETTERS,
    HALO,
    IMPORTS,
    OUTCOMES,
    SOURCE_TOPICS,
    TARGETS,
    TOPICS,
    TopicSpec,
)

ROOT = Path(__file__).resolve().parents[1]
DIRECTORY = ROOT / "deploy" / "k8s" / "components" / "strimzi"
CLUSTER = "hub"
REPLICAS = 3
MIN_IN_SYNC = 2
WRITERS: Mapping[str, tuple[str, ...]] = {
    "ingest": (*SOURCE_TOPICS, HALO),
    "mapper": (COMMANDS, IMPORTS, DEAD_LETTERS, CONTROL, *SOURCE_TOPICS),
    "writer": (OUTCOMES, TARGETS, DEAD_LETTERS, CONTROL),
    "operator": (CONTROL, *SOURCE_TOPICS),
}
_API = "kafka.strimzi.io/v1"
_HEAD = "# Written by `python -m tools.kafka_resources`; to change it, change what that reads.\n"
# A KafkaTopic that is deleted takes its topic along, and the log is the truth.
_NEVER_PRUNED = {
    "argocd.argoproj.io/sync-options": "Prune=false,Delete=false",
    "kustomize.toolkit.fluxcd.io/prune": "disabled",
}
_TOPIC_PREFIX = "hub."
_GROUP_PREFIX = "hub-"

Manifest = dict[str, Any]


def topics() -> list[Manifest]:
    """A KafkaTopic for each topic."""
    return [_topic(spec) for spec in TOPICS]


def users() -> list[Manifest]:
    """A KafkaUser for each process, for whoever scales them, and for each publishing team."""
    own = [
        _user(f"hub-{name}", [*_reads_everything(), *map(_writes, written)])
        for name, written in WRITERS.items()
    ]
    looks = [
        _acl("topic", _TOPIC_PREFIX, "Describe", pattern="prefix"),
        _acl("group", _GROUP_PREFIX, "Describe", pattern="prefix"),
    ]
    teams = [_user(f"team-{_family(topic)}", list(_of_team(topic))) for topic in SOURCE_TOPICS]
    return [*own, _user("hub-scaler", looks), *teams]


def files() -> dict[Path, str]:
    """What each generated file holds."""
    return {DIRECTORY / "topics.yaml": _text(topics()), DIRECTORY / "users.yaml": _text(users())}


def _topic(spec: TopicSpec) -> Manifest:
    config = topic_configs(spec) | {"min.insync.replicas": str(MIN_IN_SYNC)}
    made = _manifest(
        "KafkaTopic", spec.name, {"partitions": spec.partitions, "replicas": REPLICAS, "config": config}
    )
    made["metadata"]["annotations"] = dict(_NEVER_PRUNED)
    return made


def _user(name: str, acls: list[Manifest]) -> Manifest:
    return _manifest(
        "KafkaUser",
        name,
        {"authentication": {"type": "scram-sha-512"}, "authorization": {"type": "simple", "acls": acls}},
    )


def _of_team(topic: str) -> Iterator[Manifest]:
    yield _writes(topic)
    yield _acl("topic", IMPORTS, "Read", "Describe")
    yield _acl("group", f"team-{_family(topic)}-", "Read", pattern="prefix")


def _reads_everything() -> list[Manifest]:
    return [
        _acl("topic", _TOPIC_PREFIX, "Read", "Describe", pattern="prefix"),
        _acl("group", _GROUP_PREFIX, "Read", pattern="prefix"),
    ]


def _writes(topic: str) -> Manifest:
    return _acl("topic", topic, "Write", "Describe")


def _acl(kind: str, name: str, *operations: str, pattern: str = "literal") -> Manifest:
    return {
        "resource": {"type": kind, "name": name, "patternType": pattern},
        "operations": list(operations),
    }


def _manifest(kind: str, name: str, spec: Manifest) -> Manifest:
    labels = {"app.kubernetes.io/part-of": "halo-hub", "strimzi.io/cluster": CLUSTER}
    return {
        "apiVersion": _API,
        "kind": kind,
        "metadata": {"name": name, "labels": labels},
        "spec": spec,
    }


def _family(topic: str) -> str:
    """`quotes` of `hub.quotes.v1`."""
    return topic.split(".")[1]


def _text(manifests: list[Manifest]) -> str:
    return _HEAD + yaml.safe_dump_all(manifests, sort_keys=False, width=120)


def main() -> None:
    for path, text in files().items():
        path.write_text(text)
        print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
