"""The pods of an overlay: their labels, containers and variables, whatever makes them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.deploy.k8s_render import Manifest, of_kind

MAKERS = ("Deployment", "StatefulSet", "Job")
COMPONENT = "app.kubernetes.io/component"
SERVICES = ("ingest", "mapper", "writer")


@dataclass(frozen=True)
class Workload:
    """What makes pods, and the pod that it makes."""

    overlay: str
    manifest: Manifest

    @property
    def name(self) -> str:
        return str(self.manifest["metadata"]["name"])

    @property
    def labels(self) -> Mapping[str, str]:
        found: Mapping[str, str] = self.manifest["spec"]["template"]["metadata"]["labels"]
        return found

    @property
    def pod(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.manifest["spec"]["template"]["spec"]
        return found

    @property
    def containers(self) -> list[Mapping[str, Any]]:
        return [*self.pod.get("initContainers", ()), *self.pod["containers"]]

    @property
    def main(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.pod["containers"][0]
        return found

    def port(self, named: str | int) -> int | None:
        """The number of a port of its containers, by its name or itself."""
        for container in self.containers:
            for port in container.get("ports", ()):
                if named in (port["name"], port["containerPort"]):
                    return int(port["containerPort"])
        return None

    def files(self) -> dict[str, Mapping[str, Any]]:
        """The volume that is mounted at each path of the main container."""
        volumes = {volume["name"]: volume for volume in self.pod.get("volumes", ())}
        return {mount["mountPath"]: volumes[mount["name"]] for mount in self.main.get("volumeMounts", ())}


def workloads(overlay: str) -> list[Workload]:
    return [Workload(overlay, manifest) for manifest in of_kind(overlay, *MAKERS)]


def workload(overlay: str, name: str) -> Workload:
    (found,) = [one for one in workloads(overlay) if one.name == name]
    return found


def is_ours(container: Mapping[str, Any]) -> bool:
    return image_name(container["image"]).endswith("halo-hub")


def image_name(image: str) -> str:
    """The image without its tag or digest; a registry may have a port."""
    head, slash, last = image.partition("@")[0].rpartition("/")
    return head + slash + last.partition(":")[0]


def matches(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Whether a label selector takes in such a pod, as Kubernetes decides it; an empty one takes in all."""
    if any(labels.get(key) != value for key, value in selector.get("matchLabels", {}).items()):
        return False
    return all(_holds(expression, labels) for expression in selector.get("matchExpressions", ()))


def _holds(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    present = labels.get(expression["key"])
    match expression["operator"]:
        case "In":
            return present in expression["values"]
        case "NotIn":
            return present not in expression["values"]
        case "Exists":
            return present is not None
        case "DoesNotExist":
            return present is None
        case other:
            raise AssertionError(f"no such operator: {other}")


def variables(one: Workload) -> dict[str, str]:
    """The main container's variables; one that comes from a Secret reads `secret`."""
    maps = {manifest["metadata"]["name"]: manifest["data"] for manifest in of_kind(one.overlay, "ConfigMap")}
    found: dict[str, str] = {}
    for source in one.main.get("envFrom", ()):
        found |= maps[source["configMapRef"]["name"]]
    for variable in one.main.get("env", ()):
        found[variable["name"]] = variable.get("value", "secret")
    return found


def secret_references(one: Workload) -> Iterator[tuple[str, str | None]]:
    """Each Secret and key that the pod needs to start; None where all of its keys are mounted."""
    for container in one.containers:
        for variable in container.get("env", ()):
            reference = variable.get("valueFrom", {}).get("secretKeyRef")
            if reference:
                yield reference["name"], reference["key"]
    for volume in one.pod.get("volumes", ()):
        if "secret" in volume:
            keys = [item["key"] for item in volume["secret"].get("items", ())]
            yield from ((volume["secret"]["secretName"], key) for key in keys or [None])
