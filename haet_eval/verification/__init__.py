"""The checks of a record: which statements hold, differ or are not checked, and one word for all of them."""
