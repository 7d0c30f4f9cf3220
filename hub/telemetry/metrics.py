"""All Prometheus metrics of the hub.

Counters and gauges may carry a tenant; histograms never do: thousands of tenants times a dozen buckets would
cost more than the rest of a service. Labels are words of a closed set; an unknown event type is `unknown`.
"""

from collections.abc import Iterable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_FAST_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_HALO_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Metrics:
    """The hub's metrics in a registry of their own, so that two services or tests in a process stay apart."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self._reasons: dict[str, set[str]] = {}
        self._holds: dict[str, set[tuple[str, str]]] = {}
        self._define_intake()
        self._define_writer()
        self._define_plumbing()

    def _define_intake(self) -> None:
        self.events_accepted = self._counter("events_accepted", "Events accepted over HTTP", "type")
        self.events_rejected = self._counter(
            "events_rejected", "Events refused over HTTP, by reason code", "type", "reason"
        )
        self.mapper_events = self._counter(
            "mapper_events", "Events that the mapper finished, by result", "type", "result"
        )
        self.mapper_commands = self._counter("mapper_commands", "Commands that the mapper published", "type")
        self.dead_letters = self._counter(
            "dead_letters", "Dead letters written, by stage and reason code", "stage", "reason"
        )

    def _define_writer(self) -> None:
        self.writer_outcomes = self._counter(
            "writer_outcomes",
            "Commands that ended, by kind of target",
            "kind",
            "status",
            "result",
        )
        self.duplicates_suspected = self._counter(
            "duplicates_suspected", "Targets of which Halo may hold two records", "tenant"
        )
        self.halo_requests = self._counter(
            "halo_requests",
            "Requests to Halo, by class of outcome",
            "tenant",
            "resource",
            "outcome",
        )
        self.halo_throttled = self._counter("halo_throttled", "Answers 429 from Halo", "tenant")
        self.halo_request_seconds = Histogram(
            "hub_halo_request_seconds",
            "Time from sending a request to Halo to its whole answer",
            ["resource"],
            buckets=_HALO_S,
            registry=self.registry,
        )
        self.pending_rows = self._gauge("pending_rows", "Commands that wait, by reason", "tenant", "reason")
        self.pending_oldest_age = self._gauge(
            "pending_oldest_age_seconds", "Age of the command that has waited longest", "tenant"
        )
        self.holds = self._gauge(
            "holds",
            "1 while a tenant's Halo, or one kind of record in it, can't be written",
            "tenant",
            "scope",
            "reason",
        )
        self.backlog_drain = self._gauge(
            "backlog_drain_seconds", "How long what waits will take at the tenant's budget, at most", "tenant"
        )
        self.budget_remaining = self._gauge(
            "budget_remaining_requests", "Requests left in the rolling window, by share", "tenant", "share"
        )
        self.lease_held = self._gauge("lease_held", "1 while this process owns the tenant", "tenant")

    def _define_plumbing(self) -> None:
        self.consumer_lag = self._gauge(
            "consumer_lag_messages", "Messages behind the end of the partition", "group", "topic", "partition"
        )
        self.poll_age = self._gauge("poll_age_seconds", "Time since the consumer last showed life", "group")
        self.outbox_rows = self._gauge("outbox_rows", "Messages settled but not yet acknowledged by Kafka")
        self.publish_seconds = Histogram(
            "hub_publish_seconds",
            "Time from handing a message to the producer to Kafka's acknowledgement",
            ["topic"],
            buckets=_FAST_S,
            registry=self.registry,
        )

    def set_holds(self, tenant: str, held: Iterable[tuple[str, str]]) -> None:
        """Replaces all that is told of a tenant's holds (scope, reason); one that is over reads 0."""
        now = set(held)
        for scope, reason in self._holds.get(tenant, set()) | now:
            self.holds.labels(tenant=tenant, scope=scope, reason=reason).set((scope, reason) in now)
        self._holds[tenant] = self._holds.get(tenant, set()) | now

    def set_pending(self, tenant: str, rows: Mapping[str, int], oldest_age_s: float) -> None:
        """Replaces all that is told of a tenant's pending rows; a reason that is gone reads 0."""
        gone = self._reasons.get(tenant, set()) - rows.keys()
        for reason in gone:
            self.pending_rows.labels(tenant=tenant, reason=reason).set(0)
        for reason, number in rows.items():
            self.pending_rows.labels(tenant=tenant, reason=reason).set(number)
        self._reasons.setdefault(tenant, set()).update(rows)
        self.pending_oldest_age.labels(tenant=tenant).set(oldest_age_s if rows else 0)

    def forget_tenant(self, tenant: str) -> None:
        """Drops the tenant's gauges: its next owner tells them, and two truths would be added up."""
        self._reasons.pop(tenant, None)
        self._holds.pop(tenant, None)
        for gauge in (
            self.pending_rows,
            self.pending_oldest_age,
            self.backlog_drain,
            self.holds,
            self.budget_remaining,
            self.lease_held,
        ):
            gauge.remove_by_labels({"tenant": tenant})

    def _counter(self, name: str, what: str, *labels: str) -> Counter:
        return Counter(f"hub_{name}", what, labels, registry=self.registry)

    def _gauge(self, name: str, what: str, *labels: str) -> Gauge:
        return Gauge(f"hub_{name}", what, labels, registry=self.registry)
