from prometheus_client import Histogram, generate_latest
from prometheus_client.metrics import MetricWrapperBase

from hub.telemetry.metrics import Metrics


def collectors(metrics: Metrics) -> list[MetricWrapperBase]:
    return [value for value in vars(metrics).values() if isinstance(value, MetricWrapperBase)]


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def test_no_histogram_carries_a_tenant() -> None:
    histograms = [metric for metric in collectors(Metrics()) if isinstance(metric, Histogram)]

    assert histograms
    assert not [metric._name for metric in histograms if "tenant" in metric._labelnames]


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


def test_a_pending_reason_that_is_gone_reads_zero() -> None:
    metrics = Metrics()
    metrics.set_pending("acme", {"ambiguous": 2, "throttled": 1}, oldest_age_s=30)
    metrics.set_pending("acme", {"throttled": 4}, oldest_age_s=40)

    assert value(metrics, "hub_pending_rows", tenant="acme", reason="ambiguous") == 0
    assert value(metrics, "hub_pending_rows", tenant="acme", reason="throttled") == 4
    assert value(metrics, "hub_pending_oldest_age_seconds", tenant="acme") == 40


def test_without_pending_rows_nothing_is_old() -> None:
    metrics = Metrics()
    metrics.set_pending("acme", {"ambiguous": 2}, oldest_age_s=30)
    metrics.set_pending("acme", {}, oldest_age_s=30)

    assert value(metrics, "hub_pending_oldest_age_seconds", tenant="acme") == 0


def test_a_tenant_that_moved_away_leaves_no_gauge_but_keeps_its_counters() -> None:
    metrics = Metrics()
    for tenant in ("acme", "other"):
        metrics.lease_held.labels(tenant=tenant).set(1)
        metrics.set_pending(tenant, {"ambiguous": 1}, oldest_age_s=1)
        metrics.halo_throttled.labels(tenant=tenant).inc()

    metrics.forget_tenant("acme")

    assert value(metrics, "hub_lease_held", tenant="acme") is None
    assert value(metrics, "hub_pending_rows", tenant="acme", reason="ambiguous") is None
    assert value(metrics, "hub_lease_held", tenant="other") == 1
    assert value(metrics, "hub_halo_throttled_total", tenant="acme") == 1
