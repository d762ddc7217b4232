"""Runs the calls that the meter passes on, on real tensors."""

import ctypes
import json
import resource
import socket
import struct
from collections.abc import Callable
from typing import Any, Final

import torch

from haet_eval.operators.checking.call import MAX_ELEMENTS
from haet_eval.operators.signature import TensorMeta
from haet_eval.remote import wire
from haet_eval.remote.executor.cut import selected, sliced
from haet_eval.remote.executor.determinism import make_reproducible
from haet_eval.remote.executor.expectation import Expectation, places
from haet_eval.remote.executor.failure import FailedCall, explained, late, mismatch, without_values
from haet_eval.remote.executor.kernel import RunCall, compile_kernel, overload
from haet_eval.remote.executor.labels import labels_of
from haet_eval.remote.executor.model import export_weights, keep_model
from haet_eval.remote.executor.noise import Perturbation, fitted
from haet_eval.remote.executor.outcome import (
    Mismatch,
    TensorPlace,
    describe,
    described,
    new_tensors,
    place_of,
    returned_values,
    tidied,
    written_positions,
)
from haet_eval.remote.executor.recalled import recalled
from haet_eval.remote.executor.state import ExecutorState, Restored
from haet_eval.remote.frames import FrameReader
from haet_eval.remote.handles import size_bytes
from haet_eval.remote.inventory import inventory
from haet_eval.remote.messages import (
    Argmax,
    Drop,
    Fit,
    Load,
    Mark,
    MemoryTold,
    PlaceTensors,
    Recall,
    Restore,
    Seal,
    Start,
    TakeInventory,
    TakeState,
    TellMemory,
    to_executor,
)
from haet_eval.remote.wire import AnswerStatus, Channel, Code

_OF_CHECKPOINTS: Final = (TakeState, Restore, PlaceTensors, Recall)


class SettledCall:
    """A settled call: the layout of its record, its kernel, and its expected effect on the tensors."""

    __slots__ = ("definition", "look", "operator", "run", "settle", "tensors", "unpack", "width")

    def __init__(self, definition: wire.Definition, run: RunCall) -> None:
        layout = wire.call_layout(definition.tensors, len(definition.floats))
        self.definition = definition
        self.operator = overload(definition.operator)
        self.run = run
        self.tensors = 2 + definition.tensors
        self.unpack = layout.unpack_from
        self.width = layout.size

    @property
    def name(self) -> str:
        return self.definition.operator

    def expect(self, expectation: Expectation) -> None:
        self.look = expectation.look
        self.settle = expectation.settle


class Executor:
    """Serves one run over a connected socket, until the socket is closed."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._frames = FrameReader(sock)
        self._tensors: dict[int, torch.Tensor] = {}
        self._next = 1
        self._templates: list[SettledCall] = []
        self._generators: dict[int, torch.Generator] = {}
        self._states: list[torch.Tensor] = []
        self._device = torch.device("cpu")
        self._legacy = False
        self._nan_is_greatest = False
        self._failure: FailedCall | None = None
        self._noise: Perturbation | None = None
        self._fit: Fit | None = None
        self._restored: Restored | None = None

    def serve(self) -> None:
        """Work until the other side is gone."""
        try:
            while True:
                channel, payload = self._frames.receive()
                if channel == Channel.HOST:
                    self._command(payload)
                # Blocks that come here belong to a command that has failed.
                elif channel == Channel.STREAM:
                    self._stream(payload)
        except ConnectionError:
            return

    # Transport.

    def _answer(self, payload: bytes, status: AnswerStatus = AnswerStatus.OK) -> None:
        self._socket.sendall(wire.frame(Channel.STREAM, bytes([status]) + payload))

    # Commands of the host.

    def _command(self, payload: bytes) -> None:
        message = to_executor(payload)
        if isinstance(message, _OF_CHECKPOINTS):
            self._checkpoint(message)
        else:
            self._obey(message)

    def _obey(
        self, message: Start | Load | Seal | TakeInventory | Mark | TellMemory | Argmax | Fit | Drop
    ) -> None:
        match message:
            case Start() as start:
                self._start(start)
            case Load() as load:
                self._load(load)
            case Seal() as seal:
                self._seal(seal)
            case TakeInventory() | Mark() as asked:
                self._say_how_far(asked)
            case TellMemory():
                self._answer(MemoryTold(peak_memory_bytes=self._peak_memory_bytes()).encode())
            case Argmax() as argmax:
                self._argmax(argmax.handle)
            case Fit() as fit:
                self._fit = fit
            case Drop() as drop:
                for number in drop.handles:
                    self._tensors.pop(number, None)

    def _start(self, start: Start) -> None:
        if start.device == "cuda" and not torch.cuda.is_available():
            self._answer(b"it sees no CUDA device", AnswerStatus.FATAL)
            return
        # The host sets the number: kernels that add in parallel give other bits with another number of
        # threads, and a replay must give the same.
        torch.set_num_threads(start.threads)
        make_reproducible()
        self._device = torch.device(start.device)
        self._legacy = start.trace_version < wire.TRACE_VERSION
        self._nan_is_greatest = start.nan_is_greatest
        if start.noise:
            self._noise = Perturbation(start.noise, self._device)
        self._answer(self._description())

    def _description(self) -> bytes:
        accelerator = torch.cuda.get_device_name(self._device) if self._device.type == "cuda" else None
        return json.dumps({"torch": torch.__version__, "accelerator": accelerator}).encode()

    def _load(self, load: Load) -> None:
        dtype = getattr(torch, load.dtype)
        tensor = torch.empty(load.shape, dtype=dtype)
        # As bytes: the blocks go straight into the tensor, whatever its dtype is.
        raw = tensor.reshape(-1).view(torch.uint8).numpy().data if tensor.numel() else memoryview(b"")
        place = 0
        while place < len(raw):
            _, block = self._frames.receive()
            raw[place : place + len(block)] = block
            place += len(block)
        meta = TensorMeta(load.shape, wire.contiguous_stride(load.shape), 0, load.dtype)
        self._put_plain("a data tensor", tensor.to(self._device), meta)

    def _put_upload(self, meta: TensorMeta, raw: bytes) -> None:
        self._put_plain("an upload", _from_bytes(meta, raw).to(self._device), meta)

    def _put_plain(self, name: str, tensor: torch.Tensor, meta: TensorMeta) -> None:
        """Keep a tensor that came over the wire: contiguous, in memory of exactly its size.

        The meter has the same tensor in its books, so another layout is a mismatch.
        """
        place = place_of(tensor)
        # The first failure stands: the later ones may only follow from it.
        if self._failure is None and (place.meta, place.storage_bytes) != (meta, size_bytes(meta, 0)):
            self._failure = mismatch(name, Mismatch(f"it is {described(place.meta)}"))
        # Kept in any case, so that the numbers of later tensors are those of the meter.
        self._put(tensor)

    def _cut(self, name: str, cut: Callable[..., torch.Tensor], number: int, *numbers: int) -> None:
        self._attempt(name, lambda: self._put(cut(self._tensors[number], *numbers)))

    def _attempt(self, name: str, action: Callable[[], object]) -> None:
        """Run an action that the submission asks for. If it fails, the submission has failed.

        The stream has no place for an answer, so the failure is kept until the next question. All actions
        until then are skipped: they may rest on the result that is missing.
        """
        if self._failure is None:
            try:
                action()
            except Exception as error:
                self._failure = late(name, error)

    def _put(self, tensor: torch.Tensor) -> None:
        self._tensors[self._next] = tensor
        self._next += 1

    def _seal(self, seal: Seal) -> None:
        weights: list[bytes] = []
        self._attempt("The returned model", lambda: weights.append(self._keep(seal)))
        if not self._has_failed():
            self._send_weights(weights[0])

    def _has_failed(self) -> bool:
        """Whether a call has failed before; then that is the answer."""
        if self._failure:
            self._answer(self._failure.text.encode(), self._failure.status)
        return self._failure is not None

    def _keep(self, seal: Seal) -> bytes:
        if self._noise:
            self._noise.active = False  # the noise tests the training; the trained model predicts as it is
        # Copies, so that nothing else of the training's memory outlives it.
        self._tensors = keep_model(self._tensors, seal.tensors)
        return export_weights(self._tensors, seal.tensors)

    def _send_weights(self, weights: bytes) -> None:
        facts = {"weights_bytes": len(weights), "peak_memory_bytes": self._peak_memory_bytes()}
        self._answer(json.dumps(facts).encode())
        for block in wire.blocks(weights):
            self._socket.sendall(wire.frame(Channel.BLOCK, block))

    def _say_how_far(self, asked: TakeInventory | Mark) -> None:
        if not self._has_failed():
            self._answer(self._inventory() if isinstance(asked, TakeInventory) else b"")

    def _inventory(self) -> bytes:
        # In the order of the meter's books: the digest depends on it.
        found = ((number, place_of(tensor)) for number, tensor in sorted(self._tensors.items()))
        return inventory(
            (number, place.layout, place.meta.offset, place.storage, place.storage_bytes)
            for number, place in found
        )

    def _peak_memory_bytes(self) -> int:
        if self._device.type == "cuda":
            return int(torch.cuda.max_memory_allocated(self._device))
        # Linux states it in KiB.
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

    def _argmax(self, number: int) -> None:
        labels: list[bytes] = []
        self._attempt(
            "The prediction",
            lambda: labels.append(self._labels(number)),
        )
        if not self._has_failed():
            self._answer(labels[0])

    def _labels(self, number: int) -> bytes:
        labels = labels_of(self._tensors[number], nan_is_greatest=self._nan_is_greatest)
        return bytes(labels.cpu().numpy().tobytes())

    # Checkpoints.

    def _checkpoint(self, message: TakeState | Restore | PlaceTensors | Recall) -> None:
        match message:
            case TakeState():
                self._take_state(message)
            case Restore():
                self._attempt("A stored state", lambda: self._restore(message))
            case PlaceTensors():
                self._attempt("A stored state", lambda: self._place(message))
            case Recall():
                self._recall(message)

    def _take_state(self, asked: TakeState) -> None:
        # The state after a failed call lacks tensors. A checkpoint of it would be worth nothing.
        if self._has_failed():
            return
        self._generator(wire.DEFAULT_GENERATOR)  # kernels draw from it also if no record has named it
        state = ExecutorState(asked, self._tensors, self._generators, self._states)
        self._answer(state.facts(self._peak_memory_bytes()).encode())
        for block in state.blocks():
            self._socket.sendall(wire.FRAME.pack(len(block), Channel.BLOCK))
            self._socket.sendall(block)

    def _restore(self, restore: Restore) -> None:
        # It holds the storages of the training data, which the table is about to forget.
        restored = Restored(restore, self._tensors, self._device)
        for part in restored.parts():
            self._fill_part(part)
        for number, state in restored.generators.items():
            self._generator(number).set_state(state)
        self._states += restored.states
        self._tensors.clear()
        self._next = restore.next
        self._restored = restored

    def _fill_part(self, part: torch.Tensor) -> None:
        place = 0
        while place < part.numel():
            _, block = self._frames.receive()
            part[place : place + len(block)].copy_(torch.frombuffer(bytearray(block), dtype=torch.uint8))
            place += len(block)

    def _place(self, place: PlaceTensors) -> None:
        assert self._restored is not None
        for placed in place.tensors:
            # Each tensor keeps its number: the records that follow name it by that.
            self._tensors[placed[0]] = self._restored.tensor(placed)
        if place.last:
            self._restored = None  # a tensor that is freed later frees its memory

    def _recall(self, recall: Recall) -> None:
        _, block = self._frames.receive()
        self._attempt("A stored call", lambda: self._templates.append(self._recalled(recall, block)))

    def _recalled(self, recall: Recall, block: bytes) -> SettledCall:
        definition = wire.decode_definition(block[: recall.definition_bytes])
        outcome = wire.decode_outcome(block[recall.definition_bytes :], len(recall.inputs))
        before = [
            TensorMeta(shape, stride, offset, dtype, bits)
            for dtype, shape, stride, offset, bits in recall.inputs
        ]
        template = SettledCall(definition, compile_kernel(definition, self._device, self._generator))
        # Its first call is not made again: the stored outcome says what every later call must do.
        template.expect(recalled(definition, before, outcome, self._device))
        return template

    # The stream.

    def _stream(self, payload: bytes) -> None:
        # This loop runs once for each operator of a training, so it does without calls and attribute lookups
        # that the usual record does not need.
        position = 0
        templates = self._templates
        tensors = self._tensors
        while position < len(payload):
            if payload[position] != Code.CALL:
                position = self._other(payload, position)
                continue
            (number,) = _NUMBER.unpack_from(payload, position + 1)
            template = templates[number]
            values = template.unpack(payload, position)
            position += template.width
            if self._failure is None:
                try:
                    inputs = [tensors[handle] for handle in values[2 : template.tensors]]
                    before = template.look(inputs)
                    result = template.run(inputs, values[template.tensors :])
                    for tensor in template.settle(result, inputs, before):
                        tensors[self._next] = tensor
                        self._next += 1
                except Exception as error:
                    # No answer is due here. The new tensors are missing, so every later call is skipped until
                    # the host asks.
                    self._failure = late(template.name, error)

    def _other(self, payload: bytes, position: int) -> int:
        match payload[position]:
            case Code.SELECT:
                _, number, dimension, index = wire.SELECT.unpack_from(payload, position)
                if self._failure is None:
                    self._cut("aten.select.int", selected, number, dimension, index)
                return position + wire.SELECT.size
            case Code.SLICE:
                _, number, dimension, start, end, step = wire.SLICE.unpack_from(payload, position)
                if self._failure is None:
                    self._cut("aten.slice.Tensor", sliced, number, dimension, start, end, step)
                return position + wire.SLICE.size
            case Code.FREE:
                _, count = wire.COUNTED.unpack_from(payload, position)
                # Frees go on after a failure: the tensors of a run that is about to end need not stay. Some
                # may never have been made.
                for handle in struct.unpack_from(f"<{count}Q", payload, position + wire.COUNTED.size):
                    self._tensors.pop(handle, None)
                return int(position + wire.COUNTED.size + 8 * count)
            case Code.UPLOAD:
                meta, raw, end = wire.decode_upload(payload, position)
                self._attempt("An upload", lambda: self._put_upload(meta, raw))
                return end
            # Phases are for the count, which is the meter's.
            case Code.PHASE:
                return position + wire.PHASE.size
            case Code.SEED | Code.SAVE_STATE | Code.LOAD_STATE as code:
                return self._random(Code(code), payload, position)
            case _:
                self._question(payload[position:])
                return len(payload)

    def _random(self, code: Code, payload: bytes, position: int) -> int:
        layout = wire.SEED if code is Code.SEED else wire.STATE
        _, number, value = layout.unpack_from(payload, position)
        self._attempt("A generator", lambda: self._set_random(code, number, value))
        return position + layout.size

    def _set_random(self, code: Code, number: int, value: int) -> None:
        generator = self._generator(number)
        if code is Code.SEED:
            generator.manual_seed(value)
        elif code is Code.SAVE_STATE:
            self._states.append(generator.get_state())
        else:
            generator.set_state(self._states[value])

    def _generator(self, number: int) -> torch.Generator:
        if number not in self._generators:
            self._generators[number] = (
                self._default_generator()
                if number == wire.DEFAULT_GENERATOR
                # Generators exist as soon as a record names them: a client's generator has no record of its
                # own.
                else torch.Generator(device=self._device)
            )
        return self._generators[number]

    def _default_generator(self) -> torch.Generator:
        if self._device.type == "cuda":
            # The tuple of default generators is empty before.
            torch.cuda.init()  # type: ignore[no-untyped-call]
            return torch.cuda.default_generators[self._device.index or 0]
        return torch.default_generator

    # Questions.

    def _question(self, record: bytes) -> None:
        try:
            if self._failure:
                raise self._failure
            if record[0] == Code.READ:
                self._answer(self._read(wire.READ.unpack(record)[1]))
            elif record[0] == Code.DEFINE:
                self._answer(self._define(record))
            else:
                self._answer(self._dynamic(record))
        except FailedCall as failure:
            # A refused call has changed nothing, so the submission may catch the error and go on.
            if failure.status is not AnswerStatus.REFUSED:
                self._failure = failure
            self._answer(failure.text.encode(), failure.status)

    def _read(self, number: int) -> bytes:
        try:
            return _to_bytes(self._tensors[number])
        except Exception as error:
            raise late("Reading a tensor back", error) from None

    def _define(self, record: bytes) -> bytes:
        encoded = wire.definition_in(record)
        definition = wire.decode_definition(encoded)
        run = compile_kernel(definition, self._device, self._generator)
        if self._noise:
            run = self._noise.around(len(self._templates), definition, run)
        template = SettledCall(definition, run)
        # The first call lacks the head of a CALL record, for which zeros stand in.
        padded = bytes(wire.COUNTED.size) + record[wire.COUNTED.size + len(encoded) :]
        outcome = self._first(template, template.unpack(padded), settled=True)
        # Only when the call has succeeded: the meter numbers the templates in the same way.
        self._templates.append(template)
        return outcome

    def _dynamic(self, record: bytes) -> bytes:
        template = self._templates[wire.COUNTED.unpack_from(record)[1]]
        return self._first(template, template.unpack(record), settled=False)

    def _first(self, template: SettledCall, values: tuple[Any, ...], *, settled: bool) -> bytes:
        """Make a call whose outcome the meter waits for. If it settles a template, expect the same again.

        The outcome goes into the meter's books, so nothing may be left out of it: a result that the wire
        cannot describe ends the run.
        """
        inputs = [self._tensors[handle] for handle in values[2 : template.tensors]]
        floats = values[template.tensors :]
        # In full, unlike the look at later calls: the outcome must state every change of an input.
        before = places(inputs)
        try:
            result = template.run(inputs, floats)
        except Exception as error:
            raise self._explain(template, inputs, floats, before, error) from None
        try:
            # Before the outcome is described: the meter must hear of the tensors that later calls will get.
            result = result if self._legacy else tidied(result, inputs)
            result, self._fit = fitted(result, inputs, self._fit), None
            returned = returned_values(template.operator, result)
            written = written_positions(template.definition, template.operator)
            found = describe(template.operator, returned, inputs, before, written)
            _check_sizes(found)
            outcome = wire.encode_outcome(found)
            if settled:
                template.expect(
                    Expectation(template.operator, result, inputs, before, written, legacy=self._legacy)
                )
        except Mismatch as error:
            raise mismatch(template.name, error) from None
        except wire.WireError as error:  # the meter would refuse the answer: a fault of the call, not of ours
            raise FailedCall(
                AnswerStatus.FATAL, f"{template.name} gives {error}: handles do not carry that"
            ) from None
        except Exception as error:
            text = f"{template.name} returned what cannot be described: {without_values(error)}"
            raise FailedCall(AnswerStatus.FATAL, text) from None
        for tensor in new_tensors(result, inputs):
            self._put(tensor)
        return outcome

    def _explain(
        self,
        template: SettledCall,
        inputs: list[torch.Tensor],
        floats: tuple[float, ...],
        before: list[TensorPlace],
        error: Exception,
    ) -> FailedCall:
        failure = explained(template.definition, template.operator, inputs, floats, error)
        # The meter takes a refusal for a call that did nothing, so that must be true.
        if failure.status is AnswerStatus.REFUSED and places(inputs) != before:
            return mismatch(template.name, Mismatch("it failed and left an input changed"))
        return failure


def _check_sizes(outcome: wire.Outcome) -> None:
    """Raises WireError for a view of more elements than the meter takes."""
    for value in wire.flatten(outcome.outputs):
        if isinstance(value, wire.Fresh) and value.meta.numel > MAX_ELEMENTS:
            raise wire.WireError(f"a tensor of more than {MAX_ELEMENTS:,} elements")


_NUMBER: Final = struct.Struct("<I")


def _to_bytes(tensor: torch.Tensor) -> bytes:
    if not tensor.numel():
        return b""
    # The bytes in memory are those of the values only after the lazy bits are resolved.
    plain = tensor.detach().cpu().resolve_conj().resolve_neg().contiguous()
    # Not by way of NumPy, which has no bfloat16.
    return ctypes.string_at(plain.data_ptr(), plain.nbytes)


def _from_bytes(meta: TensorMeta, raw: bytes) -> torch.Tensor:
    dtype = getattr(torch, meta.dtype)
    if not raw:
        return torch.empty(meta.shape, dtype=dtype)
    # The bytearray is the writable memory that `frombuffer` asks for; the clone has memory of PyTorch's own,
    # of exactly its size.
    return torch.frombuffer(bytearray(raw), dtype=dtype).reshape(meta.shape).clone()
