// Makes tensors without data, as tensor.py does.
#pragma once

#include <ATen/EmptyTensor.h>
#include <c10/core/Allocator.h>
#include <c10/core/InferenceMode.h>

#include <optional>

#include "known.h"

namespace haet {

inline PyObject* new_handle(uint64_t number) {
  // Without `__init__`, which would run Python code. All of its slots are set here instead.
  PyObject* handle = client->handle_type->tp_alloc(client->handle_type, 0);
  if (!handle) throw_python();
  client->handle_freed.share(handle, client->freed.get(client->link));
  client->handle_number.set_number(handle, number);
  client->handle_shared.share(handle, Py_False);
  return handle;
}

// As torch.Tensor._make_wrapper_subclass.
inline at::Tensor without_data(const NewTensor& made, int64_t offset) {
  const size_t bytes = at::detail::computeStorageNbytes(
      made.sizes, made.strides, made.dtype.itemsize(), static_cast<size_t>(offset));
  c10::Storage storage(
      c10::Storage::use_byte_size_t(),
      bytes,
      at::DataPtr(nullptr, at::kCPU),
      c10::GetAllocator(at::kMeta),
      /*resizable=*/true);
  at::Tensor tensor = at::detail::make_tensor<c10::TensorImpl>(
      std::move(storage), c10::DispatchKeySet(c10::DispatchKey::CPU), made.dtype);
  auto* impl = tensor.unsafeGetTensorImpl();
  // A fresh TensorImpl has the size {0} already.
  if (made.sizes.size() != 1 || made.sizes[0] != 0) impl->set_sizes_and_strides(made.sizes, made.strides);
  impl->set_storage_offset(offset);
  return tensor;
}

// Steals the handle; `mirror` is borrowed.
inline at::Tensor make_tensor(const NewTensor& made, int64_t offset, PyObject* handle, PyObject* mirror) {
  at::Tensor tensor;
  try {
    tensor = without_data(made, offset);
  } catch (...) {
    Py_DECREF(handle);
    throw;
  }
  // Without this mark, calls of this tensor would not come to the dispatch key Python outside of the mode.
  tensor.unsafeGetTensorImpl()->set_python_dispatch(true);
  PyObject* object = THPVariable_Wrap(tensor, client->tensor_type);
  if (!object) {
    Py_DECREF(handle);
    throw_python();
  }
  client->layout.share(object, made.layout);
  client->handle.set(object, handle);
  client->mirror.share(object, mirror);
  Py_DECREF(object);  // the tensor keeps it
  if (made.conjugate || made.negative) {
    tensor._set_conj(made.conjugate);
    tensor._set_neg(made.negative);
  }
  return tensor;
}

inline bool has_mirror(PyObject* tensor) { return client->mirror.get(tensor) != Py_None; }

inline void forget_mirror(PyObject* tensor) {
  if (has_mirror(tensor)) client->mirror.share(tensor, Py_None);
}

// What PyTorch's own kernel of the key Python keeps out of the calls below it, and the key Python itself.
inline c10::DispatchKeySet keys_of_modes() {
  using c10::DispatchKey;
  using c10::DispatchKeySet;
  const auto above = DispatchKeySet(DispatchKeySet::FULL) ^
      (DispatchKeySet(DispatchKeySet::FULL_AFTER, DispatchKey::Python) | DispatchKeySet(DispatchKey::Python));
  return above.remove(DispatchKey::ZeroTensor).remove(DispatchKey::Conjugate).remove(DispatchKey::Negative) |
      DispatchKeySet({DispatchKey::Python, DispatchKey::PythonTLSSnapshot});
}

// The number that a tensor holds, if that is known here. Nothing if it must be read from the executor.
inline std::optional<at::Scalar> known_number(const at::Tensor& tensor) {
  PyObject* object = tensor.defined() ? tensor.unsafeGetTensorImpl()->pyobj_slot()->load_pyobj() : nullptr;
  if (!object || Py_TYPE(object) != client->tensor_type) return {};
  PyObject* mirror = client->mirror.get(object);
  // There is no mirror, or the submission has put something else there, which is Python's to refuse.
  if (!mirror || !THPVariable_CheckExact(mirror)) return {};
  // The mark is of the last value that was read, and this one is known.
  client->made_up.share(client->link, Py_False);
  c10::impl::ExcludeDispatchKeyGuard guard(keys_of_modes());
  return THPVariable_Unpack(mirror).item();
}

// A view has the mark of its base; making one with another mark than this thread's is Python's.
inline bool marks_agree(PyObject* base) {
  return THPVariable_Unpack(base).is_inference() == c10::InferenceMode::is_enabled();
}

// As a tensor is itself; the layout is borrowed.
inline NewTensor metadata_of(const at::Tensor& tensor) {
  NewTensor same;
  same.layout = client->layout.get(tensor.unsafeGetTensorImpl()->pyobj_slot()->load_pyobj());
  same.sizes.assign(tensor.sizes().begin(), tensor.sizes().end());
  same.strides.assign(tensor.strides().begin(), tensor.strides().end());
  same.dtype = tensor.dtype();
  same.conjugate = tensor.is_conj();
  same.negative = tensor.is_neg();
  return same;
}

// Below autograd, a second tensor of the same handle: no call is needed. Null if it is Python's to do.
inline at::Tensor detached(const at::Tensor& tensor) {
  PyObject* object = tensor.defined() ? tensor.unsafeGetTensorImpl()->pyobj_slot()->load_pyobj() : nullptr;
  if (!object || Py_TYPE(object) != client->tensor_type || !marks_agree(object)) return {};
  PyObject* handle = client->handle.get(object);
  if (!handle || Py_TYPE(handle) != client->handle_type) return {};
  // A tensor of this class whose slots are empty was not made by the client.
  if (!client->layout.get(object) || !client->mirror.get(object)) return {};
  forget_mirror(object);
  client->handle_shared.share(handle, Py_True);
  Py_INCREF(handle);
  return make_tensor(metadata_of(tensor), tensor.storage_offset(), handle, Py_None);
}

}  // namespace haet
