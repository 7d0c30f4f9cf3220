"""What the hub costs, measured on real processes beside its baselines. `docs/benchmarks.md` says how to read it."""
