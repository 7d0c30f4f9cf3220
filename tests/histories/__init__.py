"""Property test: tenant rule sets and the lives of quotes are drawn, go through the hub, and Halo is looked at.

`draw` makes cases from a seed, `hub_in_process` carries them out with the mapper's and the writer's own code against
the sandbox, `expected` says what a person would find in Halo afterwards, and `checker` compares.
"""
