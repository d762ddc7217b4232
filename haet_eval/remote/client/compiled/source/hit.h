// Does a call that is known: writes its record, and makes what it returns. dispatch.py's _again is the model.
#pragma once

#include "stream.h"
#include "tensors.h"

namespace haet {

class Hit {
 public:
  Hit(const Operator& op, const Known& known, const Call& call) : op_(op), known_(known), call_(call) {}

  // Whether the call can be done here, before anything has happened.
  // A description names positions among its call's tensors, so the numbers of tensors must agree.
  bool possible() const {
    if (known_.tensors != call_.tensors.size() || known_.reals != call_.reals.size()) return false;
    return std::all_of(known_.bases.begin(), known_.bases.end(), [&](size_t base) {
      return marks_agree(call_.tensors[base]);
    });
  }

  void run(const c10::OperatorHandle& handle, torch::jit::Stack* stack) {
    tell_phase();
    write_call(known_, call_);
    next_ = client->next.number(client->link);
    client->next.set_number(client->link, next_ + known_.made);
    // Before the results are made: a new tensor is given the mirror that this finds.
    update_mirrors(handle, stack->data() + stack->size() - op_.count());
    c10::SmallVector<c10::IValue, 4> results;
    // The arguments stay on the stack until then, because `call_` only borrows their objects.
    for (const Result& result : known_.results) results.push_back(value_of(result));
    flush_if_due();
    torch::jit::drop(*stack, op_.count());
    for (auto& result : results) stack->push_back(std::move(result));
  }

 private:
  void update_mirrors(const c10::OperatorHandle& handle, const c10::IValue* arguments) {
    if (!known_.mirror) {
      for (size_t position : known_.forgets) forget_mirror(call_.tensors[position]);
    } else if (std::all_of(call_.tensors.begin(), call_.tensors.end(), has_mirror)) {
      run_on_mirrors(handle, arguments);
    // The executor writes to them all the same, so a mirror that is left would be wrong.
    } else if (op_.schema->is_mutable()) {
      for (PyObject* tensor : call_.tensors) forget_mirror(tensor);
    }
  }

  void run_on_mirrors(const c10::OperatorHandle& handle, const c10::IValue* arguments) {
    torch::jit::Stack inner;
    for (size_t i = 0; i < op_.count(); i++) inner.push_back(mirrored(arguments[i]));
    {
      // Mirrors are plain tensors, and their calls must not come back here or reach a mode.
      c10::impl::ExcludeDispatchKeyGuard guard(keys_of_modes());
      handle.callBoxed(&inner);
    }
    if (!op_.schema->is_mutable() && inner.size() == 1 && inner[0].isTensor()) mirror_ = inner[0].toTensor();
  }

  static at::Tensor mirror_of(const at::Tensor& tensor) {
    PyObject* object = tensor.unsafeGetTensorImpl()->pyobj_slot()->load_pyobj();
    const bool remote = object && PyType_IsSubtype(Py_TYPE(object), client->tensor_type);
    return remote ? THPVariable_Unpack(client->mirror.get(object)) : tensor;
  }

  static c10::IValue mirrored(const c10::IValue& argument) {
    if (argument.isTensor() && argument.toTensor().defined()) return mirror_of(argument.toTensor());
    if (argument.isTensorList()) {
      c10::List<at::Tensor> tensors;
      for (const at::Tensor& tensor : argument.toTensorVector()) tensors.push_back(mirror_of(tensor));
      return tensors;
    }
    if (argument.isOptionalTensorList()) {
      c10::List<std::optional<at::Tensor>> tensors;
      for (const auto& tensor : argument.toOptionalTensorVector()) {
        tensors.push_back(tensor ? std::optional(mirror_of(*tensor)) : std::nullopt);
      }
      return tensors;
    }
    return argument;
  }

  c10::IValue value_of(const Result& result) {
    switch (result.kind) {
      case Result::NEW:
        return new_tensor(result.made);
      case Result::INPUT:
        return THPVariable_Unpack(call_.tensors[result.input]);
      case Result::LIST: {
        c10::List<at::Tensor> items;
        for (const Result& item : result.items) items.push_back(value_of(item).toTensor());
        return items;
      }
      default:
        return at::Tensor();
    }
  }

  at::Tensor new_tensor(const NewTensor& made) {
    int64_t offset = made.offset;
    if (made.alias >= 0) offset += THPVariable_Unpack(call_.tensors[made.alias]).storage_offset();
    PyObject* handle = new_handle(next_++);
    if (!mirror_.defined()) return make_tensor(made, offset, handle, Py_None);
    PyObject* mirror = THPVariable_Wrap(mirror_);
    at::Tensor tensor = make_tensor(made, offset, handle, mirror);
    Py_DECREF(mirror);
    return tensor;
  }

  const Operator& op_;
  const Known& known_;
  const Call& call_;
  uint64_t next_ = 0;
  at::Tensor mirror_;
};

}  // namespace haet
