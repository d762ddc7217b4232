// `select` and `slice`: their integers travel along, and the metadata is arithmetic. dispatch.py's _cut is the
// model. The layout of a result is learnt from the first such tensor that Python has made.
#pragma once

#include <optional>

#include "stream.h"
#include "tensors.h"

namespace haet {

class Cut {
 public:
  // Nothing if the call is Python's to do, an error among others.
  static std::optional<Cut> read(bool is_select, const c10::IValue* arguments) {
    Cut cut;
    cut.is_select_ = is_select;
    const at::Tensor& tensor = arguments[0].toTensor();
    cut.tensor_ = tensor.defined() ? tensor.unsafeGetTensorImpl()->pyobj_slot()->load_pyobj() : nullptr;
    if (!cut.tensor_ || Py_TYPE(cut.tensor_) != client->tensor_type || !arguments[1].isInt()) return {};
    PyObject* handle = client->handle.get(cut.tensor_);
    if (!handle || Py_TYPE(handle) != client->handle_type || !client->layout.get(cut.tensor_)) return {};
    // An empty slot: the tensor was not made by the client.
    if (!client->mirror.get(cut.tensor_) || !marks_agree(cut.tensor_)) return {};
    cut.axis_ = arguments[1].toInt() + (arguments[1].toInt() < 0 ? tensor.dim() : 0);
    if (cut.axis_ < 0 || cut.axis_ >= tensor.dim()) return {};
    const int64_t size = tensor.size(cut.axis_);
    const bool fits = is_select ? cut.read_index(arguments[2], size) : cut.read_range(arguments + 2, size);
    return fits ? std::optional(cut) : std::nullopt;
  }

  // What the layout of the result follows from.
  Words key(const void* kernel) const {
    Words words;
    words.push_back(reinterpret_cast<uint64_t>(kernel));
    words.push_back(reinterpret_cast<uint64_t>(layout()));
    words.push_back(static_cast<uint64_t>(axis_));
    // The length and not both ends: batches of one size have one layout, wherever they begin.
    words.push_back(static_cast<uint64_t>(is_select_ ? 0 : (high_ - low_ + step_ - 1) / step_));
    words.push_back(static_cast<uint64_t>(step_));
    return words;
  }

  PyObject* layout() const { return client->layout.get(tensor_); }

  at::Tensor run(const Known& known) const {
    const at::Tensor& base = THPVariable_Unpack(tensor_);
    tell_phase();
    write_record();
    const uint64_t number = client->next.number(client->link);
    client->next.set_number(client->link, number + 1);
    const int64_t offset = base.storage_offset() + low_ * base.stride(axis_);
    return make_tensor(known.results[0].made, offset, new_handle(number), Py_None);
  }

  // What is known of cuts like the one that has given this tensor; null if it is an unusual one.
  static Known* learnt(const at::Tensor& result) {
    PyObject* object = result.defined() ? result.unsafeGetTensorImpl()->pyobj_slot()->load_pyobj() : nullptr;
    if (!object || Py_TYPE(object) != client->tensor_type || !client->layout.get(object)) return nullptr;
    auto* known = new Known();  // kept until the process ends, as the table
    known->results.emplace_back();
    known->results[0].kind = Result::NEW;
    known->results[0].made = metadata_of(result);
    Py_INCREF(known->results[0].made.layout);
    return known;
  }

 private:
  bool read_index(const c10::IValue& index, int64_t size) {
    if (!index.isInt() || index.toInt() < -size || index.toInt() >= size) return false;
    low_ = index.toInt() + (index.toInt() < 0 ? size : 0);
    return true;
  }

  bool read_range(const c10::IValue* range, int64_t size) {
    const auto usual = [](const c10::IValue& end) { return end.isNone() || end.isInt(); };
    if (!usual(range[0]) || !usual(range[1]) || !range[2].isInt() || range[2].toInt() < 1) return false;
    low_ = range[0].isNone() ? 0 : within(range[0].toInt(), size);
    high_ = std::max(low_, range[1].isNone() ? size : within(range[1].toInt(), size));
    step_ = range[2].toInt();
    return step_ <= size + 1;  // sums of it do not overflow then
  }

  static int64_t within(int64_t end, int64_t size) {
    return std::clamp<int64_t>(end < 0 ? end + size : end, 0, size);
  }

  void write_record() const {
    c10::SmallVector<char, 64> record;
    record.push_back(is_select_ ? client->select_code : client->slice_code);
    put(record, client->handle_number.number(client->handle.get(tensor_)));
    // It fits: `read` has checked it against the number of dimensions, which is 64 at most.
    put(record, static_cast<uint8_t>(axis_));
    put(record, low_);
    if (!is_select_) {
      put(record, high_);
      put(record, step_);
    }
    flush_if_large();
    write_freed();
    append(record.data(), record.size());
    count_record();
  }

  bool is_select_ = false;
  PyObject* tensor_ = nullptr;  // borrowed from the call's arguments
  int64_t axis_ = 0, low_ = 0, high_ = 0, step_ = 1;
};

}  // namespace haet
