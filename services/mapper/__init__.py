"""From source events to commands: folds each entity's events into a record and maps the whole by the tenant's rules."""
