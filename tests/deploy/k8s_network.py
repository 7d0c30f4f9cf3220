"""Who may talk to whom, as an overlay's NetworkPolicies have it."""

import ipaddress
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from tests.deploy.k8s_pods import Workload, matches, workloads
from tests.deploy.k8s_render import Manifest, of_kind

Peer = Mapping[str, Any]


class Allowed(NamedTuple):
    """One peer and one port that a policy allows to the pods that it selects."""

    policy: str
    peer: Peer
    port: int | str
    protocol: str


def policies(overlay: str) -> list[Manifest]:
    return of_kind(overlay, "NetworkPolicy")


def selected(overlay: str, policy: Manifest) -> list[Workload]:
    return [one for one in workloads(overlay) if matches(policy["spec"]["podSelector"], one.labels)]


def allowed(one: Workload, direction: str) -> Iterator[Allowed]:
    """What is allowed in (`Ingress`) or out (`Egress`). Fails for a rule that leaves peers or ports open."""
    for policy in policies(one.overlay):
        if direction not in policy["spec"]["policyTypes"] or one.name not in [
            each.name for each in selected(one.overlay, policy)
        ]:
            continue
        name = policy["metadata"]["name"]
        for rule in policy["spec"].get(direction.lower(), ()):
            peers, ports = rule["to" if direction == "Egress" else "from"], rule["ports"]
            assert peers, f"{name} allows every peer"
            assert ports, f"{name} allows every port"
            for peer in peers:
                for port in ports:
                    yield Allowed(name, peer, port["port"], port["protocol"])


def is_inside(peer: Peer) -> bool:
    """Whether the peer is pods of the overlay's own namespace."""
    return set(peer) == {"podSelector"}


def inside(one: Workload) -> set[tuple[str, int]]:
    """The overlay's own pods, with the port, that such a pod reaches: both sides have to allow it."""
    found = set()
    for out in allowed(one, "Egress"):
        if is_inside(out.peer):
            for other in workloads(one.overlay):
                number = other.port(out.port)
                if matches(out.peer["podSelector"], other.labels) and number and admits(other, number, one):
                    found.add((other.name, number))
    return found


def admits(one: Workload, port: int, other: Workload) -> bool:
    return any(
        is_inside(into.peer)
        and matches(into.peer["podSelector"], other.labels)
        and one.port(into.port) == port
        for into in allowed(one, "Ingress")
    )


def reaches(one: Workload, address: str, port: int) -> bool:
    """Whether the pod may open a TCP connection to an address outside of the cluster."""
    ip = ipaddress.ip_address(address)
    return any(
        "ipBlock" in out.peer
        and (out.port, out.protocol) == (port, "TCP")
        and ip in ipaddress.ip_network(out.peer["ipBlock"]["cidr"])
        and not any(ip in ipaddress.ip_network(block) for block in out.peer["ipBlock"].get("except", ()))
        for out in allowed(one, "Egress")
    )
