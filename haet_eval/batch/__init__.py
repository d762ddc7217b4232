"""Many evaluations over any `concurrent.futures.Executor`: planned, run in parallel, resumed after any end.

`sources` finds the submissions, `plan` finds those without a record, and `run` drives their runs over a site:
this machine (`local`, with the executor `pool`) or a dask cluster (`cluster`). `judge` makes one run.
"""
