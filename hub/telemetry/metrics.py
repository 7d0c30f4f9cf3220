"""All Prometheus metrics of the hub.

Counters and gauges may carry a tenant; histograms never do: thousands of tenants times a dozen buckets would
cost more than the rest of a service. Labels are words of a closed set; an unknown event type is `unknown`, and so is a
tenant that has no accepted settings. docs/metrics.md is made from this module: `python -m tools.metrics`.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_FAST_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_HALO_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
UNKNOWN = "unknown"


class Waiting(NamedTuple):
    """What waits for one reason: how many rows, and how old the oldest is."""

    rows: int
    oldest_age_s: float


class Metrics:
    """The hub's metrics in a registry of their own, so that two services or tests in a process stay apart."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self._reasons: dict[str, set[str]] = {}
        self._holds: dict[str, set[tuple[str, str]]] = {}
        self._lags: dict[str, set[tuple[str, str]]] = {}
        self._invalid_files: set[str] = set()
        self._define_process()
        self._define_intake()
        self._define_writer()
        self._define_plumbing()

    def _define_process(self) -> None:
        self.start_time = self._gauge(
            "start_time_seconds", "When this process began to serve, in seconds since the epoch", "component"
        )
        self.ready = self._gauge("ready", "1 while this process has its work and has caught up", "component")
        self.check_ok = self._gauge(
            "check_ok", "1 while this check of the process's liveness or readiness holds", "check"
        )
        self.store_away = self._gauge("store_away", "1 while the store does not answer this writer or mapper")

    def _define_intake(self) -> None:
        self.http_answers = self._counter(
            "http_answers", "Answers to requests to publish events over HTTP", "status"
        )
        self.producers_file_invalid = self._gauge(
            "producers_file_invalid",
            "1 while the producers file can't be used and the last good one is in force",
        )
        self.tenant_file_invalid = self._gauge(
            "tenant_file_invalid",
            'A tenant file that can\'t be used, told by the one mapper that reads them; "." is their directory',
            "file",
        )
        self.reading_behind = self._gauge(
            "reading_behind_seconds",
            "How long a read of the tenant's Halo has been due without success; absent while none is",
            "tenant",
        )
        self.events_accepted = self._counter("events_accepted", "Events accepted over HTTP", "type")
        self.events_rejected = self._counter(
            "events_rejected", "Events refused over HTTP, by reason code", "type", "reason"
        )
        self.mapper_events = self._counter(
            "mapper_events", "Events that the mapper finished, by result", "type", "result"
        )
        self.mapper_commands = self._counter("mapper_commands", "Commands that the mapper published", "type")
        self.dead_letters = self._counter(
            "dead_letters", "Dead letters, by stage and reason code", "tenant", "stage", "reason"
        )
        self.dead_letters_unwritten = self._gauge(
            "dead_letters_unwritten",
            "Dead letters that their topic does not take; their records stay uncommitted",
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
            "duplicates_suspected",
            "Times that Halo was found to hold two records of a target, or may hold an older state of it",
            "tenant",
        )
        self.lanes_overtaken = self._counter(
            "lanes_overtaken", "Times that a tenant's lease was lost while its work ran", "tenant"
        )
        self.lane_faults = self._counter(
            "lane_faults", "Faults of the hub's own that stopped a tenant's work for a while", "tenant"
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
        self.pending_rows = self._gauge(
            "pending_rows", "Commands, events and questions that wait, by reason", "tenant", "reason"
        )
        self.pending_oldest_age = self._gauge(
            "pending_oldest_age_seconds", "Age of what has waited longest, by reason", "tenant", "reason"
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
        self.lease_held = self._gauge(
            "lease_held",
            "1 while this process owns the tenant, 0 while it has work and another owns it",
            "tenant",
        )

    def _define_plumbing(self) -> None:
        self.consumer_lag = self._gauge(
            "consumer_lag_messages", "Messages behind the end of the partition", "group", "topic", "partition"
        )
        self.poll_age = self._gauge("poll_age_seconds", "Time since the consumer last showed life", "group")
        self.unsettled_age = self._gauge(
            "unsettled_oldest_age_seconds",
            "Age of the oldest message that was taken from Kafka and has neither ended nor waits in the store",
            "group",
        )
        self.outbox_rows = self._gauge("outbox_rows", "Messages settled but not yet acknowledged by Kafka")
        self.publish_seconds = Histogram(
            "hub_publish_seconds",
            "Time from handing a message to the producer to Kafka's acknowledgement",
            ["topic"],
            buckets=_FAST_S,
            registry=self.registry,
        )
        self.publish_failures = self._counter(
            "publish_failures", "Times that Kafka did not acknowledge what was published", "topic"
        )

    def tell_published(self, topics: Collection[str], seconds: float | None) -> None:
        """How long Kafka took to acknowledge messages of these topics; None when it didn't."""
        for topic in topics:
            if seconds is None:
                self.publish_failures.labels(topic=topic).inc()
            else:
                self.publish_seconds.labels(topic=topic).observe(seconds)

    def set_lags(self, group: str, lags: Mapping[tuple[str, str], int]) -> None:
        """Replaces all that is told of a group's (topic, partition); who has them now tells those that are gone."""
        for topic, partition in self._lags.get(group, set()) - lags.keys():
            self.consumer_lag.remove(group, topic, partition)
        for (topic, partition), lag in lags.items():
            self.consumer_lag.labels(group=group, topic=topic, partition=partition).set(lag)
        self._lags[group] = set(lags)

    def set_invalid_files(self, files: Collection[str]) -> None:
        """Replaces all that is told of tenant files that can't be used."""
        for gone in self._invalid_files - set(files):
            self.tenant_file_invalid.remove(gone)
        for file in files:
            self.tenant_file_invalid.labels(file=file).set(1)
        self._invalid_files = set(files)

    def set_reading_behind(self, tenant: str, seconds: float | None) -> None:
        """How long the tenant's reads have been due; None when none is."""
        if seconds is None:
            self.reading_behind.remove_by_labels({"tenant": tenant})
        else:
            self.reading_behind.labels(tenant=tenant).set(seconds)

    def set_lane(self, tenant: str, held: bool, requests_left: int | None) -> None:
        """What the running lane of a tenant has: its lease, and so many requests of the writing share."""
        self.lease_held.labels(tenant=tenant).set(held)
        if requests_left is not None:
            self.budget_remaining.labels(tenant=tenant, share="write").set(requests_left)

    def forget_lane(self, tenant: str) -> None:
        """A lane without work has ended: whether it has the lease means nothing."""
        for gauge in (self.lease_held, self.budget_remaining):
            gauge.remove_by_labels({"tenant": tenant})

    def set_holds(self, tenant: str, held: Iterable[tuple[str, str]]) -> None:
        """Replaces all that is told of a tenant's holds (scope, reason); one that is over reads 0."""
        now = set(held)
        for scope, reason in self._holds.get(tenant, set()) | now:
            self.holds.labels(tenant=tenant, scope=scope, reason=reason).set((scope, reason) in now)
        self._holds[tenant] = self._holds.get(tenant, set()) | now

    def set_pending(self, tenant: str, waiting: Mapping[str, Waiting]) -> None:
        """Replaces all that is told of a tenant's pending rows, by reason; a reason that is gone reads 0."""
        nothing = Waiting(0, 0.0)
        for reason in self._reasons.get(tenant, set()) | waiting.keys():
            rows, oldest_age_s = waiting.get(reason, nothing)
            self.pending_rows.labels(tenant=tenant, reason=reason).set(rows)
            self.pending_oldest_age.labels(tenant=tenant, reason=reason).set(oldest_age_s)
        self._reasons.setdefault(tenant, set()).update(waiting)

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
