"""The documentation is in step with the code, and what it tells to do does what it says."""
