// Access to the attributes of the Python client's objects. They are slots, so both languages use one value.
#pragma once

#include <Python.h>
#include <structmember.h>
#include <torch/csrc/Exceptions.h>

#include <cstdint>
#include <stdexcept>
#include <string>

namespace haet {

// The exception that Python has set, for C++ code that may release the GIL on its way.
[[noreturn]] inline void throw_python() {
  python_error error;
  error.persist();
  throw error;
}

class Slot {
 public:
  Slot() = default;

  Slot(PyTypeObject* type, const char* name) {
    PyObject* descriptor = PyObject_GetAttrString(reinterpret_cast<PyObject*>(type), name);
    if (!descriptor) throw_python();
    // Only a slot lies at a fixed offset. With anything else the offset would point into foreign memory.
    const bool fits = Py_TYPE(descriptor) == &PyMemberDescr_Type &&
        reinterpret_cast<PyMemberDescrObject*>(descriptor)->d_member->type == T_OBJECT_EX;
    if (fits) offset_ = reinterpret_cast<PyMemberDescrObject*>(descriptor)->d_member->offset;
    Py_DECREF(descriptor);
    if (!fits) throw std::runtime_error(std::string(name) + " is no slot");
  }

  // Borrowed; null if nothing was assigned.
  PyObject* get(PyObject* owner) const { return *place(owner); }

  // Steals the reference.
  void set(PyObject* owner, PyObject* value) const {
    if (!value) throw_python();
    // The new value is in place before the old one dies, because that may run code which reads the slot.
    PyObject* before = *place(owner);
    *place(owner) = value;
    Py_XDECREF(before);
  }

  void share(PyObject* owner, PyObject* value) const {
    Py_INCREF(value);
    set(owner, value);
  }

  uint64_t number(PyObject* owner) const {
    PyObject* value = get(owner);
    const unsigned long long read = value ? PyLong_AsUnsignedLongLong(value) : 0;
    if (!value) PyErr_SetString(PyExc_AttributeError, "an attribute of the client was deleted");
    if (PyErr_Occurred()) throw_python();
    return read;
  }

  void set_number(PyObject* owner, uint64_t value) const {
    set(owner, PyLong_FromUnsignedLongLong(value));
  }

 private:
  PyObject** place(PyObject* owner) const {
    return reinterpret_cast<PyObject**>(reinterpret_cast<char*>(owner) + offset_);
  }

  Py_ssize_t offset_ = 0;
};

}  // namespace haet
