// An endless row of writes, the same for the process that runs it and for the one that knows afterwards what must be there.
#pragma once

#include "crash/model.hpp"

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

namespace quiver::test {

/// One call, or an end and a new beginning.
struct Step {
  enum class Kind { insert, upsert, erase, update, flush, optimize, reopen, reopen_unclosed };
  Kind kind = Kind::insert;
  Durability durability = Durability::sync;
  State rows{};
  Strings keys{};

  /// It changes what must be there.
  [[nodiscard]] bool is_batch() const noexcept { return kind < Kind::flush; }
  /// When it has returned, it and everything before it is on the disk.
  [[nodiscard]] bool is_durable() const noexcept { return !is_batch() || durability == Durability::sync; }
};

/// A copy goes on as the original does. The collection stays small, so that it can be compared with many moments.
class Story {
 public:
  explicit Story(std::uint64_t seed) : rows_(seed), random_(seed) {}

  /// What must be there after the batches so far.
  [[nodiscard]] const State& state() const noexcept { return state_; }
  /// Goes on from a moment that a crash left.
  void go_back_to(State state) { state_ = std::move(state); }

  [[nodiscard]] Step next() {
    const auto dice = random_() % 100;
    const auto level = random_() % 20;
    const auto durability = level < 3 ? Durability::sync : level < 14 ? Durability::buffered : Durability::none;
    if (dice < 2) return {Step::Kind::flush};
    if (dice == 2) return {Step::Kind::optimize};
    if (dice == 3) return {random_() % 2 == 0 ? Step::Kind::reopen : Step::Kind::reopen_unclosed};
    if (state_.size() > most_rows || (dice < 20 && !state_.empty())) return erase(durability);
    if (dice < 30 && !state_.empty()) return update(durability);
    if (dice < 55 && !state_.empty()) return upsert(durability);
    return insert(durability, dice == 99);
  }
  [[nodiscard]] Step insert(Durability durability, bool big = false) {
    Step step{Step::Kind::insert, durability, rows_.batch(big)};
    state_.insert(state_.end(), step.rows.begin(), step.rows.end());
    return step;
  }

 private:
  static constexpr std::size_t most_rows = 150;

  [[nodiscard]] Step upsert(Durability durability) {
    Step step{Step::Kind::upsert, durability, rows_.replacements()};
    for (const auto& row : step.rows) {
      take_out(state_, row.key);
      state_.push_back(row);
    }
    return step;
  }
  [[nodiscard]] Step erase(Durability durability) {
    Step step{Step::Kind::erase, durability};
    for (std::size_t i = 0; i < 1 + state_.size() / 16; ++i) step.keys.push_back(state_[rows_.below(state_.size())].key);
    for (const auto& key : step.keys) take_out(state_, key);
    return step;
  }
  [[nodiscard]] Step update(Durability durability) {
    const auto row = rows_.like(state_[rows_.below(state_.size())]);
    take_out(state_, row.key);
    state_.push_back(row);
    return {Step::Kind::update, durability, {row}};
  }

  RowSource rows_;
  std::mt19937_64 random_;
  State state_;
};

/// Does what the step says to the collection, which it may close and open again.
template <class C>
void carry_out(const Step& step, std::unique_ptr<C>& collection, const std::filesystem::path& path) {
  const WriteOptions options{.durability = step.durability};
  std::vector<Document> documents;
  for (const auto& row : step.rows) documents.push_back(document_of(row));
  switch (step.kind) {
    case Step::Kind::insert:
      collection->insert(documents, options);
      break;
    case Step::Kind::upsert:
      collection->upsert(documents, options);
      break;
    case Step::Kind::erase:
      (void)collection->erase(step.keys, options);
      break;
    case Step::Kind::update: {
      const auto& row = step.rows.front();
      const std::vector<NamedValue> fields{{"number", row.number}, {"text", row.text ? Value(*row.text) : Value(nullptr)}};
      if (!collection->update(row.key, std::span<const NamedValue>(fields), options)) throw std::runtime_error("no document " + row.key + " to update");
      break;
    }
    case Step::Kind::flush:
      collection->flush();
      break;
    case Step::Kind::optimize:
      collection->optimize();
      break;
    case Step::Kind::reopen:
      collection->close();
      [[fallthrough]];
    case Step::Kind::reopen_unclosed:
      collection.reset();
      collection = std::make_unique<C>(C::open(path));
      break;
  }
}

}  // namespace quiver::test
