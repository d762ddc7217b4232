// What is known of a call: what its record begins with, and what it returns. The Python client describes it.
#pragma once

#include <ATen/ATen.h>
#include <c10/core/SafePyObject.h>
#include <torch/csrc/utils/pybind.h>

#include <memory>
#include <vector>

#include "key.h"

namespace haet {

// A new tensor; `offset` is relative to that of input `alias` if that is not -1.
struct NewTensor {
  PyObject* layout = nullptr;
  c10::SmallVector<int64_t, 5> sizes, strides;
  int64_t offset = 0;
  int alias = -1;
  caffe2::TypeMeta dtype;
  bool conjugate = false, negative = false;
};

struct Result {
  enum Kind { NEW, INPUT, NOTHING, LIST } kind = NOTHING;
  size_t input = 0;
  NewTensor made;
  std::vector<Result> items;
};

struct Known {
  uint32_t number = 0;
  size_t tensors = 0, reals = 0;
  uint64_t made = 0;
  bool mirror = false;
  std::vector<size_t> forgets;
  std::vector<Result> results;
  std::vector<size_t> bases;  // the inputs that new tensors share memory with
};

// Finds what is known by a call's key. Nothing is ever removed.
class Table {
 public:
  const Known* find(const Words& key) const {
    const Entry& entry = slots_[place(key, hash(key))];
    return entry.known;
  }

  void put(const Words& key, const Known* known) {
    // Half of the slots stay empty: `place` ends at an empty one, and short ways are what a hit lives on.
    if ((used_ + 1) * 2 > slots_.size()) grow();
    const uint64_t hashed = hash(key);
    Entry& entry = slots_[place(key, hashed)];
    if (!entry.known) used_++;
    entry = Entry{hashed, std::vector<uint64_t>(key.begin(), key.end()), known};
  }

 private:
  struct Entry {
    uint64_t hash = 0;
    std::vector<uint64_t> key;
    const Known* known = nullptr;
  };

  static uint64_t hash(const Words& key) {
    uint64_t hashed = key.size();
    for (uint64_t word : key) {
      // Addresses differ in few bits. The product carries these to the upper ones, the shift back down.
      hashed = (hashed ^ word) * 0x9E3779B97F4A7C15u;
      hashed ^= hashed >> 29;
    }
    return hashed;
  }

  static bool equal(const Entry& entry, const Words& key, uint64_t hashed) {
    return entry.hash == hashed && entry.key.size() == key.size() &&
        !std::memcmp(entry.key.data(), key.data(), key.size() * sizeof(uint64_t));
  }

  // Where the key is, or may be put.
  size_t place(const Words& key, uint64_t hashed) const {
    // The number of slots is a power of two.
    const size_t mask = slots_.size() - 1;
    size_t at = hashed & mask;
    while (slots_[at].known && !equal(slots_[at], key, hashed)) at = (at + 1) & mask;
    return at;
  }

  void grow() {
    std::vector<Entry> before(slots_.size() * 2);
    before.swap(slots_);
    for (Entry& entry : before) {
      if (!entry.known) continue;
      size_t at = entry.hash & (slots_.size() - 1);
      while (slots_[at].known) at = (at + 1) & (slots_.size() - 1);
      slots_[at] = std::move(entry);
    }
  }

  std::vector<Entry> slots_ = std::vector<Entry>(4096);
  size_t used_ = 0;
};

// A call that Python is doing now, so that what it learns is kept under the key from before the call.
struct Pending {
  const Operator* op = nullptr;
  Call call;
  std::vector<c10::SafePyObject> layouts;  // their addresses are in the key
  bool whole = false;  // the call could be read to its end, and nothing has been learnt of it yet
  bool cut = false;    // it is a select or a slice: what it returns tells all

  void hold(PyObject* layout) {
    Py_INCREF(layout);
    layouts.emplace_back(layout, c10::impl::getGlobalPyInterpreter());
  }

  // The key is in the table from now on, and nothing is ever removed from there.
  void keep_layouts() {
    for (auto& layout : layouts) layout.release();
  }
};

// Those of this thread, the innermost last. A call that was not read has a place as well, a null.
inline thread_local std::vector<Pending*> pending_calls;

class PendingScope {
 public:
  explicit PendingScope(Pending* pending) { pending_calls.push_back(pending); }
  ~PendingScope() { pending_calls.pop_back(); }
  PendingScope(const PendingScope&) = delete;
  PendingScope& operator=(const PendingScope&) = delete;
};

}  // namespace haet
