"""A stand-in for a HaloPSA tenant over real HTTP: a place to try rules and producers first.

It keeps to what is known of Halo's REST API: array POSTs, silent duplicates, partial updates, list wrappers,
empty error bodies, a rolling-window budget. It never de-duplicates and imports nothing else of this
repository. `docs/sandbox.md` says how to start it, load a fixture, make it misbehave and read its log.
"""
