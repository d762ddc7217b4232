// The Python client that the hit path belongs to: its objects, and the numbers of the wire.
#pragma once

#include <torch/csrc/utils/pybind.h>

#include <atomic>
#include <vector>

#include "slots.h"

namespace haet {

struct Client {
  PyObject* link = nullptr;
  PyObject* phases = nullptr;
  PyObject* dispatcher = nullptr;
  PyObject* flush = nullptr;
  PyObject* acquire = nullptr;
  PyObject* release = nullptr;
  PyTypeObject* tensor_type = nullptr;
  PyTypeObject* handle_type = nullptr;
  PyTypeObject* mode_type = nullptr;
  Slot buffer, freed, next, records, made_up;  // of the link
  Slot begun;                   // of the phases
  Slot told;                    // of the dispatcher
  Slot handle, layout, mirror;  // of a tensor
  Slot handle_number, handle_freed, handle_shared;
  char call_code = 0, free_code = 0, phase_code = 0, select_code = 0, slice_code = 0;
  uint64_t other_phase = 0, backward_phase = 0, flush_records = 0, flush_bytes = 0;
  std::vector<double> special_floats;
};

// There is one at a time. It is never freed: kernels stay registered until the process ends.
inline Client* client = nullptr;
// Whether calls are looked up at all. Everything else here is used under the GIL alone.
inline std::atomic<bool> is_on{false};

class Gil {
 public:
  Gil() : state_(PyGILState_Ensure()) {}
  ~Gil() { PyGILState_Release(state_); }
  Gil(const Gil&) = delete;
  Gil& operator=(const Gil&) = delete;

 private:
  PyGILState_STATE state_;
};

// The link's lock, if no other thread has it: one that waits for an answer has released the GIL.
class Lock {
 public:
  Lock() {
    // Not blocking: the holder may wait for an answer for seconds, and Python's path knows how to wait for
    // it.
    PyObject* arguments[] = {Py_False};
    PyObject* taken = PyObject_Vectorcall(client->acquire, arguments, 1, nullptr);
    if (!taken) throw_python();
    held_ = taken == Py_True;
    Py_DECREF(taken);
  }
  ~Lock() {
    if (!held_) return;
    PyObject* released = PyObject_CallNoArgs(client->release);
    // A destructor must not throw, also while an exception is on its way.
    if (released) Py_DECREF(released);
    else PyErr_WriteUnraisable(client->release);
  }
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;
  bool held() const { return held_; }

 private:
  bool held_ = false;
};

}  // namespace haet
