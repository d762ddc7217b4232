"""Energy in joules: counters of the machine, read on the host while a submission runs."""
