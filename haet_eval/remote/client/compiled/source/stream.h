// Writes records into the link's buffer, as dispatch.py and link.py do.
#pragma once

#include <torch/csrc/autograd/graph_task.h>

#include <algorithm>

#include "known.h"

namespace haet {

inline PyObject* link_buffer() {
  PyObject* buffer = client->buffer.get(client->link);
  if (!buffer || !PyByteArray_CheckExact(buffer)) {
    PyErr_SetString(PyExc_TypeError, "the link's buffer is no bytearray");
    throw_python();
  }
  return buffer;
}

inline void append(const char* bytes, size_t count) {
  PyObject* buffer = link_buffer();
  // The link empties the same bytearray in place, so its size is read anew for each record.
  const Py_ssize_t before = PyByteArray_GET_SIZE(buffer);
  if (PyByteArray_Resize(buffer, before + static_cast<Py_ssize_t>(count)) < 0) throw_python();
  std::memcpy(PyByteArray_AS_STRING(buffer) + before, bytes, count);
}

template <class Number>
void put(c10::SmallVectorImpl<char>& record, Number number) {
  const char* bytes = reinterpret_cast<const char*>(&number);
  record.append(bytes, bytes + sizeof number);
}

inline PyObject* freed_list() {
  PyObject* freed = client->freed.get(client->link);
  if (!freed || !PyList_CheckExact(freed)) {
    PyErr_SetString(PyExc_TypeError, "the link's list of freed tensors is no list");
    throw_python();
  }
  return freed;
}

inline void write_freed() {
  PyObject* freed = freed_list();
  const Py_ssize_t count = PyList_GET_SIZE(freed);
  if (!count) return;
  c10::SmallVector<uint64_t, 32> numbers;
  // The GIL is held and nothing here runs Python code, so no handle dies between the copy and the removal.
  for (Py_ssize_t i = 0; i < count; i++) {
    numbers.push_back(PyLong_AsUnsignedLongLong(PyList_GET_ITEM(freed, i)));
    if (PyErr_Occurred()) throw_python();
  }
  if (PyList_SetSlice(freed, 0, count, nullptr) < 0) throw_python();
  // As link.py does: autograd may drop tensors in an order that goes by addresses.
  std::sort(numbers.begin(), numbers.end());
  c10::SmallVector<char, 256> record;
  record.push_back(client->free_code);
  put(record, static_cast<uint32_t>(count));
  for (uint64_t number : numbers) put(record, number);
  append(record.data(), record.size());
}

inline void flush() {
  PyObject* done = PyObject_CallNoArgs(client->flush);
  if (!done) throw_python();
  Py_DECREF(done);
}

// Before the records that link.py's `write` writes, and for its reason.
inline void flush_if_large() {
  if (static_cast<uint64_t>(PyByteArray_GET_SIZE(link_buffer())) > client->flush_bytes) flush();
}

inline void count_record() {
  client->records.set_number(client->link, client->records.number(client->link) + 1);
}

inline uint64_t current_phase() {
  if (torch::autograd::get_current_graph_task_id() == -1) return client->begun.number(client->phases);
  // As phase.py: nothing reports the end of a backward pass, so each of its calls says what follows it.
  client->begun.set_number(client->phases, client->other_phase);
  return client->backward_phase;
}

inline void tell_phase() {
  const uint64_t phase = current_phase();
  if (phase == client->told.number(client->dispatcher)) return;
  client->told.set_number(client->dispatcher, phase);
  flush_if_large();
  write_freed();
  const char record[] = {client->phase_code, static_cast<char>(phase)};
  append(record, sizeof record);
  count_record();
}

inline void write_call(const Known& known, const Call& call) {
  c10::SmallVector<char, 256> record;
  record.push_back(client->call_code);
  put(record, known.number);
  for (PyObject* tensor : call.tensors) put(record, client->handle_number.number(client->handle.get(tensor)));
  for (double real : call.reals) put(record, real);
  // Before every record, so that frees stand at the same place of the trace as with the Python client.
  write_freed();
  append(record.data(), record.size());
  count_record();
}

inline void flush_if_due() {
  if (client->records.number(client->link) >= client->flush_records) flush();
}

}  // namespace haet
