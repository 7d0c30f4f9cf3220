"""Commands in, idempotent writes to Halo, outcomes out. The only service that writes to Halo."""
