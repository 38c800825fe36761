// Threads that write into one collection at the same time, each its own row of batches, and what a crash may leave of them.
#pragma once

#include "crash/model.hpp"

#include <array>
#include <cstdint>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace quiver::test {

/// The same for the process that runs it and for the one that knows afterwards what must be there. Every batch is a synced insert, its keys are used by no one
/// else, and a thread begins one when the one before it has returned.
class ConcurrentWriters {
 public:
  static constexpr unsigned threads = 4;
  /// Batches of each thread, from 1: the last that began, and the last whose call returned.
  struct Progress {
    std::int32_t begun = 0, durable = 0;
  };
  using Heard = std::array<Progress, threads>;

  explicit ConcurrentWriters(std::uint64_t seed) : seed_(seed) {}

  /// Writes until the process ends. Calls tell('I', batch, thread) before each batch and tell('A', batch, thread) behind it, and failed(error) where one fails.
  template <class C, class Tell, class Failed>
  void write(C& collection, Tell&& tell, Failed&& failed) const {
    std::vector<std::jthread> all;
    for (unsigned thread = 0; thread < threads; ++thread)
      all.emplace_back([&, thread] {
        try {
          for (std::int32_t number = 1;; ++number) {
            std::vector<Document> documents;
            for (const auto& row : batch(thread, number)) documents.push_back(document_of(row));
            tell('I', number, thread);
            collection.insert(documents, {.durability = Durability::sync});
            tell('A', number, thread);
          }
        } catch (const std::exception& e) {
          failed(e);
        }
      });
  }

  /// Empty, if behind the rows of `state` nothing stands but whole batches, of each thread the first ones in their order, not fewer than were acknowledged and
  /// not more than were begun. `keys`: of the collection, in doc-id order. Adds the rows to `state`.
  [[nodiscard]] std::string find(const std::vector<std::string>& keys, const Heard& heard, State& state) const {
    std::array<std::int32_t, threads> found{};
    if (keys.size() < state.size()) return "rows that were there before are gone";
    while (state.size() < keys.size()) {
      const auto& key = keys[state.size()];
      unsigned thread = 0;
      while (thread < threads && batch(thread, found[thread] + 1).front().key != key) ++thread;
      if (thread == threads) return key + " is no first row of a batch that is next";
      for (const auto& row : batch(thread, ++found[thread])) {
        if (state.size() == keys.size() || keys[state.size()] != row.key) return row.key + " is missing in its batch";
        state.push_back(row);
      }
    }
    for (unsigned thread = 0; thread < threads; ++thread)
      if (found[thread] < heard[thread].durable || found[thread] > heard[thread].begun)
        return std::to_string(found[thread]) + " batches of thread " + std::to_string(thread) + " are there; " + std::to_string(heard[thread].durable) +
               " to " + std::to_string(heard[thread].begun) + " would be legal";
    return {};
  }

 private:
  [[nodiscard]] State batch(unsigned thread, std::int32_t number) const {
    const auto name = std::to_string(seed_) + "-" + std::to_string(thread) + "-" + std::to_string(number) + "-";
    auto rows = RowSource(seed_ + thread * std::uint64_t{1'000'003} + static_cast<std::uint64_t>(number)).batch(number % 16 == 0);
    for (std::size_t i = 0; i < rows.size(); ++i) rows[i].key = name + std::to_string(i);
    return rows;
  }

  std::uint64_t seed_;
};

}  // namespace quiver::test
