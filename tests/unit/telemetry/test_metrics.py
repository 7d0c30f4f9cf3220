import re
from pathlib import Path

from prometheus_client import Histogram, generate_latest
from prometheus_client.metrics import MetricWrapperBase

from hub.telemetry.metrics import Metrics, Waiting

ROOT = Path(__file__).parents[3]


def collectors(metrics: Metrics) -> list[MetricWrapperBase]:
    return [value for value in vars(metrics).values() if isinstance(value, MetricWrapperBase)]


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def test_no_histogram_carries_a_tenant() -> None:
    histograms = [metric for metric in collectors(Metrics()) if isinstance(metric, Histogram)]

    assert histograms
    assert not [metric._name for metric in histograms if "tenant" in metric._labelnames]


def test_no_label_is_one_that_prometheus_or_kubernetes_gives_every_series() -> None:
    taken = {"job", "instance", "service", "pod", "namespace", "container", "endpoint", "node"}

    assert [metric._name for metric in collectors(Metrics()) if taken & set(metric._labelnames)] == []


def test_every_metric_is_ours_by_name_and_is_exposed() -> None:
    metrics = Metrics()
    exposed = generate_latest(metrics.registry).decode()

    for metric in collectors(metrics):
        assert metric._name.startswith("hub_")
        assert f"# HELP {metric._name}" in exposed


def test_two_instances_do_not_share_numbers() -> None:
    first, second = Metrics(), Metrics()

    first.halo_throttled.labels(tenant="acme").inc()

    assert value(first, "hub_halo_throttled_total", tenant="acme") == 1
    assert value(second, "hub_halo_throttled_total", tenant="acme") is None


def test_every_metric_is_told_by_some_service() -> None:
    metrics = Metrics()
    folders = [ROOT / "hub", ROOT / "services"]
    text = "".join(path.read_text() for folder in folders for path in folder.rglob("*.py"))
    names = [name for name, one in vars(metrics).items() if isinstance(one, MetricWrapperBase)]

    assert [name for name in names if len(re.findall(rf"\.{name}\b", text)) < 2] == []
    methods = [name for name in vars(Metrics) if not name.startswith("_")]
    assert [name for name in methods if not re.search(rf"\.{name}\b", text)] == []


def test_a_pending_reason_that_is_gone_reads_zero_and_nothing_of_it_is_old() -> None:
    metrics = Metrics()
    metrics.set_pending("acme", {"ambiguous": Waiting(2, 30.0), "limited": Waiting(1, 20.0)})
    metrics.set_pending("acme", {"limited": Waiting(4, 40.0)})

    assert value(metrics, "hub_pending_rows", tenant="acme", reason="ambiguous") == 0
    assert value(metrics, "hub_pending_oldest_age_seconds", tenant="acme", reason="ambiguous") == 0
    assert value(metrics, "hub_pending_rows", tenant="acme", reason="limited") == 4
    assert value(metrics, "hub_pending_oldest_age_seconds", tenant="acme", reason="limited") == 40


def test_a_partition_that_another_process_reads_is_told_by_that_one_alone() -> None:
    metrics = Metrics()
    metrics.set_lags("g", {("t", "0"): 5, ("t", "1"): 7})
    metrics.set_lags("other", {("t", "0"): 9})
    metrics.set_lags("g", {("t", "1"): 8})

    assert value(metrics, "hub_consumer_lag_messages", group="g", topic="t", partition="0") is None
    assert value(metrics, "hub_consumer_lag_messages", group="g", topic="t", partition="1") == 8
    assert value(metrics, "hub_consumer_lag_messages", group="other", topic="t", partition="0") == 9


def test_a_tenant_file_that_was_corrected_is_told_no_more() -> None:
    metrics = Metrics()
    metrics.set_invalid_files({"acme.yaml", "other.yaml"})
    metrics.set_invalid_files({"other.yaml"})

    assert value(metrics, "hub_tenant_file_invalid", file="acme.yaml") is None
    assert value(metrics, "hub_tenant_file_invalid", file="other.yaml") == 1


def test_what_kafka_acknowledged_is_timed_and_what_it_did_not_is_counted() -> None:
    metrics = Metrics()
    metrics.tell_published({"a", "b"}, 0.2)
    metrics.tell_published({"a"}, None)

    assert value(metrics, "hub_publish_seconds_count", topic="a") == 1
    assert value(metrics, "hub_publish_seconds_sum", topic="b") == 0.2
    assert value(metrics, "hub_publish_failures_total", topic="a") == 1
    assert value(metrics, "hub_publish_failures_total", topic="b") is None


def test_a_tenant_that_moved_away_leaves_no_gauge_but_keeps_its_counters() -> None:
    metrics = Metrics()
    for tenant in ("acme", "other"):
        metrics.set_lane(tenant, True, 200)
        metrics.set_pending(tenant, {"ambiguous": Waiting(1, 1.0)})
        metrics.halo_throttled.labels(tenant=tenant).inc()

    metrics.forget_tenant("acme")

    assert value(metrics, "hub_lease_held", tenant="acme") is None
    assert value(metrics, "hub_pending_rows", tenant="acme", reason="ambiguous") is None
    assert value(metrics, "hub_lease_held", tenant="other") == 1
    assert value(metrics, "hub_halo_throttled_total", tenant="acme") == 1
