"""A FastStream broker whose defaults lose nothing."""

import logging

from faststream.kafka import KafkaBroker

from hub.bus.settings import BusSettings


def make_broker(settings: BusSettings) -> KafkaBroker:
    """Return a broker that creates no topics and whose producer is idempotent and waits for all replicas.

    FastStream's own log lines (one per batch) go to the standard logger `hub.bus.framework` at DEBUG; what a
    handler raises still comes as ERROR. `apply_types` is off: the hub decodes records itself, so there is
    nothing for FastStream to validate.
    """
    return KafkaBroker(
        settings.bootstrap_servers,
        client_id=settings.client_id,
        security=settings.security,
        allow_auto_create_topics=False,
        acks="all",
        enable_idempotence=True,
        max_request_size=settings.max_record_bytes,
        graceful_timeout=settings.shutdown_drain_s,
        logger=logging.getLogger("hub.bus.framework"),
        log_level=logging.DEBUG,
        apply_types=False,
    )
