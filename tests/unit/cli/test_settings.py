"""The process's settings: read from HUB_* variables, whole, and without secrets in what is shown."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from hub.settings import Settings, mistyped

SECRETS = {
    "HUB_STORE_URL": "postgresql+asyncpg://hub:s3cret-pw@db:5432/hub?sslpassword=s3cret-pw",
    "HUB_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
    "HUB_KAFKA_SASL_USERNAME": "hub",
    "HUB_KAFKA_SASL_PASSWORD": "s3cret-pw",
}


def test_no_secret_is_in_the_summary_or_the_repr(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    settings = Settings()
    assert settings.store_url == SECRETS["HUB_STORE_URL"]
    shown = json.dumps(settings.summary()) + repr(settings) + str(settings)
    assert "s3cret-pw" not in shown
    assert settings.summary()["kafka_sasl_password_configured"] is True
    assert settings.summary()["store"] == "postgresql+asyncpg://db:5432/hub"


def test_sasl_without_credentials_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_KAFKA_SECURITY_PROTOCOL", "SASL_SSL")
    with pytest.raises(ValidationError, match="HUB_KAFKA_SASL_USERNAME"):
        Settings()


def test_a_lease_must_outlive_a_request_or_nothing_could_be_sent() -> None:
    with pytest.raises(ValidationError, match="HUB_LEASE_TTL_S"):
        Settings(lease_ttl_s=5, request_timeout_s=5)


def test_relative_places_are_fixed_when_the_process_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_TENANTS_DIR", "some/tenants")
    assert Settings().tenants_dir.is_absolute()


def test_a_variable_that_looks_like_a_setting_and_is_none_is_told_with_the_one_that_was_meant() -> None:
    variables = (
        "HUB_BOOTSTRAP_SERVER",
        "HUB_BOOTSTRAP_SERVERS",
        "HUB_INGEST_SERVICE_HOST",
        "HUB_TOKEN",
        "HOME",
    )

    assert mistyped(variables) == {"HUB_BOOTSTRAP_SERVER": "HUB_BOOTSTRAP_SERVERS"}


def test_what_is_read_besides_the_settings_is_no_mistyped_setting() -> None:
    assert not mistyped(("HUB_LOG", "HUB_STOP_AT", "HUB_STOP_MARK", "HUB_STOP_SIGNAL", "HUB_TOKEN"))
