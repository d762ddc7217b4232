// One boxed kernel for the dispatch key Python of each allowed operator. What it does not know goes to the
// kernel that PyTorch has there, and so to the Python client.
#pragma once

#include <ATen/core/boxing/KernelFunction.h>
#include <c10/core/DefaultDtype.h>
#include <c10/core/impl/TorchDispatchModeTLS.h>

#include <map>

#include "cut.h"
#include "hit.h"

namespace haet {

inline Table* table = nullptr;
inline uint64_t hits = 0;
inline std::map<std::string, uint64_t> left_to_python;

enum class Treatment { LOOK_UP, DETACH, NUMBER, SELECT, SLICE, PYTHON };

class Kernel final : public c10::OperatorKernel {
 public:
  Kernel(const c10::OperatorHandle& handle, Treatment treatment, c10::KernelFunction python)
      : op_(handle), treatment_(treatment), python_(std::move(python)) {}

  void operator()(const c10::OperatorHandle& handle, c10::DispatchKeySet keys, torch::jit::Stack* stack) {
    if (!is_on.load(std::memory_order_relaxed)) {
      python_.callBoxed(handle, keys, stack);
      return;
    }
    Pending pending;
    {
      Gil gil;
      if (done(handle, stack, pending)) {
        hits++;
        return;
      }
      left_to_python[op_.name]++;
    }
    // A null, too: Python may make calls of its own on the way, and must not teach them to an outer one.
    PendingScope scope(pending.whole ? &pending : nullptr);
    python_.callBoxed(handle, keys, stack);
    if (pending.cut) learn_cut(pending, stack->back().toTensor());
  }

 private:
  bool done(const c10::OperatorHandle& handle, torch::jit::Stack* stack, Pending& pending) {
    if (treatment_ == Treatment::PYTHON) return false;
    const bool in_mode = is_our_mode();
    const bool no_mode = c10::impl::TorchDispatchModeTLS::stack_len() == 0;
    // Another mode on top is the submission's own, and must see the call first.
    if (!in_mode && !no_mode) return false;
    if (treatment_ == Treatment::DETACH) return detach(stack);
    if (treatment_ == Treatment::NUMBER) return number(stack);
    if (treatment_ != Treatment::LOOK_UP) return cut(stack, pending);
    // The key has no default dtype.
    if (c10::get_default_dtype_as_scalartype() != at::kFloat) return false;
    Call& call = pending.call;
    const auto* arguments = stack->data() + stack->size() - op_.count();
    // Without a mode, PyTorch would ask a subclass of the submission's first. So subclasses are Python's
    // then.
    if (!Reader(call, no_mode).read(op_, arguments)) return false;
    // A factory outside of the mode makes an ordinary tensor.
    if (no_mode && call.tensors.empty()) return false;
    if (const Known* known = table->find(call.key)) {
      Hit hit(op_, *known, call);
      // All that can send the call to Python comes before `run`, which cannot be taken back.
      if (!hit.possible()) return false;
      Lock lock;
      if (!lock.held()) return false;
      hit.run(handle, stack);
      return true;
    }
    note(pending);
    return false;
  }

  void note(Pending& pending) const {
    pending.op = &op_;
    pending.whole = true;
    for (PyObject* tensor : pending.call.tensors) pending.hold(client->layout.get(tensor));
  }

  static bool detach(torch::jit::Stack* stack) {
    at::Tensor result = detached(stack->back().toTensor());
    if (!result.defined()) return false;
    stack->pop_back();
    stack->emplace_back(std::move(result));
    return true;
  }

  static bool number(torch::jit::Stack* stack) {
    const auto known = known_number(stack->back().toTensor());
    if (!known) return false;
    stack->pop_back();
    stack->emplace_back(*known);
    return true;
  }

  bool cut(torch::jit::Stack* stack, Pending& pending) const {
    const auto* arguments = stack->data() + stack->size() - op_.count();
    const auto read = Cut::read(treatment_ == Treatment::SELECT, arguments);
    if (!read) return false;
    const Words key = read->key(this);
    const Known* known = table->find(key);
    if (!known) {
      pending.cut = true;
      pending.call.key = key;
      pending.hold(read->layout());
      return false;
    }
    Lock lock;
    if (!lock.held()) return false;
    at::Tensor result = read->run(*known);
    torch::jit::drop(*stack, op_.count());
    stack->emplace_back(std::move(result));
    return true;
  }

  static void learn_cut(Pending& pending, const at::Tensor& result) {
    Gil gil;
    const Known* known = Cut::learnt(result);
    if (!known) return;
    pending.keep_layouts();
    table->put(pending.call.key, known);
  }

  static bool is_our_mode() {
    const auto count = c10::impl::TorchDispatchModeTLS::stack_len();
    if (count == 0) return false;
    const auto& top = c10::impl::TorchDispatchModeTLS::get_stack_at(count - 1);
    // The exact type: a subclass of it may do anything with a call.
    return Py_TYPE(top->ptr(c10::impl::getGlobalPyInterpreter())) == client->mode_type;
  }

  const Operator op_;
  const Treatment treatment_;
  const c10::KernelFunction python_;
};

}  // namespace haet
