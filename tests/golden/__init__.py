"""Recorded histories: events in, commands out, Halo requests out. See CONTRIBUTING.md."""
