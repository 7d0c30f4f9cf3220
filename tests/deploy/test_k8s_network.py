"""Nothing reaches the hub's pods, and they reach nothing, but for what they need."""

import pytest

from tests.deploy.k8s_network import Allowed, allowed, inside, is_inside, policies, reaches, selected
from tests.deploy.k8s_pods import COMPONENT, SERVICES, matches, variables, workload, workloads
from tests.deploy.k8s_render import OVERLAYS, Manifest

pytestmark = pytest.mark.feature("hub.k8s", part="all")
PROD = tuple(overlay for overlay in OVERLAYS if overlay != "dev")
TALK_TO_HALO = {"ingest", "writer", "operator"}
HUB = {*SERVICES, "operator", "migrate", "topics"}
ALL = [(overlay, one.name) for overlay in OVERLAYS for one in workloads(overlay)]


def by_policy(overlay: str, name: str, direction: str) -> set[str]:
    """The policies that allow a workload something in that direction."""
    return {one.policy for one in allowed(workload(overlay, name), direction)}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_all_is_denied_both_ways_at_first(overlay: str) -> None:
    (deny,) = [
        policy for policy in policies(overlay) if policy["spec"]["podSelector"] == {} and is_denial(policy)
    ]
    assert set(deny["spec"]["policyTypes"]) == {"Ingress", "Egress"}


def is_denial(policy: Manifest) -> bool:
    return not {"ingress", "egress"} & policy["spec"].keys()


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_policy_names_pods_and_ports_that_exist(overlay: str) -> None:
    pods = workloads(overlay)
    components = {one.labels.get(COMPONENT) for one in pods}
    for policy in policies(overlay):
        name = policy["metadata"]["name"]
        chosen = selected(overlay, policy)
        assert chosen, name
        selectors = [policy["spec"]["podSelector"]]
        for one in chosen:
            for into in (each for each in allowed(one, "Ingress") if each.policy == name):
                assert one.port(into.port), f"{name}: {one.name} has no port {into.port}"
        for out in (
            each for each in allowed(chosen[0], "Egress") if each.policy == name and is_inside(each.peer)
        ):
            selectors.append(out.peer["podSelector"])
            peers = [one for one in pods if matches(out.peer["podSelector"], one.labels)]
            assert peers, name
            assert all(one.port(out.port) for one in peers), name
        for selector in selectors:
            for expression in selector.get("matchExpressions", ()):
                if expression["key"] == COMPONENT:
                    assert set(expression["values"]) <= components, f"{name} names a component that is none"


@pytest.mark.parametrize(("overlay", "name"), ALL)
def test_each_pod_goes_out_to_what_it_needs_and_nowhere_else(overlay: str, name: str) -> None:
    one = workload(overlay, name)
    needed = {"to-dns"}
    if "HUB_BOOTSTRAP_SERVERS" in variables(one):
        needed.add("to-kafka")
    if name in HUB and "HUB_STORE_URL" in variables(one):
        needed.add("to-store")
    if name in TALK_TO_HALO:
        needed.add("to-sandbox" if overlay == "dev" else "to-halo")
    # The jobs are one component: what one of them needs, the other has too.
    shared = {"to-kafka", "to-store"} if name in ("migrate", "topics") else set()
    assert needed <= by_policy(overlay, name, "Egress") <= needed | shared


@pytest.mark.parametrize(("overlay", "name"), ALL)
def test_each_pod_lets_in_whom_it_serves_and_no_one_else(overlay: str, name: str) -> None:
    served = {
        "ingest": {"from-producers", "from-prometheus"},
        "mapper": {"from-prometheus"},
        "writer": {"from-prometheus"},
        "kafka": {"kafka-from-hub"},
        "postgres": {"store-from-hub"},
        "sandbox": {"sandbox-from-hub"},
    }
    assert by_policy(overlay, name, "Ingress") == served.get(name, set())


def test_in_dev_each_process_reaches_its_kafka_its_store_and_its_halo() -> None:
    kafka, store, halo = ("kafka", 9092), ("postgres", 5432), ("sandbox", 8901)
    reached = {one.name: inside(one) for one in workloads("dev")}
    assert reached == {
        "ingest": {kafka, store, halo},
        "mapper": {kafka, store},
        "writer": {kafka, store, halo},
        "operator": {kafka, store, halo},
        "migrate": {kafka, store},
        "topics": {kafka, store},
        "kafka": set(),
        "postgres": set(),
        "sandbox": set(),
    }


@pytest.mark.parametrize("overlay", PROD)
def test_halo_is_reached_on_the_public_internet_over_tls_alone(overlay: str) -> None:
    within = ("10.0.0.7", "172.20.1.1", "192.168.1.1", "169.254.169.254", "127.0.0.1", "100.100.1.1")
    within6 = ("fd00::1", "fe80::1", "::1", "::ffff:10.0.0.7")
    for name in ("ingest", "mapper", "writer", "operator", "migrate"):
        one = workload(overlay, name)
        talks = name in TALK_TO_HALO
        assert reaches(one, "20.50.2.9", 443) is talks
        assert reaches(one, "2a01:111::9", 443) is talks
        assert not reaches(one, "20.50.2.9", 80)
        assert not [address for address in (*within, *within6) if reaches(one, address, 443)]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_ports_are_those_that_the_settings_name(overlay: str) -> None:
    one = workload(overlay, "writer")
    servers = variables(one)["HUB_BOOTSTRAP_SERVERS"].split(",")
    numbers = {int(server.rpartition(":")[2]) for server in servers}
    (kafka,) = out_by(overlay, "to-kafka")
    assert numbers == {workload(overlay, "kafka").port(kafka.port) if overlay == "dev" else kafka.port}
    (store,) = out_by(overlay, "to-store")
    assert (workload(overlay, "postgres").port(store.port) if overlay == "dev" else store.port) == 5432


def out_by(overlay: str, policy: str) -> list[Allowed]:
    return [one for one in allowed(workload(overlay, "writer"), "Egress") if one.policy == policy]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_metrics_are_for_prometheus_and_the_door_for_producers(overlay: str) -> None:
    for into in allowed(workload(overlay, "ingest"), "Ingress"):
        assert "namespaceSelector" in into.peer
        assert (into.policy, into.port) in {("from-producers", "http"), ("from-prometheus", "health")}
