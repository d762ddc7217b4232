"""From a definition and its answer to a validated template, and to the signature that is priced."""

from collections.abc import Mapping
from typing import Final

from haet_eval.operators.checking.validation import (
    MAX_ELEMENTS,
    ElementOrigin,
    bind,
    is_dynamic,
    validate,
    written_parameters,
)
from haet_eval.operators.pricing.evaluate import price_of
from haet_eval.operators.schema import Operator, Return
from haet_eval.operators.signature import Argument, Signature
from haet_eval.remote import wire
from haet_eval.remote.handles import HeldTensor, intern_layout
from haet_eval.remote.template import (
    Template,
    arguments_of,
    generator_of,
    normalized,
    outputs_of,
    record_of,
    single_tensors,
    written_inputs,
)
from haet_eval.remote.wire import Definition, Outcome, WireError

# In prediction nothing may write to the model, and a norm in eval mode takes these as well.
_STATISTICS: Final = frozenset({"running_mean", "running_var"})


def make_template(operator: Operator, definition: Definition, inputs: list[HeldTensor]) -> Template:
    """The template of a call, if the call is allowed.

    Raises:
        Refused: the call is not allowed, with the reason.
    """
    arguments = validate_call(operator, definition, inputs)
    return Template(
        operator=operator,
        definition=definition,
        layouts=[handle.layout for handle in inputs],
        offsets=[handle.offset for handle in inputs],
        exact=operator.facts.exact,
        dynamic=is_dynamic(operator, arguments),
        guarded=operator.facts.by_origin,
        moves=operator.base == "set_",
        draws=generator_of(operator, definition),
        spills=operator.facts.draws_by_value,
        written=written_inputs(definition, parameters_written(operator, arguments)),
        record=record_of(definition),
    )


def validate_call(
    operator: Operator, definition: Definition, inputs: list[HeldTensor]
) -> dict[str, Argument]:
    """The bound arguments of a call, if the call is allowed.

    Raises:
        Refused: the call is not allowed, with the reason.
    """
    # With offsets, unlike a signature: some checks ask where a tensor lies in its storage.
    arguments = bind(operator, arguments_of(definition, [handle.meta for handle in inputs]))
    named = {name: inputs[position] for name, position in single_tensors(definition).items()}
    origins = {name: _origin(handle) for name, handle in named.items()}
    validate(operator, arguments, origins, {name: h.storage.size_bytes for name, h in named.items()})
    return arguments


def signature_of(template: Template, outcome: Outcome) -> Signature:
    """The signature of a call of `template` that had this outcome."""
    # An output that is an input has the layout that the call gave it.
    after = list(template.layouts)
    for position, meta in outcome.changed:
        after[position] = intern_layout(meta)
    arguments = bind(template.operator, arguments_of(template.definition, template.layouts))
    outputs = outputs_of(outcome, after)
    return Signature(
        template.operator.name,
        {name: normalized(value) for name, value in arguments.items()},
        tuple(normalized(value) for value in outputs),
    )


def price_told(signature: Signature) -> int | None:
    """As `price_of`, for a signature whose outputs the executor has reported: they may be anything.

    Raises:
        WireError: the outputs make no sense for this operator, so that there is no price.
    """
    try:
        return price_of(signature)
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise WireError(f"what {signature.operator} returned has no price: {error}") from None


def check_outcome(outcome: Outcome, operator: Operator) -> None:
    """Raises WireError for an outcome that this operator cannot have."""
    if len(outcome.outputs) != len(operator.returns):
        raise WireError(f"{operator.name} has returned another number of values than it does")
    for returned, output in zip(operator.returns, outcome.outputs, strict=True):
        if not _is_one(returned, output):
            raise WireError(f"{operator.name} has returned something else than a {returned.type}")
    for value in wire.flatten(outcome.outputs):
        if isinstance(value, wire.Fresh) and value.meta.numel > MAX_ELEMENTS:
            raise WireError("an output larger than any tensor may be")
    # An executor that is taken over could otherwise shrink an input, and with it the price of all later
    # calls.
    if outcome.changed and not operator.inplace_view and operator.base != "set_":
        raise WireError(f"{operator.name} has changed the shape of an argument")


def _is_one(returned: Return, output: wire.Value) -> bool:
    """Whether a returned value has the type that the schema states; a tensor may be absent."""
    if returned.is_list and isinstance(output, tuple):
        return all(not isinstance(item, tuple) for item in output)
    if returned.type == "Tensor":
        return not returned.is_list and (output is None or isinstance(output, wire.Fresh | wire.Atom))
    return not returned.is_list and isinstance(output, int | float | complex)


def parameters_written(operator: Operator, arguments: Mapping[str, Argument]) -> frozenset[str]:
    """Parameters that this call writes: with `training=False` a norm only reads its running statistics."""
    written = written_parameters(operator)
    return written - _STATISTICS if arguments.get("training") is False else written


def _origin(handle: HeldTensor) -> ElementOrigin | None:
    storage = handle.storage
    maker = storage.maker
    # Uploads and data have no maker; the outputs of a dynamic call have no signature of their template.
    if not isinstance(maker, Template) or maker.signature is None:
        return None
    # A view of what the call made, or another layout of it, is not what the call returned.
    if storage.made != (handle.layout, handle.offset):
        return None
    return ElementOrigin(maker.operator.name, storage.output, maker.signature.arguments, storage.writes == 0)
