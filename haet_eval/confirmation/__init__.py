"""The confirmation before an award is paid: checks the provisional podium, and replaces entries that fail.

`podium` finds the next entries, `checks` lists the checks of every entry, `runs` makes the evaluations that
some checks need over the batch executor, `notebook` keeps the findings, and `settle` continues until the
podium is full.
"""
