// Atomics and memory of a program that runs under an Interleavings.
#pragma once

#include "support/interleaving_search.hpp"

#include <cstring>
#include <string>
#include <type_traits>

namespace quiver::test {

/// Memory that is not atomic: says whether whoever reads or writes it knows of what was written and read before, and whether it is still there.
class Plain {
 public:
  void write() {
    auto& run = *Interleavings::here;
    look("written");
    const auto& mine = run.memory().knowledge(run.self());
    for (std::size_t t = 0; t < read_.size(); ++t)
      if (read_[t] > mine.at[t]) run.fault("it is written while it may be read");
    written_by_ = run.self();
    written_ = mine.at[run.self()];
  }
  void read() {
    auto& run = *Interleavings::here;
    look("read");
    read_[run.self()] = run.memory().knowledge(run.self()).at[run.self()];
  }
  /// No access from now on.
  void free() {
    write();
    freed_ = true;
  }
  [[nodiscard]] bool freed() const noexcept { return freed_; }

 private:
  void look(const char* how) const {
    auto& run = *Interleavings::here;
    if (freed_) run.fault(std::string("it is ") + how + " after it was freed");
    if (written_ > run.memory().knowledge(run.self()).at[written_by_]) run.fault(std::string("it is ") + how + " by one who need not see it whole");
  }
  std::array<std::uint16_t, Knowledge::threads> read_{};
  unsigned written_by_ = 0;
  std::uint16_t written_ = 0;
  bool freed_ = false;
};

/// Filled in where a function with such a default argument is called.
struct Caller {
  // NOLINTNEXTLINE(google-explicit-constructor)
  Caller(const char* f = __builtin_FILE(), const char* in = __builtin_FUNCTION(), unsigned at = __builtin_LINE()) : file(f), function(in), line(at) {}
  const char* file;
  const char* function;
  unsigned line;
};

/// What StdAtomics is to the machine, to an Interleavings.
struct ModelAtomics {
  template <class T>
  class Atomic {
   public:
    static_assert(sizeof(T) <= 8 && std::is_trivially_copyable_v<T>);
    Atomic() noexcept : Atomic(T{}) {}
    Atomic(T initial) noexcept : initial_(initial) {}  // NOLINT(google-explicit-constructor): as std::atomic
    Atomic(const Atomic&) = delete;
    Atomic& operator=(const Atomic&) = delete;

    T load(std::memory_order order = std::memory_order_seq_cst, Caller from = {}) const {
      return value(run().load(place(), {from.line, from.file, from.function, Site::Kind::load, order}));
    }
    void store(T next, std::memory_order order = std::memory_order_seq_cst, Caller from = {}) {
      run().store(place(), bits(next), {from.line, from.file, from.function, Site::Kind::store, order});
    }
    T exchange(T next, std::memory_order order = std::memory_order_seq_cst, Caller from = {}) {
      return value(run().update(place(), {from.line, from.file, from.function, Site::Kind::update, order}, [&](std::uint64_t) { return bits(next); }));
    }
    T fetch_add(T more, std::memory_order order = std::memory_order_seq_cst, Caller from = {}) {
      return value(run().update(place(), {from.line, from.file, from.function, Site::Kind::update, order},
                                [&](std::uint64_t was) { return bits(static_cast<T>(value(was) + more)); }));
    }
    bool compare_exchange_strong(T& expected, T next, std::memory_order order = std::memory_order_seq_cst, Caller from = {}) {
      auto found = bits(expected);
      const bool done = run().update_if(place(), {from.line, from.file, from.function, Site::Kind::update, order}, found, bits(next));
      expected = value(found);
      return done;
    }

   private:
    static Interleavings& run() { return *Interleavings::here; }
    static std::uint64_t bits(T value) noexcept {
      std::uint64_t out = 0;
      std::memcpy(&out, &value, sizeof value);
      return out;
    }
    static T value(std::uint64_t bits) noexcept {
      T out;
      std::memcpy(&out, &bits, sizeof out);
      return out;
    }
    /// A place of the model from the first use on: most of a large table is never used.
    WeakMemory::Place place() const {
      if (place_ == none) place_ = run().memory().add(bits(initial_));
      return place_;
    }
    static constexpr auto none = ~WeakMemory::Place{0};
    T initial_;
    mutable WeakMemory::Place place_ = none;
  };
  static void yield() { Interleavings::here->yield(); }
  [[nodiscard]] static std::size_t this_thread() { return Interleavings::here->self(); }
};

}  // namespace quiver::test
