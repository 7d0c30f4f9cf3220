"""What the services share: settings, bus, store, tenants and rules, telemetry."""
