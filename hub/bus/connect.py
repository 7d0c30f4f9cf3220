"""How a process's settings become its connection to Kafka, and the root of what Kafka's own client raises."""

from aiokafka.errors import KafkaError
from faststream.security import BaseSecurity, SASLPlaintext, SASLScram256, SASLScram512

from hub.bus.settings import BusSettings
from hub.settings import Settings, tls_context

__all__ = ["KafkaError", "bus_settings", "security_of"]

_MECHANISMS = {"PLAIN": SASLPlaintext, "SCRAM-SHA-256": SASLScram256, "SCRAM-SHA-512": SASLScram512}


def security_of(settings: Settings) -> BaseSecurity | None:
    """TLS and SASL as the settings say; None for a plain connection."""
    encrypted = settings.kafka_security_protocol.endswith("SSL")
    context = tls_context(settings) if encrypted else None
    if not settings.kafka_security_protocol.startswith("SASL"):
        return BaseSecurity(ssl_context=context, use_ssl=True) if encrypted else None
    mechanism = _MECHANISMS[settings.kafka_sasl_mechanism or "PLAIN"]
    password = settings.kafka_sasl_password
    return mechanism(
        username=settings.kafka_sasl_username or "",
        password=password.get_secret_value() if password is not None else "",
        ssl_context=context,
        use_ssl=encrypted,
    )


def bus_settings(settings: Settings, *, client_id: str, group: str = "") -> BusSettings:
    """The bus's settings for one client of this process; what is not a process's to say keeps the bus's default."""
    return BusSettings(
        bootstrap_servers=settings.bootstrap_servers,
        client_id=client_id,
        group=group,
        security=security_of(settings),
        publish_timeout_s=settings.publish_timeout_s,
        session_timeout_ms=round(settings.kafka_session_timeout_s * 1000),
        accept_start_position=settings.accept_start_position,
    )
