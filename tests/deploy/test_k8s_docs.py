"""The guides on Kubernetes and on upgrading: their commands are taken, and what they name is there."""

import re
import shlex
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import yaml

from tests.deploy.k8s_commands import parsed
from tests.deploy.k8s_pods import SERVICES, matches, secret_references, workloads
from tests.deploy.k8s_render import K8S, OVERLAYS, ROOT, Manifest, named, render, text_of
from tools import kafka_resources, prometheus_rule

pytestmark = pytest.mark.feature("hub.k8s", part="all")
GUIDES = ("kubernetes.md", "upgrading.md")
KINDS = {
    "deploy": "Deployment",
    "job": "Job",
    "svc": "Service",
    "scaledobject": "ScaledObject",
    "kafka": "Kafka",
}
VERBS = {
    *("annotate", "apply", "create", "delete", "diff", "exec", "get", "kustomize"),
    *("port-forward", "rollout", "scale", "wait"),
}
ELSEWHERE = "kafka"


def text(guide: str) -> str:
    return (ROOT / "docs" / guide).read_text()


def commands(guide: str) -> Iterator[list[str]]:
    """Each command of the guide's blocks, without variables before it, `&`, and what it is piped or written to."""
    for block in re.findall(r"^ *```bash\n(.*?)^ *```", text(guide), re.MULTILINE | re.DOTALL):
        for line in block.strip().splitlines():
            words = shlex.split(re.split(r"\s[|>&](?:\s|$)", line)[0])
            while re.match(r"[A-Z_]+=", words[0]):
                words.pop(0)
            yield words


ALL = [(guide, words) for guide in GUIDES for words in commands(guide)]


@pytest.mark.parametrize(("guide", "words"), ALL, ids=str)
def test_a_command_of_the_guides_is_taken(guide: str, words: list[str]) -> None:
    match words:
        case ["kubectl", *rest]:
            kubectl(rest)
        case ["hub", *rest]:
            parsed(rest)
        case ["python", "-m", "tools.kafka_resources"]:
            assert callable(kafka_resources.main)
        case ["python", "-m", "tools.prometheus_rule"]:
            assert callable(prometheus_rule.main)
        case ["docker", "build", "-t", image, "."] | ["kind", "load", "docker-image", image]:
            assert image in {container["image"] for one in workloads("dev") for container in one.containers}
        case other:
            raise AssertionError(f"{guide}: nobody checks {other}")


def kubectl(words: list[str]) -> None:
    space = words[words.index("-n") + 1] if "-n" in words else None
    verb = next(word for place, word in enumerate(words) if word in VERBS and words[place - 1] != "-n")
    if "-k" in words or verb == "kustomize":
        directory = ROOT / words[words.index("-k" if "-k" in words else verb) + 1]
        assert directory.parent == K8S / "overlays"
        assert text_of(directory.name)
    if "-f" in words:
        assert list(yaml.safe_load_all((ROOT / words[words.index("-f") + 1]).read_text()))
    if verb == "create":
        created(words)
    for word in words[: words.index("--")] if "--" in words else words:
        object_ = re.fullmatch(r"([a-z]+)/([a-z-]+)", word)
        if object_ and object_[1] in KINDS:
            assert found(space, KINDS[object_[1]], object_[2]), f"there is no {word} in {space}"
    if verb == "exec":
        program, *arguments = words[words.index("--") + 1 :]
        assert program == "hub"
        parsed(arguments)


def found(space: str | None, kind: str, name: str) -> bool:
    if space == ELSEWHERE:
        return any((one["kind"], one["metadata"]["name"]) == (kind, name) for one in examples())
    overlay = "dev" if space == "halo-hub-dev" else "prod-managed"
    assert named(overlay, "Namespace", str(space))
    return bool(named(overlay, kind, name))


def examples() -> list[Manifest]:
    return [one for path in K8S.glob("examples/*.yaml") for one in yaml.safe_load_all(path.read_text())]


def created(words: Sequence[str]) -> None:
    """What is made by hand is what the overlays refer to."""
    what = [word for word in words[words.index("create") + 1 :] if not word.startswith("-")]
    if what == ["namespace", ELSEWHERE]:
        return
    kind = {"secret": "Secret", "configmap": "ConfigMap"}[what[0]]
    (file,) = [word.removeprefix("--from-file=") for word in words if word.startswith("--from-file=")]
    (example,) = [one for one in examples() if (one["kind"], one["metadata"]["name"]) == (kind, what[-1])]
    assert set(example.get("data") or example["stringData"]) == {file.partition("=")[0]}


def test_a_wrong_command_is_noticed() -> None:
    for wrong in (
        "kubectl -n halo-hub rollout status deploy/writers",
        "kubectl -n halo-hub exec deploy/operator -- hub backlogs",
        "kubectl kustomize deploy/k8s/overlays/production",
        "kubectl -n halo-hub create secret generic hub-cluster-ca-cert --from-file=ca.pem",
    ):
        with pytest.raises((AssertionError, ValueError)):
            kubectl(shlex.split(wrong)[1:])


# The steps of an upgrade ----------------------------------------------------------------------------------------


def steps() -> list[dict[str, Any]]:
    """The label selectors of the guide's steps, in order."""
    told = [
        words[words.index("-l") + 1] for words in commands("upgrading.md") if "-k" in words and "-l" in words
    ]
    return [selector(one) for one in told]


def selector(words: str) -> dict[str, Any]:
    key, equals, value = words.partition("=")
    if equals:
        return {"matchLabels": {key: value}}
    (listed,) = re.findall(r"^(\S+) (notin|in) \((.*)\)$", words)
    operator = {"in": "In", "notin": "NotIn"}[listed[1]]
    values = [value.strip() for value in listed[2].split(",")]
    return {"matchExpressions": [{"key": listed[0], "operator": operator, "values": values}]}


@pytest.mark.parametrize("overlay", ["prod-managed", "prod-strimzi"])
def test_each_manifest_is_applied_in_one_step_and_readers_come_before_writers(overlay: str) -> None:
    taken = [
        [number for number, one in enumerate(steps()) if matches(one, manifest["metadata"].get("labels", {}))]
        for manifest in render(overlay)
    ]
    assert {len(numbers) for numbers in taken} == {1}
    order = {
        manifest["metadata"]["name"]: number
        for manifest, (number,) in zip(render(overlay), taken, strict=True)
        if manifest["kind"] in ("Deployment", "Job")
    }
    assert order["migrate"] < order["writer"] < order["mapper"] < order["ingest"]


# What the guide names -------------------------------------------------------------------------------------------


def test_the_guide_names_every_overlay_component_and_secret() -> None:
    guide = text("kubernetes.md")
    for overlay in OVERLAYS:
        assert f"| `{overlay}` |" in guide
    optional = {path.name for path in K8S.glob("components/*")} - {"topics-job", "kafka-login", "store-tls"}
    assert set(re.findall(r"^\| `([a-z-]+)` \| .* \|$", guide, re.MULTILINE)) >= optional
    pods = [one for overlay in OVERLAYS if overlay != "dev" for one in workloads(overlay)]
    wanted = {name for one in pods for name, _ in secret_references(one)}
    assert not [name for name in wanted if name not in guide]
    assert all(f"`hub-{service}`" in guide for service in SERVICES)
