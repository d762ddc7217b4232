"""Many evaluations over any `concurrent.futures.Executor`: planned, run in parallel, resumed after any end.

`sources` reads what was asked for, `plan` says what is left to do, `run` drives it over a site: this
machine (`local`, with the executor `pool`) or a dask cluster (`cluster`). `judge` makes one run.
"""
