// The key of a call. Calls with equal keys are equal to the Python client, which knows them by fewer words.
#pragma once

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/ivalue.h>
#include <c10/util/SmallVector.h>
#include <torch/csrc/autograd/python_variable.h>

#include <cstring>

#include "client.h"

namespace haet {

enum Tag : uint64_t { DEFAULT, NONE, UNDEFINED, TENSOR, INTEGER, FALSE_VALUE, TRUE_VALUE, REAL, TEXT, DEVICE, LIST };

using Words = c10::SmallVector<uint64_t, 64>;

// An operator, as far as reading its calls needs it.
struct Operator {
  explicit Operator(const c10::OperatorHandle& handle) : schema(&handle.schema()) {
    name = c10::toString(handle.operator_name());
    for (const auto& argument : schema->arguments()) {
      const auto& value = argument.default_value();
      if (value && (value->isDouble() || value->isDoubleList())) has_real_default = true;
    }
  }

  size_t count() const { return schema->arguments().size(); }

  const c10::FunctionSchema* schema;
  std::string name;
  bool has_real_default = false;  // if not, the key's words tell which arguments are the default
};

// A call, read: its key, and what its record holds.
struct Call {
  Words key;
  c10::SmallVector<PyObject*, 12> tensors;  // borrowed from the call's arguments
  c10::SmallVector<double, 6> reals;
};

class Reader {
 public:
  // `exact`: tensors of subclasses are left to Python.
  Reader(Call& call, bool exact) : call_(call), exact_(exact) {}

  // False if there is something in the call that is Python's to understand.
  bool read(const Operator& op, const c10::IValue* arguments) {
    add(reinterpret_cast<uint64_t>(&op));
    // Python is not given arguments that equal their default, so their floats are not in its record either. A
    // record of C++ must have the same floats.
    const uint64_t left_out = op.has_real_default ? defaults(op, arguments) : 0;
    if (op.has_real_default) add(left_out);
    for (size_t i = 0; i < op.count(); i++) {
      if (left_out >> i & 1) continue;
      if (!value(arguments[i])) return false;
    }
    return true;
  }

 private:
  void add(uint64_t word) { call_.key.push_back(word); }

  // The arguments that PyTorch does not hand to Python because they are the default: the last ones of those
  // that go by position, and any of those that go by name.
  static uint64_t defaults(const Operator& op, const c10::IValue* given) {
    const auto& arguments = op.schema->arguments();
    uint64_t left_out = 0;
    bool last = true;
    for (size_t i = op.count(); i-- > 0;) {
      const auto& value = arguments[i].default_value();
      const bool same = value && !(*value != given[i]);
      if (!arguments[i].kwarg_only()) last = last && same;
      if (arguments[i].kwarg_only() ? same : last) left_out |= uint64_t{1} << i;
    }
    return left_out;
  }

  bool value(const c10::IValue& given) {
    if (given.isTensor()) return tensor(given.toTensor());
    if (given.isNone()) add(NONE);
    else if (given.isInt()) integer(given.toInt());
    else if (given.isBool()) add(given.toBool() ? TRUE_VALUE : FALSE_VALUE);
    else if (given.isDouble()) real(given.toDouble());
    else if (given.isList()) return list(given.toListRef());
    else if (given.isString()) text(given.toStringRef());
    else if (given.isDevice()) return device(given.toDevice());
    else return false;
    return true;
  }

  bool tensor(const at::Tensor& given) {
    if (!given.defined()) {
      add(UNDEFINED);
      return true;
    }
    // A tensor whose Python object is gone, or that never had one, is not a handle that the client made.
    PyObject* object = given.unsafeGetTensorImpl()->pyobj_slot()->load_pyobj();
    if (!object || !is_remote(Py_TYPE(object))) return number_as_tensor(given);
    PyObject* layout = client->layout.get(object);
    PyObject* handle = client->handle.get(object);
    if (!layout || !handle || Py_TYPE(handle) != client->handle_type || !client->mirror.get(object)) return false;
    add(TENSOR);
    // Layouts are interned, so the address stands for shape, strides, dtype and bits.
    add(reinterpret_cast<uint64_t>(layout));
    call_.tensors.push_back(object);
    return true;
  }

  bool is_remote(PyTypeObject* type) const {
    return type == client->tensor_type || (!exact_ && PyType_IsSubtype(type, client->tensor_type));
  }

  // PyTorch gives Python the number itself.
  bool number_as_tensor(const at::Tensor& given) {
    const auto* impl = given.unsafeGetTensorImpl();
    // Other plain tensors would have to be uploaded, which is Python's to do.
    if (!impl->is_wrapped_number() || given.dim() != 0 || impl->is_python_dispatch()) return false;
    switch (given.scalar_type()) {
      case at::kDouble:
        real(*given.const_data_ptr<double>());
        return true;
      case at::kLong:
        integer(*given.const_data_ptr<int64_t>());
        return true;
      case at::kBool:
        add(*given.const_data_ptr<bool>() ? TRUE_VALUE : FALSE_VALUE);
        return true;
      default:
        return false;
    }
  }

  void integer(int64_t given) {
    add(INTEGER);
    add(static_cast<uint64_t>(given));
  }

  void real(double given) {
    size_t special = 0;
    // The class alone is in the key. The value travels with the record, as a learning rate that changes.
    while (special < client->special_floats.size() && client->special_floats[special] != given) special++;
    add(REAL);
    add(special);
    call_.reals.push_back(given);
  }

  void text(const std::string& given) {
    add(TEXT);
    // The length first, so that a text and the words after it cannot be read in another way.
    add(given.size());
    for (size_t i = 0; i < given.size(); i += sizeof(uint64_t)) {
      uint64_t word = 0;
      std::memcpy(&word, given.data() + i, std::min(sizeof word, given.size() - i));
      add(word);
    }
  }

  bool device(c10::Device given) {
    add(DEVICE);
    add(static_cast<uint8_t>(given.index()));
    return given.is_cpu();
  }

  bool list(c10::ArrayRef<c10::IValue> items) {
    add(LIST);
    // As for texts: [1], 2 and [1, 2] must differ.
    add(items.size());
    for (const auto& item : items) {
      if (!value(item)) return false;
    }
    return true;
  }

  Call& call_;
  const bool exact_;
};

}  // namespace haet
