// The Python module `haet_compiled_client`; haet_eval/remote/client/compiled/hits.py uses it.
#include <torch/library.h>

#include <pybind11/stl.h>

#include "kernel.h"

namespace py = pybind11;

namespace haet {
namespace {

PyObject* kept(const py::handle& object) { return object.inc_ref().ptr(); }

PyTypeObject* type_of(const py::dict& parts, const char* name) {
  return reinterpret_cast<PyTypeObject*>(kept(parts[name]));
}

// The parts of the Python client, by name.
void attach(const py::dict& parts) {
  auto* one = new Client();
  one->link = kept(parts["link"]);
  one->phases = kept(parts["phases"]);
  one->dispatcher = kept(parts["dispatcher"]);
  one->flush = kept(parts["flush"]);
  one->acquire = kept(parts["acquire"]);
  one->release = kept(parts["release"]);
  one->tensor_type = type_of(parts, "tensor_type");
  one->handle_type = type_of(parts, "handle_type");
  one->mode_type = type_of(parts, "mode_type");
  PyTypeObject* link = Py_TYPE(one->link);
  one->buffer = Slot(link, "buffer");
  one->freed = Slot(link, "freed");
  one->next = Slot(link, "next");
  one->records = Slot(link, "records");
  one->made_up = Slot(link, "made_up");
  one->begun = Slot(Py_TYPE(one->phases), "begun");
  one->told = Slot(Py_TYPE(one->dispatcher), "_phase");
  one->handle = Slot(one->tensor_type, "_handle");
  one->layout = Slot(one->tensor_type, "_layout");
  one->mirror = Slot(one->tensor_type, "_mirror");
  one->handle_number = Slot(one->handle_type, "number");
  one->handle_freed = Slot(one->handle_type, "freed");
  one->handle_shared = Slot(one->handle_type, "shared");
  one->call_code = static_cast<char>(parts["call_code"].cast<int>());
  one->free_code = static_cast<char>(parts["free_code"].cast<int>());
  one->phase_code = static_cast<char>(parts["phase_code"].cast<int>());
  one->select_code = static_cast<char>(parts["select_code"].cast<int>());
  one->slice_code = static_cast<char>(parts["slice_code"].cast<int>());
  one->other_phase = parts["other_phase"].cast<uint64_t>();
  one->backward_phase = parts["backward_phase"].cast<uint64_t>();
  one->flush_records = parts["flush_records"].cast<uint64_t>();
  one->flush_bytes = parts["flush_bytes"].cast<uint64_t>();
  one->special_floats = parts["special_floats"].cast<std::vector<double>>();
  client = one;
  table = new Table();
  hits = 0;
  left_to_python.clear();
  // Last: from here on kernels use all of the above.
  is_on = true;
}

// Registers a kernel for each of these operators: base, overload, how it is treated. Once for each process.
size_t register_kernels(const std::vector<std::tuple<std::string, std::string, int>>& operators) {
  static torch::Library* library = nullptr;  // kept until the process ends: kernels must not go before
  if (library) return 0;
  library = new torch::Library(torch::Library::IMPL, "aten", c10::DispatchKey::Python, __FILE__, __LINE__);
  size_t registered = 0;
  for (const auto& [base, overload, treatment] : operators) {
    const auto found = c10::Dispatcher::singleton().findSchema({"aten::" + base, overload});
    // An operator that this PyTorch lacks, or one for which somebody has a kernel of this key already.
    if (!found || found->hasKernelForDispatchKey(c10::DispatchKey::Python)) continue;
    // The arguments that are left out are the bits of one word.
    if (found->schema().arguments().size() > 63) continue;
    // Taken before ours is registered, which hides it.
    auto python = found->lookup(c10::DispatchKeySet(c10::DispatchKey::Python));
    if (!python.isValid()) continue;
    auto kernel = std::make_unique<Kernel>(*found, static_cast<Treatment>(treatment), std::move(python));
    const std::string name = c10::toString(found->operator_name());
    library->impl(name.c_str(), torch::CppFunction::makeFromBoxedFunctor(std::move(kernel)));
    registered++;
  }
  return registered;
}

Result result_from(const py::handle& described, Known& known) {
  Result result;
  if (described.is_none()) return result;
  if (py::isinstance<py::list>(described)) {
    result.kind = Result::LIST;
    for (const auto& item : described) result.items.push_back(result_from(item, known));
    return result;
  }
  if (py::isinstance<py::int_>(described)) {
    result.kind = Result::INPUT;
    result.input = described.cast<size_t>();
    return result;
  }
  const auto [layout, sizes, strides, offset, alias, dtype, conjugate, negative] =
      described.cast<std::tuple<py::object, std::vector<int64_t>, std::vector<int64_t>, int64_t, int,
                                at::ScalarType, bool, bool>>();
  result.kind = Result::NEW;
  result.made.layout = kept(layout);
  result.made.sizes.assign(sizes.begin(), sizes.end());
  result.made.strides.assign(strides.begin(), strides.end());
  result.made.offset = offset;
  result.made.alias = alias;
  result.made.dtype = caffe2::TypeMeta::fromScalarType(dtype);
  result.made.conjugate = conjugate;
  result.made.negative = negative;
  if (alias >= 0) known.bases.push_back(static_cast<size_t>(alias));
  known.made++;
  return result;
}

// Each result is None, the position of an input, a list, or (layout, shape, stride, offset, alias, dtype,
// conjugate, negative).
uintptr_t describe(
    uint32_t number, size_t tensors, size_t reals, bool mirror, std::vector<size_t> forgets, const py::list& results) {
  auto known = std::make_unique<Known>();
  known->number = number;
  known->tensors = tensors;
  known->reals = reals;
  known->mirror = mirror;
  known->forgets = std::move(forgets);
  for (const auto& result : results) known->results.push_back(result_from(result, *known));
  return reinterpret_cast<uintptr_t>(known.release());  // kept until the process ends, as the table
}

bool same_tensors(const Pending& pending, const py::list& tensors) {
  const auto& read = pending.call.tensors;
  if (read.size() != tensors.size()) return false;
  for (size_t i = 0; i < read.size(); i++) {
    if (PyList_GET_ITEM(tensors.ptr(), static_cast<Py_ssize_t>(i)) != read[i]) return false;
  }
  return true;
}

bool same_reals(const Pending& pending, const std::vector<double>& reals) {
  const auto& read = pending.call.reals;
  return read.size() == reals.size() &&
      (reals.empty() || !std::memcmp(read.data(), reals.data(), reals.size() * sizeof(double)));
}

bool returns_as_described(const Operator& op, const Known& known) {
  const auto& returns = op.schema->returns();
  if (returns.size() != known.results.size()) return false;
  for (size_t i = 0; i < returns.size(); i++) {
    const bool is_list = known.results[i].kind == Result::LIST;
    const auto kind = is_list ? c10::TypeKind::ListType : c10::TypeKind::TensorType;
    if (returns[i].type()->kind() != kind) return false;
  }
  return true;
}

// Keeps what Python has found out of the innermost pending call, if it is this one.
bool learn(uintptr_t description, const std::string& name, const py::list& tensors, const std::vector<double>& reals) {
  Pending* pending = pending_calls.empty() ? nullptr : pending_calls.back();
  const auto* known = reinterpret_cast<const Known*>(description);
  // Python may have done another call than the one that was read: parts of it, or one with a tensor that it
  // uploaded. Only if all agree does the key stand for the description.
  if (!pending || !pending->whole || pending->op->name != name || !same_tensors(*pending, tensors) ||
      !same_reals(*pending, reals) || !returns_as_described(*pending->op, *known)) {
    return false;
  }
  pending->whole = false;
  pending->keep_layouts();
  table->put(pending->call.key, known);
  return true;
}

}  // namespace
}  // namespace haet

PYBIND11_MODULE(haet_compiled_client, module) {
  module.attr("torch_version") = HAET_TORCH_VERSION;
  module.def("attach", &haet::attach);
  module.def("stop", [] { haet::is_on = false; });
  module.def("register_kernels", &haet::register_kernels);
  module.def("describe", &haet::describe);
  module.def("learn", &haet::learn);
  module.def("counts", [] { return py::make_tuple(haet::hits, haet::left_to_python); });
}
