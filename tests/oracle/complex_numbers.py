"""Complex numbers as pairs of counted real numbers."""

from dataclasses import dataclass

from tests.oracle.counted import Counted, Tally, atan2, cos, exp, log, sin, sqrt


@dataclass(frozen=True)
class Complex:
    """re + i · im."""

    re: Counted
    im: Counted

    @classmethod
    def input(cls, tally: Tally) -> "Complex":
        return cls(tally.scalar(), tally.scalar())

    def __add__(self, other: "Complex") -> "Complex":
        return Complex(self.re + other.re, self.im + other.im)

    def __mul__(self, other: "Complex") -> "Complex":
        return Complex(self.re * other.re - self.im * other.im, self.re * other.im + self.im * other.re)

    def __truediv__(self, other: "Complex") -> "Complex":
        square = other.re * other.re + other.im * other.im
        re = self.re * other.re + self.im * other.im
        im = self.im * other.re - self.re * other.im
        return Complex(re / square, im / square)

    def __neg__(self) -> "Complex":
        return Complex(-self.re, -self.im)

    def __abs__(self) -> Counted:
        return sqrt(self.re * self.re + self.im * self.im)

    def reciprocal(self) -> "Complex":
        square = self.re * self.re + self.im * self.im
        return Complex(self.re / square, -(self.im / square))

    def sign(self) -> "Complex":
        size = abs(self)
        return Complex(self.re / size, self.im / size)

    def conjugate(self) -> "Complex":
        return Complex(self.re, -self.im)

    def exp(self) -> "Complex":
        size = exp(self.re)
        return Complex(size * cos(self.im), size * sin(self.im))

    def log(self) -> "Complex":
        return Complex(log(abs(self)), atan2(self.im, self.re))

    def sqrt(self) -> "Complex":
        """√((r + x)/2) + i · sign(y) · √((r − x)/2), with r = |z|."""
        size = abs(self)
        re, im = sqrt((size + self.re) * 0.5), sqrt((size - self.re) * 0.5)
        return Complex(re, im.operation(im.value if self.im.value >= 0 else -im.value))

    def equals(self, other: "Complex") -> Counted:
        same = self.re.operation(float(self.re.value == other.re.value))
        return same.operation(same.value * float(self.im.operation(0.0).value))
