# What __init__.py gives, for type checkers: it imports the names of the library when they are used.

from haet_eval.counter import OperationCounter as OperationCounter
from haet_eval.counter import Uncounted as Uncounted
from haet_eval.counting.bill import price as price
from haet_eval.tables import load_records as load_records

__version__: str
