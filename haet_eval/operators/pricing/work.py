"""Operations of an algorithm by their kind, which decides what they cost on complex numbers."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Work:
    """How many products, sums, quotients and other operations (roots, absolute values, comparisons)."""

    products: int = 0
    sums: int = 0
    quotients: int = 0
    others: int = 0

    def __add__(self, more: "Work") -> "Work":
        return Work(
            self.products + more.products,
            self.sums + more.sums,
            self.quotients + more.quotients,
            self.others + more.others,
        )

    def __mul__(self, times: int) -> "Work":
        return Work(self.products * times, self.sums * times, self.quotients * times, self.others * times)

    def operations(self, *, of_complex: bool = False) -> int:
        """One each; on complex numbers 6, 2, 11 and 4 real ones."""
        if of_complex:
            return 6 * self.products + 2 * self.sums + 11 * self.quotients + 4 * self.others
        return self.products + self.sums + self.quotients + self.others


def pairs(count: int) -> Work:
    """So many products, each with a sum."""
    return Work(products=count, sums=count)
