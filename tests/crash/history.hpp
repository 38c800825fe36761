// What was done to a collection on the recorded disk, and what a crash after each operation must not lose and may not invent.
#pragma once

#include "crash/model.hpp"

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace quiver::test {

inline const std::filesystem::path crash_path = "/store";

/// The operations, and the states that the batches led to, one after the other. `states()[j]` is what must be there if batch j is the last that survived; -1
/// stands for a collection that does not exist yet.
class History {
 public:
  struct Window {
    long least = -1;  // the last batch that was acknowledged as durable
    long most = -1;   // the last batch whose call had begun
  };

  /// How it is asked for again, in the words of crash_soak.
  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] std::uint64_t seed() const noexcept { return seed_; }
  [[nodiscard]] const std::vector<Op>& log() const noexcept { return log_; }
  [[nodiscard]] const std::vector<State>& states() const noexcept { return states_; }
  [[nodiscard]] const std::string& digest(long batch) const { return digests_[static_cast<std::size_t>(batch)]; }

  /// What is legal if the machine stops when the log has `position` ops.
  [[nodiscard]] Window window(std::size_t position) const {
    Window out;
    for (const auto& [at, window] : marks_)
      if (at <= position) out = window;
    return out;
  }

 protected:
  History(std::string name, std::uint64_t seed) : name_(std::move(name)), seed_(seed), states_{State{}}, digests_{digest_of(State{})} {}
  ~History() = default;
  History(const History&) = default;
  History& operator=(const History&) = default;

  /// One batch more.
  void lead_to(State state) {
    digests_.push_back(digest_of(state));
    states_.push_back(std::move(state));
  }

  std::string name_;
  std::uint64_t seed_;
  std::vector<State> states_;
  std::vector<std::string> digests_;  // of the states
  std::vector<std::pair<std::size_t, Window>> marks_;
  std::vector<Op> log_;
};

[[nodiscard]] inline std::string name_of(const std::string& script, std::uint64_t seed) { return "--script " + script + " --seed " + std::to_string(seed); }

}  // namespace quiver::test
