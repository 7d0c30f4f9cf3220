"""What the pods are given fits what the hub's processes read, answer and need."""

import os
import re
from collections.abc import Mapping

import pytest
import yaml

from hub.bus.settings import BusSettings
from hub.settings import Settings
from hub.telemetry.health import Health, routes
from hub.telemetry.metrics import Metrics
from hub.tenants.load import accept, from_text
from services.ingest.producers import parse
from tests.deploy.k8s_commands import parsed
from tests.deploy.k8s_pods import (
    SERVICES,
    Workload,
    image_name,
    is_ours,
    matches,
    secret_references,
    variables,
    workload,
    workloads,
)
from tests.deploy.k8s_render import K8S, OVERLAYS, Manifest, named, of_kind, render
from tools import prometheus_rule

pytestmark = pytest.mark.feature("hub.k8s", part="all")
PROD = tuple(overlay for overlay in OVERLAYS if overlay != "dev")
NOT_OURS = {"PGSSLROOTCERT"}
"""Variables that a library reads."""
ALL = [(overlay, one.name) for overlay in OVERLAYS for one in workloads(overlay)]
RUNNING = [(overlay, service) for overlay in OVERLAYS for service in SERVICES]


def every_pod(overlay: str) -> list[Mapping[str, str]]:
    return [one.labels for one in workloads(overlay)]


# What belongs together ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("overlay", "name"), ALL)
def test_a_workload_selects_its_own_pods_and_no_others(overlay: str, name: str) -> None:
    one = workload(overlay, name)
    if one.manifest["kind"] == "Job":
        return
    selected = [
        other.name for other in workloads(overlay) if matches(one.manifest["spec"]["selector"], other.labels)
    ]
    assert selected == [name]
    for constraint in one.pod.get("topologySpreadConstraints", ()):
        assert matches(constraint["labelSelector"], one.labels)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_services_lead_to_ports_that_are_there(overlay: str) -> None:
    services = of_kind(overlay, "Service")
    assert services
    for service in services:
        behind = [
            one
            for one in workloads(overlay)
            if matches({"matchLabels": service["spec"]["selector"]}, one.labels)
        ]
        assert len(behind) == 1, service["metadata"]["name"]
        for port in service["spec"]["ports"]:
            assert behind[0].port(port["targetPort"]) is not None
            assert port["targetPort"] != "health", "health and metrics are for operators alone"
    for ingress in of_kind(overlay, "Ingress"):
        for rule in ingress["spec"]["rules"]:
            for path in rule["http"]["paths"]:
                service = named(overlay, "Service", path["backend"]["service"]["name"])
                assert path["backend"]["service"]["port"]["name"] in [
                    port["name"] for port in service["spec"]["ports"]
                ]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_service_can_lose_one_pod_and_keeps_another(overlay: str) -> None:
    budgets = of_kind(overlay, "PodDisruptionBudget")
    for service in SERVICES:
        one = workload(overlay, service)
        (budget,) = [each for each in budgets if matches(each["spec"]["selector"], one.labels)]
        assert budget["spec"]["maxUnavailable"] == 1, "with 0 no node could ever be drained"
        if overlay in PROD:
            assert replicas(one) >= 2


def replicas(one: Workload) -> int:
    """How many there are at least."""
    for scaled in of_kind(one.overlay, "ScaledObject"):
        if scaled["spec"]["scaleTargetRef"]["name"] == one.name:
            assert "replicas" not in one.manifest["spec"], "each apply would undo what KEDA has decided"
            return int(scaled["spec"]["minReplicaCount"])
    return int(one.manifest["spec"]["replicas"])


@pytest.mark.parametrize("overlay", PROD)
def test_prometheus_finds_every_service(overlay: str) -> None:
    (monitor,) = of_kind(overlay, "PodMonitor")
    found = [one for one in workloads(overlay) if matches(monitor["spec"]["selector"], one.labels)]
    assert {one.name for one in found} == set(SERVICES)
    paths = {route.path for route in routes(Health(), Metrics())}
    for endpoint in monitor["spec"]["podMetricsEndpoints"]:
        assert endpoint["path"] in paths
        assert all(one.port(endpoint["port"]) for one in found)


def test_the_alerts_are_those_of_a_prometheus_without_the_operator() -> None:
    assert prometheus_rule.TARGET.read_text() == prometheus_rule.text(), (
        "run: python -m tools.prometheus_rule"
    )
    for overlay in PROD:
        (rule,) = of_kind(overlay, "PrometheusRule")
        assert rule["spec"] == yaml.safe_load(prometheus_rule.RULES.read_text())


# Probes and the end ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("overlay", "service"), RUNNING)
def test_probes_ask_what_the_process_answers(overlay: str, service: str) -> None:
    one = workload(overlay, service)
    paths = {route.path for route in routes(Health(), Metrics())}
    asked = {kind: one.main[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")}
    assert {kind: get["path"] for kind, get in asked.items()} == {
        "startup": "/health/live",
        "liveness": "/health/live",
        "readiness": "/health/ready",
    }
    assert {get["path"] for get in asked.values()} <= paths
    assert {one.port(get["port"]) for get in asked.values()} == {int(variables(one)["HUB_HEALTH_PORT"])}
    assert variables(one)["HUB_HEALTH_HOST"] == "0.0.0.0"
    if service == "ingest":
        assert one.port("http") == int(variables(one)["HUB_HTTP_PORT"])


@pytest.mark.parametrize(("overlay", "service"), RUNNING)
def test_the_grace_outlasts_the_drain(overlay: str, service: str) -> None:
    one = workload(overlay, service)
    settings, bus = settings_of(one), BusSettings(bootstrap_servers="", client_id="")
    paused = one.main.get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command", [""])[-1]
    before_s = sum(map(int, re.findall(r"sleep\((\d+)\)", paused)))
    publishes_s = settings.publish_timeout_s
    drains_s = {
        "ingest": settings.drain_s + publishes_s,
        "mapper": max(settings.drain_s, bus.shutdown_drain_s) + publishes_s + bus.commit_timeout_s,
        # The command in hand may ask Halo twice; its outcome and dead letters are published after it.
        "writer": max(settings.drain_s, 2 * settings.request_timeout_s) + 2 * publishes_s,
    }[service]
    assert one.pod["terminationGracePeriodSeconds"] > before_s + drains_s


# Settings -------------------------------------------------------------------------------------------------------


def settings_of(one: Workload) -> Settings:
    """What the process makes of its variables."""
    given = variables(one) | {"HUB_STORE_URL": "postgresql+asyncpg://hub:x@store/hub"}
    with pytest.MonkeyPatch.context() as patched:
        for name in [name for name in os.environ if name.startswith("HUB_")]:
            patched.delenv(name)
        for name, value in given.items():
            patched.setenv(name, value)
        return Settings()


@pytest.mark.parametrize(("overlay", "name"), ALL)
def test_every_variable_is_a_setting_and_all_of_them_together_are_taken(overlay: str, name: str) -> None:
    one = workload(overlay, name)
    if not is_ours(one.main):
        return
    given = set(variables(one)) - NOT_OURS
    assert given <= {f"HUB_{field.upper()}" for field in Settings.model_fields}
    reads_kafka = "HUB_BOOTSTRAP_SERVERS" in given
    assert settings_of(one).kafka_security_protocol == (
        "SASL_SSL" if reads_kafka and overlay in PROD else "PLAINTEXT"
    )


def test_no_two_overlays_name_their_kafka_clusters_the_same_by_default() -> None:
    for overlay in OVERLAYS:
        assert variables(workload(overlay, "writer"))["HUB_CLUSTER"] in ("dev", "prod")


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_files_are_mounted_where_the_settings_say(overlay: str) -> None:
    ingest, mapper = workload(overlay, "ingest"), workload(overlay, "mapper")
    producers = settings_of(ingest).producers_file
    assert ingest.files()[str(producers.parent)]["configMap"] == {"name": "producers"}
    assert producers.name in named(overlay, "ConfigMap", "producers")["data"]
    assert mapper.files()[str(settings_of(mapper).tenants_dir)]["configMap"] == {"name": "tenants"}
    for one in (ingest, mapper, workload(overlay, "writer"), workload(overlay, "operator")):
        ca = settings_of(one).kafka_ssl_cafile
        assert (ca is not None) == (overlay == "prod-strimzi")
        if ca is not None:
            assert {"key": ca.name, "path": ca.name} in one.files()[str(ca.parent)]["secret"]["items"]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_change_of_settings_rolls_the_pods_and_a_change_of_files_does_not(overlay: str) -> None:
    """Settings are read at the start, files while they change."""
    names = [manifest["metadata"]["name"] for manifest in of_kind(overlay, "ConfigMap")]
    assert any(re.fullmatch(r"settings-[a-z0-9]{10}", name) for name in names)
    assert {"tenants", "producers"} <= set(names)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_tenant_and_producer_files_are_accepted(overlay: str) -> None:
    tenants = named(overlay, "ConfigMap", "tenants")["data"]
    assert tenants
    for text in tenants.values():
        rules = from_text(accept(text.encode()).text)
        assert rules.halo is not None
        scheme, _, place = rules.halo.client_secret.partition(":")
        directory, _, key = place.rpartition("/")
        assert (scheme, key) == ("file", rules.tenant)
        for reader in ("ingest", "writer", "operator"):
            assert workload(overlay, reader).files()[directory]["secret"]["secretName"] == "halo-secrets"
        assert directory not in workload(overlay, "mapper").files(), "the mapper never talks to Halo"
        if overlay == "dev":
            assert key in secret_keys(named(overlay, "Secret", "halo-secrets"))
    producers = parse(named(overlay, "ConfigMap", "producers")["data"]["producers.yaml"].encode())
    assert (producers.of_token("dev-token") is not None) == (overlay == "dev")


@pytest.mark.parametrize(("overlay", "name"), ALL)
def test_every_command_is_one_of_the_image(overlay: str, name: str) -> None:
    for container in workload(overlay, name).containers:
        if is_ours(container) and container["command"] == ["hub"]:
            parsed(container["args"])


def test_the_check_of_commands_bites() -> None:
    for wrong in (["store", "migrat"], ["run", "reader"], ["topics", "apply", "--replicas=3"]):
        with pytest.raises(AssertionError):
            parsed(wrong)


# Secrets --------------------------------------------------------------------------------------------------------


def secret_keys(secret: Manifest) -> set[str]:
    return {*secret.get("data", {}), *secret.get("stringData", {})}


def provided(overlay: str) -> dict[str, set[str] | None]:
    """Each Secret that there will be, with its keys; None where they are not known here."""
    found: dict[str, set[str] | None] = {}
    by_hand = [
        one
        for path in K8S.glob("examples/*.yaml")
        for one in yaml.safe_load_all(path.read_text())
        if one["kind"] == "Secret"
    ]
    for secret in [*of_kind(overlay, "Secret"), *by_hand]:
        found[secret["metadata"]["name"]] = secret_keys(secret)
    for external in of_kind(overlay, "ExternalSecret"):
        spec = external["spec"]
        found[spec["target"]["name"]] = (
            None if "dataFrom" in spec else {one["secretKey"] for one in spec["data"]}
        )
    for user in of_kind(overlay, "KafkaUser"):
        found[user["metadata"]["name"]] = {"password", "sasl.jaas.config"}
    return found


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_secret_that_is_referred_to_is_made_by_someone(overlay: str) -> None:
    wanted = [reference for one in workloads(overlay) for reference in secret_references(one)]
    for trigger in of_kind(overlay, "TriggerAuthentication"):
        wanted += [(one["name"], one["key"]) for one in trigger["spec"]["secretTargetRef"]]
    there = provided(overlay)
    assert wanted
    for name, key in wanted:
        assert name in there, f"nobody makes the Secret {name}"
        keys = there[name]
        assert key is None or keys is None or key in keys, f"the Secret {name} has no {key}"


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_config_map_that_is_referred_to_is_made_by_someone(overlay: str) -> None:
    made = {one["metadata"]["name"] for one in of_kind(overlay, "ConfigMap")} | {"store-ca"}
    for one in workloads(overlay):
        wanted = {
            volume["configMap"]["name"] for volume in one.pod.get("volumes", ()) if "configMap" in volume
        }
        assert wanted <= made
    for trigger in of_kind(overlay, "TriggerAuthentication"):
        for reference in trigger["spec"]["configMapTargetRef"]:
            assert reference["key"] in named(overlay, "ConfigMap", reference["name"])["data"]


@pytest.mark.parametrize("overlay", PROD)
def test_no_secret_is_in_a_production_overlay(overlay: str) -> None:
    assert of_kind(overlay, "Secret") == []
    for one in workloads(overlay):
        shown = {name for name, value in variables(one).items() if value != "secret"}
        assert not [name for name in shown if re.search("PASSWORD|SECRET|TOKEN|STORE_URL", name)]


# Images and rights ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_overlay_sets_the_tag_of_every_image(overlay: str) -> None:
    images = [container["image"] for one in workloads(overlay) for container in one.containers]
    assert len({image for image in images if image_name(image).endswith("halo-hub")}) == 1
    for image in images:
        tag = image.removeprefix(image_name(image))
        assert tag, f"{image} has no tag"
        assert tag != ":latest"
    for path in K8S.rglob("*.yaml"):
        assert not re.search(r"^\s*(- )?image: \S+:\S+", path.read_text(), re.MULTILINE), path


@pytest.mark.parametrize(("overlay", "name"), ALL)
def test_pods_are_restricted(overlay: str, name: str) -> None:
    """What the namespace enforces (`restricted`), and that nothing is written but where a volume is."""
    one = workload(overlay, name)
    pod = one.pod["securityContext"]
    assert pod["runAsNonRoot"] is True
    assert pod["runAsUser"] > 0
    assert pod["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not {"hostNetwork", "hostPID", "hostIPC"} & one.pod.keys()
    assert not [volume for volume in one.pod.get("volumes", ()) if "hostPath" in volume]
    for container in one.containers:
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert "privileged" not in context
        if is_ours(container):
            assert context["readOnlyRootFilesystem"] is True
            assert "emptyDir" in one.files()["/tmp"]
    (space,) = of_kind(overlay, "Namespace")
    assert space["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    assert one.manifest["metadata"]["namespace"] == space["metadata"]["name"]


@pytest.mark.parametrize(("overlay", "name"), ALL)
def test_pods_have_no_token_no_links_and_bounded_memory(overlay: str, name: str) -> None:
    one = workload(overlay, name)
    assert one.pod["automountServiceAccountToken"] is False
    assert one.pod["enableServiceLinks"] is False, "the name of a Service would become a setting"
    for container in one.containers:
        assert set(container["resources"]["requests"]) == {"cpu", "memory"}
        assert set(container["resources"]["limits"]) == {"memory"}
    if is_ours(one.main) and name != "sandbox":
        account = named(overlay, "ServiceAccount", one.pod["serviceAccountName"])
        assert account["automountServiceAccountToken"] is False


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_nothing_has_rights_on_the_cluster(overlay: str) -> None:
    assert not [manifest for manifest in render(overlay) if "rbac" in manifest["apiVersion"]]
    accounts = [workload(overlay, service).pod["serviceAccountName"] for service in SERVICES]
    assert len(set(accounts)) == len(accounts)
