"""Real servers and small helpers for tests and benchmarks; nothing here is imported by the product."""
