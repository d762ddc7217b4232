"""Activations and their derivatives at one element, written out."""

from tests.oracle.counted import Counted, Literal, choose, erf, exp, log, maximum, minimum, tanh


def relu(x: Counted) -> Counted:
    return maximum(x, 0)


def sigmoid(x: Counted) -> Counted:
    return 1 / (1 + exp(-x))


def silu(x: Counted) -> Counted:
    return x * sigmoid(x)


def gelu(x: Counted) -> Counted:
    return 0.5 * x * (1 + erf(x / 1.414))


def gelu_tanh(x: Counted) -> Counted:
    return 0.5 * x * (1 + tanh(0.798 * (x + 0.0447 * (x * x * x))))


def softplus(x: Counted, beta: Literal = 1) -> Counted:
    return log(1 + exp(beta * x)) * (1 / beta)


def mish(x: Counted) -> Counted:
    return x * tanh(softplus(x))


def hardsigmoid(x: Counted) -> Counted:
    return minimum(maximum(x + 3, 0), 6) / 6


def hardswish(x: Counted) -> Counted:
    return x * hardsigmoid(x)


def hardtanh(x: Counted) -> Counted:
    return minimum(maximum(x, -1), 1)


def leaky_relu(x: Counted) -> Counted:
    return choose(x, 0, x, 0.01 * x)


def prelu(x: Counted, slope: Counted) -> Counted:
    return choose(x, 0, x, slope * x)


def elu(x: Counted, alpha: Literal = 1, scale: Literal = 1, input_scale: Literal = 1) -> Counted:
    return choose(x, 0, x, alpha * (exp(input_scale * x) - 1)) * scale


def celu(x: Counted, alpha: Literal = 1) -> Counted:
    below = alpha * (exp(x if alpha == 1 else x / alpha) - 1)
    return choose(x, 0, x, below)


def log_sigmoid(x: Counted) -> Counted:
    return -log(1 + exp(-x))


def hardshrink(x: Counted) -> Counted:
    return choose(x, 0.5, x, choose(x, -0.5, x, x))


def softshrink(x: Counted) -> Counted:
    return choose(x, 0.5, x - 0.5, choose(x, -0.5, x, x + 0.5))


def glu(a: Counted, b: Counted) -> Counted:
    return a * sigmoid(b)


def relu_backward(g: Counted, x: Counted) -> Counted:
    return choose(x, 0, g, 0)


def sigmoid_backward(g: Counted, s: Counted) -> Counted:
    return g * s * (1 - s)


def tanh_backward(g: Counted, t: Counted) -> Counted:
    return g * (1 - t * t)


def silu_backward(g: Counted, x: Counted) -> Counted:
    s = sigmoid(x)
    return g * s * (1 + x * (1 - s))


def gelu_backward(g: Counted, x: Counted) -> Counted:
    cumulative = 0.5 * (1 + erf(x / 1.414))
    density = 0.399 * exp(-0.5 * (x * x))
    return g * (cumulative + x * density)


def gelu_tanh_backward(g: Counted, x: Counted) -> Counted:
    square = x * x
    t = tanh(0.798 * (x + 0.0447 * (square * x)))
    inner = 0.798 * (1 + 0.134 * square)
    return g * (0.5 * (1 + t) + 0.5 * x * (1 - t * t) * inner)


def softplus_backward(g: Counted, x: Counted, beta: Literal = 1) -> Counted:
    return g / (1 + exp(-x if beta == 1 else x * -beta))


def mish_backward(g: Counted, x: Counted) -> Counted:
    e = exp(x)
    one_more = 1 + e
    t = tanh(log(one_more))
    return g * (t + x * (e / one_more) * (1 - t * t))


def hardsigmoid_backward(g: Counted, x: Counted) -> Counted:
    return choose(x, -3, choose(x, 3, x, g / 6), 0)


def hardswish_backward(g: Counted, x: Counted) -> Counted:
    return choose(x, -3, choose(x, 3, g, g * (x / 3 + 0.5)), 0)


def hardtanh_backward(g: Counted, x: Counted) -> Counted:
    return choose(x, -1, choose(x, 1, x, g), 0)


def leaky_relu_backward(g: Counted, x: Counted) -> Counted:
    return choose(x, 0, g, 0.01 * g)


def log_sigmoid_backward(g: Counted, x: Counted) -> Counted:
    return g / (1 + exp(x))


def elu_backward(
    g: Counted, x: Counted, alpha: Literal = 1, scale: Literal = 1, input_scale: Literal = 1
) -> Counted:
    below = g * (exp(input_scale * x) * (alpha * scale * input_scale))
    return choose(x, 0, g * scale, below)


def elu_backward_of_result(g: Counted, y: Counted, alpha: Literal = 1, scale: Literal = 1) -> Counted:
    return choose(y, 0, g * scale, g * (y + alpha * scale))


def glu_backward(g: Counted, a: Counted, b: Counted) -> tuple[Counted, Counted]:
    s = sigmoid(b)
    of_a = g * s
    return of_a, of_a * a * (1 - s)


def prelu_backward(g: Counted, x: Counted, slope: Counted) -> tuple[Counted, Counted]:
    return choose(x, 0, g, g * slope), choose(x, 0, g, g * x)


def logit_backward(g: Counted, x: Counted) -> Counted:
    return g / (x * (1 - x))
