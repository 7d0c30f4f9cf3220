"""One wide log line and one count for each command that ended or began to wait."""

from __future__ import annotations

import structlog

from hub.telemetry.logging import outcome_line
from hub.telemetry.metrics import Metrics
from services.halo_writer.tools import Ended, Parked
from services.halo_writer.work import Work

_log = structlog.get_logger(__name__)


class Teller:
    """Called by lanes."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def __call__(self, work: Work, end: Ended | Parked) -> None:
        target = work.command.target
        status = "waiting" if isinstance(end, Parked) else end.status
        result = "" if isinstance(end, Parked) else end.result or ""
        self._metrics.writer_outcomes.labels(kind=target.kind, status=status, result=result).inc()
        if isinstance(end, Ended) and status == "rejected":
            reason = end.code or "rejected"
            self._metrics.dead_letters.labels(tenant=target.tenant, stage="writer", reason=reason).inc()
        # What several commands shared is told with the first of them.
        new = [request for request in work.requests[work.counted :] if request.place == 0]
        work.counted = len(work.requests)
        for request in new:
            resource = request.path.split("?")[0].strip("/").split("/")[0]
            labels = {"tenant": target.tenant, "resource": resource, "outcome": request.outcome}
            self._metrics.halo_requests.labels(**labels).inc()
            self._metrics.halo_request_seconds.labels(resource=resource).observe(request.duration_ms / 1000)
            if request.outcome == "throttled":
                self._metrics.halo_throttled.labels(tenant=target.tenant).inc()
        outcome_line(
            _log,
            stage="writer",
            outcome=status,
            tenant=target.tenant,
            target=target.key,
            op_id=work.command_id,
            ms=sum(request.duration_ms for request in new),
            attempt=work.row.attempts if work.row else 0,
            halo_status=new[-1].status if new else None,
            requests=len(new),
            reason=end.reason if isinstance(end, Parked) else end.code,
            halo_id=None if isinstance(end, Parked) else end.halo_id,
        )
