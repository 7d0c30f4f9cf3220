"""The panels of the Grafana dashboards: what is shown, by which query."""

from __future__ import annotations

from typing import NamedTuple

COLUMNS = 24
_THIRD, _SIXTH = COLUMNS // 3, COLUMNS // 6


class Panel(NamedTuple):
    """One panel: `queries` are expressions and how their lines are named; `red_from` colours a `stat`."""

    title: str
    queries: tuple[tuple[str, str], ...]
    unit: str = "short"
    kind: str = "timeseries"
    width: int = _THIRD
    what: str = ""
    red_from: float | None = None


class Row(NamedTuple):
    """Panels beside each other under a heading."""

    title: str
    panels: tuple[Panel, ...]


class Dashboard(NamedTuple):
    """One file; `variables` are names of labels to choose from, and the queries that list their values."""

    name: str
    title: str
    rows: tuple[Row, ...]
    variables: tuple[tuple[str, str], ...] = ()


def stat(title: str, expr: str, *, red_from: float, unit: str = "short", what: str = "") -> Panel:
    """A number that is green below `red_from`."""
    return Panel(title, ((expr, ""),), unit, "stat", _SIXTH, what, red_from)


def lines(title: str, expr: str, legend: str, unit: str = "short", what: str = "") -> Panel:
    """A series of lines over time."""
    return Panel(title, ((expr, legend),), unit, what=what)


def quantiles(title: str, bucket: str, by: str, what: str = "") -> Panel:
    """The median and the 99th percentile of a histogram."""
    queries = tuple(
        (
            f"histogram_quantile({q}, sum by (le, {by}) (rate({bucket}[$__rate_interval])))",
            f"p{round(q * 100)} {{{{{by}}}}}",
        )
        for q in (0.5, 0.99)
    )
    return Panel(title, queries, "s", what=what)


def rates(title: str, series: str, by: str, unit: str = "cps", what: str = "") -> Panel:
    """How often a second, by these labels."""
    legend = " ".join(f"{{{{{label}}}}}" for label in by.split(", "))
    return lines(title, f"sum by ({by}) (rate({series}[$__rate_interval]))", legend, unit, what)


_REQUESTS_EACH = (
    "sum(rate(hub_halo_requests_total[$__rate_interval]))"
    ' / sum(rate(hub_writer_outcomes_total{status="applied"}[$__rate_interval]))'
)
OVERVIEW = Dashboard(
    "overview",
    "halo-hub: overview",
    (
        Row(
            "What needs somebody",
            (
                stat("Alerts", 'count(ALERTS{alertstate="firing"}) or vector(0)', red_from=1),
                stat("Tenants held", "count(count by (tenant) (hub_holds == 1)) or vector(0)", red_from=1),
                stat(
                    "Decisions",
                    'sum(hub_pending_rows{reason="decision"}) or vector(0)',
                    red_from=1,
                    what="Records that can't go on before a person has looked",
                ),
                stat(
                    "Dead letters, 24 h",
                    "sum(increase(hub_dead_letters_total[24h])) or vector(0)",
                    red_from=1,
                ),
                stat(
                    "Doubled, 24 h",
                    "sum(increase(hub_duplicates_suspected_total[24h])) or vector(0)",
                    red_from=1,
                    what="Times that Halo may hold a record twice",
                ),
                stat(
                    "Files invalid",
                    "(count(hub_tenant_file_invalid) or vector(0)) + (max(hub_producers_file_invalid) or vector(0))",
                    red_from=1,
                ),
            ),
        ),
        Row(
            "Through the hub",
            (
                rates(
                    "Events accepted",
                    "hub_events_accepted_total",
                    "type",
                    what="Over HTTP; what comes over Kafka is seen in the next panel",
                ),
                rates("Events mapped", "hub_mapper_events_total", "result"),
                rates("Commands ended", "hub_writer_outcomes_total", "status"),
            ),
        ),
        Row(
            "The door",
            (
                rates("Answers", "hub_http_answers_total", "status", unit="reqps"),
                rates("Events refused", "hub_events_rejected_total", "reason"),
                lines(
                    "Dead letters",
                    "sum by (stage, reason) (increase(hub_dead_letters_total[1h]))",
                    "{{stage}} {{reason}}",
                    what="In the hour before",
                ),
            ),
        ),
        Row(
            "Kafka and the store",
            (
                lines(
                    "Messages behind",
                    "sum by (group, topic) (hub_consumer_lag_messages)",
                    "{{group}} {{topic}}",
                ),
                lines(
                    "Oldest unsettled message",
                    "max by (group) (hub_unsettled_oldest_age_seconds)",
                    "{{group}}",
                    unit="s",
                    what="Taken from Kafka, and neither ended nor in the store",
                ),
                quantiles("Kafka's acknowledgements", "hub_publish_seconds_bucket", "topic"),
                rates("Not acknowledged", "hub_publish_failures_total", "topic"),
                lines("The store does not answer", "hub_store_away", "{{instance}}"),
                lines("Outbox", "max(hub_outbox_rows)", "messages"),
            ),
        ),
        Row(
            "The processes",
            (
                lines("Ready", "sum by (component) (hub_ready)", "{{component}}"),
                lines("Checks that fail", "hub_check_ok == 0", "{{instance}} {{check}}"),
                lines("Age", "time() - hub_start_time_seconds", "{{component}} {{instance}}", unit="s"),
                lines("Memory", "process_resident_memory_bytes", "{{instance}}", unit="bytes"),
                lines(
                    "CPU",
                    "rate(process_cpu_seconds_total[$__rate_interval])",
                    "{{instance}}",
                    unit="percentunit",
                ),
                lines("Open files", "process_open_fds / process_max_fds", "{{instance}}", unit="percentunit"),
            ),
        ),
    ),
)
TENANT = Dashboard(
    "tenant",
    "halo-hub: one tenant",
    (
        Row(
            "How it stands",
            (
                stat("Waits", 'sum(hub_pending_rows{tenant="$tenant"}) or vector(0)', red_from=1000),
                stat(
                    "For how long",
                    'max(hub_pending_oldest_age_seconds{tenant="$tenant"}) or vector(0)',
                    red_from=3600,
                    unit="s",
                ),
                stat(
                    "Drains in",
                    'max(hub_backlog_drain_seconds{tenant="$tenant"}) or vector(0)',
                    red_from=3600,
                    unit="s",
                    what="At most, once nothing holds it",
                ),
                stat("Held", 'sum(hub_holds{tenant="$tenant"}) or vector(0)', red_from=1),
                stat(
                    "Dead letters, 24 h",
                    'sum(increase(hub_dead_letters_total{tenant="$tenant"}[24h])) or vector(0)',
                    red_from=1,
                ),
                stat(
                    "Doubled, 24 h",
                    'sum(increase(hub_duplicates_suspected_total{tenant="$tenant"}[24h])) or vector(0)',
                    red_from=1,
                ),
            ),
        ),
        Row(
            "What waits",
            (
                lines("By reason", 'max by (reason) (hub_pending_rows{tenant="$tenant"})', "{{reason}}"),
                lines(
                    "Oldest, by reason",
                    'max by (reason) (hub_pending_oldest_age_seconds{tenant="$tenant"})',
                    "{{reason}}",
                    unit="s",
                ),
                lines(
                    "Holds",
                    'max by (scope, reason) (hub_holds{tenant="$tenant"})',
                    "{{scope}}: {{reason}}",
                    what="1 while its Halo, or one kind of record in it, can't be written",
                ),
            ),
        ),
        Row(
            "Its Halo",
            (
                rates(
                    "Requests by outcome",
                    'hub_halo_requests_total{tenant="$tenant"}',
                    "outcome",
                    unit="reqps",
                    what="Those of the writer",
                ),
                rates(
                    "Requests by resource",
                    'hub_halo_requests_total{tenant="$tenant"}',
                    "resource",
                    unit="reqps",
                ),
                lines(
                    "Budget left",
                    'max by (share) (hub_budget_remaining_requests{tenant="$tenant"})',
                    "{{share}}",
                    what="Requests that may be sent now",
                ),
                lines(
                    "Answers 429",
                    'sum(increase(hub_halo_throttled_total{tenant="$tenant"}[1h]))',
                    "in the hour before",
                ),
                lines(
                    "Reads behind", 'max(hub_reading_behind_seconds{tenant="$tenant"})', "due for", unit="s"
                ),
                lines(
                    "Dead letters",
                    'sum by (stage, reason) (increase(hub_dead_letters_total{tenant="$tenant"}[1h]))',
                    "{{stage}} {{reason}}",
                    what="In the hour before",
                ),
            ),
        ),
        Row(
            "Its owner",
            (
                lines(
                    "Lease",
                    'hub_lease_held{tenant="$tenant"}',
                    "{{instance}}",
                    what="1 at the writer that has it, 0 at one that wants it; absent while there is no work",
                ),
                lines(
                    "Overtaken",
                    'sum(increase(hub_lanes_overtaken_total{tenant="$tenant"}[1h]))',
                    "in the hour before",
                ),
                lines(
                    "Faults of the hub",
                    'sum(increase(hub_lane_faults_total{tenant="$tenant"}[1h]))',
                    "in the hour before",
                ),
            ),
        ),
    ),
    (("tenant", "label_values(hub_halo_requests_total, tenant)"),),
)
WRITER = Dashboard(
    "writer",
    "halo-hub: inside the writer",
    (
        Row(
            "Commands",
            (
                rates("Ended by kind", 'hub_writer_outcomes_total{status!="waiting"}', "kind"),
                rates("Results", "hub_writer_outcomes_total", "status, result"),
                lines("Halo requests for each command that was applied", _REQUESTS_EACH, "requests"),
            ),
        ),
        Row(
            "What waits",
            (
                lines("By reason", "sum by (reason) (hub_pending_rows)", "{{reason}}"),
                lines(
                    "Oldest, by reason",
                    "max by (reason) (hub_pending_oldest_age_seconds)",
                    "{{reason}}",
                    unit="s",
                ),
                lines(
                    "Most",
                    "topk(10, sum by (tenant) (hub_pending_rows))",
                    "{{tenant}}",
                    what="The ten tenants for which most waits",
                ),
            ),
        ),
        Row(
            "Halo",
            (
                quantiles("Time of an exchange", "hub_halo_request_seconds_bucket", "resource"),
                rates("Outcomes", "hub_halo_requests_total", "outcome", unit="reqps"),
                lines(
                    "Answers 429",
                    "topk(10, sum by (tenant) (increase(hub_halo_throttled_total[1h])))",
                    "{{tenant}}",
                ),
                lines("Holds by reason", "sum by (reason) (hub_holds)", "{{reason}}"),
                lines(
                    "Least budget left",
                    'bottomk(10, hub_budget_remaining_requests{share="write"})',
                    "{{tenant}}",
                ),
                lines(
                    "Longest to drain",
                    "topk(10, max by (tenant) (hub_backlog_drain_seconds))",
                    "{{tenant}}",
                    unit="s",
                ),
            ),
        ),
        Row(
            "Leases and partitions",
            (
                lines("Tenants owned", "sum by (instance) (hub_lease_held)", "{{instance}}"),
                rates("Overtaken", "hub_lanes_overtaken_total", "instance"),
                lines(
                    "Partitions of commands",
                    'count by (instance) (hub_consumer_lag_messages{group="hub-writer"})',
                    "{{instance}}",
                ),
                lines(
                    "Last sign of life",
                    "max by (group, instance) (hub_poll_age_seconds)",
                    "{{group}} {{instance}}",
                    unit="s",
                ),
                lines(
                    "Dead letters unwritten", "sum by (instance) (hub_dead_letters_unwritten)", "{{instance}}"
                ),
                rates("Commands mapped", "hub_mapper_commands_total", "type", what="What comes in"),
            ),
        ),
    ),
)
DASHBOARDS = (OVERVIEW, TENANT, WRITER)
