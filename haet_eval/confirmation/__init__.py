"""What is done before an award is paid: the provisional podium is checked, and what falls is replaced.

`podium` says who comes next, `checks` lists what every entry has to pass, `runs` makes the evaluations that
some checks need over the batch executor, `notebook` remembers what was found, and `settle` goes on until the
podium is full.
"""
