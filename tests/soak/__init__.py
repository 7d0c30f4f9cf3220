"""The soak: a whole hub of real processes under random faults for minutes, judged by what Halo holds in the end.

tenants     who takes part, and what is odd about each
histories   the events that will be published, from a seed; pure
publisher   publishes them until each is acknowledged
nemesis     which fault begins when, from a seed; pure
faults      what each fault does
world       the processes, and the supervisor that starts them again
expected    what Halo must hold, from the events alone; pure
checker     compares that with the sandbox's state and request log; pure
report      the page
"""
