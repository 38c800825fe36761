// The scheduler behind interleavings.hpp: it decides before every atomic step which thread takes it, and what a load returns.
#pragma once

#include "support/fibers.hpp"
#include "support/weak_memory.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace quiver::test {

/// An atomic operation of the program.
struct Site {
  enum class Kind { load, store, update };
  unsigned line = 0;
  std::string_view file{}, function{};
  Kind kind = Kind::load;
  std::memory_order order = std::memory_order_relaxed;
  friend bool operator==(const Site&, const Site&) = default;
};

/// What is done wrong, at one site, while the program runs.
struct Mutation {
  /// weaker: the next weaker memory order; relaxed: none at all; removed: a load returns what its thread had there last, a store or an update stores nothing;
  /// later: a store comes behind the next step of its thread.
  enum class Kind { none, weaker, relaxed, removed, later };
  Kind kind = Kind::none;
  Site site{};
};

/// How far a search goes: `preemptions`, at most, of a thread that could have gone on; loads, at most, that return an old value.
struct Bounds {
  unsigned preemptions = 3;
  unsigned old_values = 1;
};

/// One search: the threads of a scenario, and what they did. While it lives, it is where the ModelAtomics of this process are.
class Interleavings {
 public:
  Interleavings(unsigned threads, std::function<void(unsigned)> run, Bounds bounds, Mutation mutation)
      : threads_(threads), run_(std::move(run)), bounds_(bounds), mutation_(mutation), self_(threads) {
    if (threads >= Knowledge::threads) throw std::logic_error("the model has too few threads");
    for (unsigned t = 0; t < threads; ++t) fibers_[t] = std::make_unique<Fiber>([this, t] { live(t); });
    fibers_[threads] = std::make_unique<Fiber>();
    here = this;
  }
  Interleavings(const Interleavings&) = delete;
  Interleavings& operator=(const Interleavings&) = delete;
  ~Interleavings() {
    over_ = true;
    for (unsigned t = 0; t < threads_; ++t) fibers_[threads_]->go_to(*fibers_[t]);
    here = nullptr;
  }
  static inline Interleavings* here = nullptr;

  /// Before the scenario of a schedule is made.
  void begin(std::optional<std::string> script = {}) {
    memory_.clear();
    at_ = 0;
    steps_ = idle_ = 0;
    left_ = bounds_;
    script_ = std::move(script);
    trace_.clear();
    fault_.clear();
    for (auto& thread : state_) thread = {};
  }
  /// Runs its threads to their ends.
  void run_threads() {
    for (unsigned t = 0; t < threads_; ++t) memory_.knowledge(t).add(memory_.knowledge(threads_));
    memory_.tick(threads_);
    resume(decide(others()));
    for (unsigned t = 0; t < threads_; ++t) memory_.knowledge(threads_).add(memory_.knowledge(t));
  }
  /// Whether there is a schedule that was not yet run, which is the next then.
  [[nodiscard]] bool next() {
    while (!path_.empty() && path_.back().taken + 1 == path_.back().count) path_.pop_back();
    if (path_.empty()) return false;
    ++path_.back().taken;
    return true;
  }
  void fault(std::string what) {
    if (fault_.empty()) fault_ = std::move(what);
  }
  [[nodiscard]] const std::string& fault() const noexcept { return fault_; }
  [[nodiscard]] const std::string& trace() const noexcept { return trace_; }
  [[nodiscard]] const std::vector<Site>& sites() const noexcept { return sites_; }
  [[nodiscard]] unsigned self() const noexcept { return self_; }
  [[nodiscard]] WeakMemory& memory() noexcept { return memory_; }

  /// Another thread may come between what is before and what is behind.
  void step() {
    if (self_ == threads_) return;
    if (!std::exchange(fresh_, false)) {
      auto all = others();
      if (left_.preemptions == 0) all.count = 0;
      all.put_first(self_);
      if (const auto chosen = decide(all); chosen != self_) {
        --left_.preemptions;
        resume(chosen);
        fresh_ = false;
      }
    }
    trace_ += static_cast<char>('0' + self_);
    if (++steps_ > most_steps) throw std::runtime_error("the threads come to no end");
  }
  /// This thread waits until another has changed something.
  void yield() {
    state_[self_].waits = true;
    auto all = others();
    if (all.count == 0) {
      for (auto& thread : state_) thread.waits = false;
      all = others();
      all.put_first(self_);
      if (++idle_ > 8) throw std::runtime_error("the threads wait for each other for ever");
    }
    if (const auto chosen = decide(all); chosen != self_) resume(chosen);
  }

  std::uint64_t load(WeakMemory::Place place, const Site& site) {
    enter(site);
    const auto value = mutated(Mutation::Kind::removed, site) ? memory_.last(self_, place) : read(place, order_of(site));
    leave();
    return value;
  }
  void store(WeakMemory::Place place, std::uint64_t value, const Site& site) {
    enter(site);
    if (mutated(Mutation::Kind::removed, site)) return leave();
    if (!mutated(Mutation::Kind::later, site)) {
      put(place, value, order_of(site));
      return leave();
    }
    leave();
    state_[self_].later = Later{place, value, site.order};
  }
  /// Returns what was there; `change` says what shall be.
  template <class Change>
  std::uint64_t update(WeakMemory::Place place, const Site& site, Change&& change) {
    enter(site);
    if (mutated(Mutation::Kind::removed, site)) {
      leave();
      return memory_.last(self_, place);
    }
    const auto before = memory_.newest(place);
    const auto after = change(before);
    memory_.update(self_, place, after, order_of(site));
    if (after != before) something_changed();
    leave();
    return before;
  }
  /// Stores `next` where `expected` is there, and returns whether; else `expected` becomes what was there.
  bool update_if(WeakMemory::Place place, const Site& site, std::uint64_t& expected, std::uint64_t next) {
    enter(site);
    const bool removed = mutated(Mutation::Kind::removed, site);
    const auto found = removed ? memory_.last(self_, place) : memory_.newest(place);
    const bool done = found == expected;
    if (!done)
      expected = removed ? found : memory_.load(self_, place, order_of(site), 0);
    else if (!removed) {
      memory_.update(self_, place, next, order_of(site));
      if (next != found) something_changed();
    }
    leave();
    return done;
  }

 private:
  static constexpr unsigned most_steps = 2'000;
  struct Choice {
    unsigned taken, count;
  };
  struct Later {
    WeakMemory::Place place;
    std::uint64_t value;
    std::memory_order order;
  };
  struct Thread {
    bool ended = false, waits = false;
    std::optional<Later> later{};
  };
  struct Candidates {
    std::array<unsigned, Knowledge::threads> threads{};
    unsigned count = 0;
    void put_first(unsigned thread) {
      std::copy_backward(threads.begin(), threads.begin() + count, threads.begin() + count + 1);
      threads[0] = thread;
      ++count;
    }
  };

  /// A fiber's life: one thread of one schedule after the other.
  void live(unsigned thread) {
    while (!over_) {
      try {
        run_(thread);
        leave();
      } catch (const std::exception& e) {
        fault(e.what());
      }
      state_[thread].ended = true;
      something_changed();
      if (const auto rest = others(); rest.count != 0) {
        resume(decide(rest));
      } else {
        self_ = threads_;
        fibers_[thread]->go_to(*fibers_[threads_]);
      }
    }
    fibers_[thread]->leave_to(*fibers_[threads_]);
  }
  void resume(unsigned thread) {
    fresh_ = true;
    auto& from = *fibers_[std::exchange(self_, thread)];
    from.go_to(*fibers_[thread]);
  }
  /// Those that could run instead of this one.
  [[nodiscard]] Candidates others() const {
    Candidates out;
    for (unsigned t = 0; t < threads_; ++t)
      if (t != self_ && !state_[t].ended && !state_[t].waits) out.threads[out.count++] = t;
    return out;
  }
  [[nodiscard]] unsigned decide(const Candidates& from) {
    if (script_) {
      const auto* const end = from.threads.begin() + from.count;
      const auto* const chosen =
          trace_.size() < script_->size() ? std::find(from.threads.begin(), end, static_cast<unsigned>((*script_)[trace_.size()] - '0')) : end;
      return chosen == end ? from.threads[0] : *chosen;
    }
    return from.threads[choose(from.count)];
  }
  [[nodiscard]] unsigned choose_age(unsigned oldest) {
    unsigned age = 0;
    if (script_)
      while (trace_.size() + age < script_->size() && (*script_)[trace_.size() + age] == '-') ++age;
    else
      age = choose(oldest + 1);
    trace_.append(age, '-');
    return std::min(age, oldest);
  }
  [[nodiscard]] unsigned choose(unsigned count) {
    if (count <= 1) return 0;
    if (at_ == path_.size()) path_.push_back({0, count});
    if (path_[at_].count != count) throw std::logic_error("a scenario is not the same when it is run again");
    return path_[at_++].taken;
  }

  void enter(const Site& site) {
    step();
    if (self_ != threads_ && std::find(sites_.begin(), sites_.end(), site) == sites_.end()) sites_.push_back(site);
  }
  /// Behind each operation: what its thread put off comes now.
  void leave() {
    if (auto later = std::exchange(state_[self_].later, {})) {
      step();
      put(later->place, later->value, later->order);
    }
    memory_.tick(self_);
  }
  [[nodiscard]] std::uint64_t read(WeakMemory::Place place, std::memory_order order) {
    const auto age = self_ == threads_ || left_.old_values == 0 ? 0 : choose_age(memory_.ages(self_, place, order));
    if (age != 0) --left_.old_values;
    return memory_.load(self_, place, order, age);
  }
  void put(WeakMemory::Place place, std::uint64_t value, std::memory_order order) {
    if (memory_.newest(place) != value) something_changed();
    memory_.store(self_, place, value, order);
  }
  void something_changed() {
    idle_ = 0;
    for (auto& thread : state_) thread.waits = false;
  }
  [[nodiscard]] bool mutated(Mutation::Kind kind, const Site& site) const { return mutation_.kind == kind && self_ != threads_ && mutation_.site == site; }
  [[nodiscard]] std::memory_order order_of(const Site& site) const {
    if (mutated(Mutation::Kind::relaxed, site)) return std::memory_order_relaxed;
    if (!mutated(Mutation::Kind::weaker, site)) return site.order;
    if (site.order != std::memory_order_seq_cst) return std::memory_order_relaxed;
    return site.kind == Site::Kind::load ? std::memory_order_acquire : site.kind == Site::Kind::store ? std::memory_order_release : std::memory_order_acq_rel;
  }

  unsigned threads_;
  std::function<void(unsigned)> run_;
  Bounds bounds_, left_;
  Mutation mutation_;
  WeakMemory memory_;
  std::array<std::unique_ptr<Fiber>, Knowledge::threads> fibers_;
  std::array<Thread, Knowledge::threads> state_;
  std::vector<Choice> path_;
  std::size_t at_ = 0;
  std::optional<std::string> script_;
  std::string trace_, fault_;
  std::vector<Site> sites_;
  unsigned self_;  // who runs; threads_: who made the scenario
  unsigned steps_ = 0, idle_ = 0;
  bool fresh_ = false;  // this thread has just been chosen, for one step at least
  bool over_ = false;
};

}  // namespace quiver::test
