"""An async client for HaloPSA: it sends, classifies and explains; it never repeats a write on its own."""

from halo.budget import Budget
from halo.client import HaloClient, Login, Probe
from halo.connection import Connection, derive_servers, resolve_servers
from halo.errors import (
    AuthError,
    AuthRefused,
    AuthThrottled,
    AuthUnreachable,
    ConfigurationError,
    GateClosed,
    HaloError,
    InvalidClient,
    InvalidScope,
    ReadFailed,
)
from halo.messages import error_text, known_fix
from halo.outcomes import Outcome
from halo.paging import record_count, rows_of
from halo.redact import redact_mapping, redact_query, redact_text
from halo.reply import Reply, RequestLine
from halo.resources import RESOURCES, Resource
from halo.secret import Secret
from halo.transport import Gate
from halo.wire import as_id

__all__ = [
    "RESOURCES",
    "AuthError",
    "AuthRefused",
    "AuthThrottled",
    "AuthUnreachable",
    "Budget",
    "ConfigurationError",
    "Connection",
    "Gate",
    "GateClosed",
    "HaloClient",
    "HaloError",
    "InvalidClient",
    "InvalidScope",
    "Login",
    "Outcome",
    "Probe",
    "ReadFailed",
    "Reply",
    "RequestLine",
    "Resource",
    "Secret",
    "as_id",
    "derive_servers",
    "error_text",
    "known_fix",
    "record_count",
    "redact_mapping",
    "redact_query",
    "redact_text",
    "resolve_servers",
    "rows_of",
]
