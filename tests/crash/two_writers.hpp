// Two threads that write into one collection on the recorded disk, and the order that their batches turned out to have.
#pragma once

#include "crash/explore.hpp"
#include "crash/story.hpp"
#include "support/calls_of.hpp"
#include "support/scheduled_file_system.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <exception>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace quiver::test {

/// Some calls of each thread: batches of all kinds and strengths, with keys of its own, of the other and of both, a flush or an optimize now and then; they
/// take turns at each call of the file system (support/scheduled_file_system.hpp). In which order the batches went in is the engine's affair. It is found from
/// outside: after each operation a reader opens the disk, and what is new there must be the next batches of the two threads, each as its thread called it. So a
/// batch that is seen by half, or before one that a thread wrote earlier, is found at once; and with the order known this is a history as that of a script.
class TwoWriters : public History {
 public:
  using Scheduled = ScheduledFileSystem<RecordedMutants>;
  using Writer = Collection<BasicMMapPolicy<Scheduled>>;
  static constexpr std::size_t calls_each = 12;

  explicit TwoWriters(std::uint64_t seed) : History("--threads 1 --seed " + std::to_string(seed), seed) {
    RecordingFileSystem::mount(empty_disk());
    auto collection = Writer::create(crash_path, crash_schema());
    created_ = RecordingFileSystem::log_size();
    Turns::deal(seed);
    std::array<std::exception_ptr, 2> errors;
    {
      std::array<std::jthread, 2> both;
      for (std::size_t who = 0; who < 2; ++who)
        both[who] = std::jthread([&, who] {
          const Turns::Seat seat(who);
          try {
            write(who, collection);
          } catch (...) {
            errors[who] = std::current_exception();
          }
        });
    }
    for (const auto& error : errors)
      if (error) std::rethrow_exception(error);
    log_ = RecordingFileSystem::log();
    shown_ = digest_of_collection(collection);
    RecordingFileSystem::kill();
  }
  /// Makes it a history. What is wrong with the order is thrown.
  void settle() {
    find_order();
    note_marks();
  }

  /// Batches after which the other thread's came next.
  [[nodiscard]] std::size_t alternations() const {
    std::size_t out = 0;
    for (std::size_t i = 1; i < order_.size(); ++i) out += order_[i]->who != order_[i - 1]->who ? 1 : 0;
    return out;
  }

 private:
  struct Call {
    std::size_t who = 0;
    Step step{};
    std::size_t answer = 0;                // documents that were written, or were there to be erased; 0: nothing happened
    std::size_t issued = 0, returned = 0;  // the log had so many ops
    std::uint64_t begin = 0, end = 0;      // moments, of both threads
    [[nodiscard]] bool acts() const noexcept { return step.is_batch() && answer != 0; }
  };

  /// What the call does to what is there, and what it answers.
  static std::size_t apply(const Step& step, State& state) {
    std::size_t answer = step.rows.size();
    switch (step.kind) {
      case Step::Kind::insert:
        state.insert(state.end(), step.rows.begin(), step.rows.end());
        break;
      case Step::Kind::upsert:
        for (const auto& row : step.rows) {
          take_out(state, row.key);
          state.push_back(row);
        }
        break;
      case Step::Kind::erase:
        for (const auto& key : step.keys) answer += take_out(state, key) ? 1 : 0;
        break;
      default: {
        auto row = step.rows.front();
        const auto old = std::find_if(state.begin(), state.end(), [&](const Row& each) { return each.key == row.key; });
        if (old == state.end()) return 0;
        row.vector = old->vector;
        state.erase(old);
        state.push_back(std::move(row));
      }
    }
    return answer;
  }

  /// The calls of a thread. Numbers are never used twice, so that no two batches write the same.
  class Plan {
   public:
    Plan(std::uint64_t seed, std::size_t who) : who_(who), rows_(seed * 2 + who), random_(seed * 2 + who) {}
    [[nodiscard]] Step next() {
      const auto dice = random_() % 20;
      Step step{.durability = std::array{Durability::sync, Durability::sync, Durability::buffered, Durability::none}[random_() % 4]};
      if (dice == 0 || dice == 1) {
        step.kind = dice == 0 ? Step::Kind::flush : Step::Kind::optimize;
      } else if (dice < 5) {
        step.kind = Step::Kind::erase;
        // One that waits in memory could take back what another one there wrote, and nobody could say when which of them came.
        if (step.durability == Durability::none) step.durability = Durability::buffered;
        step.keys = {key(who_), key(random_() % 3)};
      } else if (dice < 8) {
        step.kind = Step::Kind::update;
        step.rows = {named(rows_.like({}), key(random_() % 3))};
      } else if (dice < 13) {
        step.kind = Step::Kind::upsert;
        step.rows = rows_.replacements();
        named(step.rows[0], names[who_] + step.rows[0].key);
        // Own ones that were used: one that is new to the thread must be free when its turn comes.
        for (std::size_t i = 1; i < step.rows.size(); ++i) named(step.rows[i], random_() % 2 == 0 ? names[who_] + step.rows[i].key : key(2));
      } else {
        step.rows = rows_.batch(dice == 19);
        for (auto& row : step.rows) named(row, names[who_] + row.key);
      }
      return step;
    }

   private:
    static constexpr std::string_view names = "abc";
    /// Of a thread, or of both.
    std::string key(std::size_t of) { return names[of] + std::string("k") + std::to_string(1 + random_() % (of == 2 ? 3 : 8)); }
    const Row& named(Row& row, std::string key) {
      row.key = std::move(key);
      row.number = static_cast<std::int32_t>(++numbers_ * 2 + who_);
      return row;
    }
    Row named(Row&& row, std::string key) { return named(row, std::move(key)); }

    std::size_t who_;
    RowSource rows_;
    std::mt19937_64 random_;
    std::size_t numbers_ = 0;
  };

  void write(std::size_t who, Writer& collection) {
    Plan plan(seed_, who);
    for (std::size_t i = 0; i < calls_each; ++i) {
      Call call{.who = who, .step = plan.next()};
      Turns::await();
      call.issued = RecordingFileSystem::log_size();
      call.begin = ++clock_;
      call.answer = carry_out(call.step, collection);
      call.end = ++clock_;
      call.returned = RecordingFileSystem::log_size();
      calls_[who].push_back(std::move(call));
    }
  }
  static std::size_t carry_out(const Step& step, Writer& collection) {
    const WriteOptions options{.durability = step.durability};
    std::vector<Document> documents;
    for (const auto& row : step.rows) documents.push_back(document_of(row));
    switch (step.kind) {
      case Step::Kind::insert:
        collection.insert(documents, options);
        return documents.size();
      case Step::Kind::upsert:
        collection.upsert(documents, options);
        return documents.size();
      case Step::Kind::erase:
        return collection.erase(step.keys, options);
      case Step::Kind::update: {
        const auto& row = step.rows.front();
        const std::vector<NamedValue> fields{{"number", row.number}, {"text", row.text ? Value(*row.text) : Value(nullptr)}};
        return collection.update(row.key, std::span<const NamedValue>(fields), options) ? 1 : 0;
      }
      case Step::Kind::flush:
        collection.flush();
        return 0;
      default:
        collection.optimize();
        return 0;
    }
  }

  void find_order() {
    for (std::size_t who = 0; who < 2; ++who)
      for (const auto& call : calls_[who])
        if (call.acts()) batches_[who].push_back(&call);
    for (auto k = created_; k <= log_.size(); ++k) {
      if (!log_[k - 1].changes()) continue;
      const auto where = "killed after " + std::to_string(k) + " ops: ";
      Fates fates(k, present);
      const auto found = read(fates, where);
      // Where several batches were written at once, all that it held may come in another order too: let the bytes come one after the other.
      if (found != digests_.back() && !go_on_to(found, k, 1) && log_[k - 1].action == Op::Action::write)
        for (std::uint32_t cut = 0; cut < log_[k - 1].bytes.size(); cut += 8) {
          fates.back() = {Fate::Kind::prefix, cut};
          go_on(read(fates, where), k, where);
        }
      go_on(found, k, where);
      for (std::size_t who = 0; who < 2; ++who)
        for (auto i = next_[who]; i < batches_[who].size(); ++i)
          if (batches_[who][i]->returned <= k && batches_[who][i]->step.durability != Durability::none)
            throw std::runtime_error(where + "a batch whose call had returned is not there");
    }
    go_on(shown_, log_.size() + 1, "in the end: ");
    if (order_.size() != batches_[0].size() + batches_[1].size()) throw std::runtime_error("a batch whose call returned was never seen");
  }
  [[nodiscard]] std::string read(const Fates& fates, const std::string& where) const {
    RecordingFileSystem::mount(disk_after(empty_disk(), log_, fates));
    try {
      return digest_of_collection(RecordedCollection::open(crash_path, {.mode = OpenMode::read_only}));
    } catch (const Error& e) {
      throw std::runtime_error(where + e.what());
    }
  }
  /// By the fewest batches that lead to what was found.
  void go_on(const std::string& found, std::size_t k, const std::string& where) {
    if (found == digests_.back()) return;
    for (std::size_t steps = 1; steps <= 2 * calls_each; ++steps)
      if (go_on_to(found, k, steps)) return;
    throw std::runtime_error(where + "what is there is no row of whole batches behind what was there before:\n" + found + "  before it was:\n" +
                             digests_.back());
  }
  bool go_on_to(const std::string& found, std::size_t k, std::size_t steps) {
    for (std::size_t who = 0; who < 2; ++who) {
      if (next_[who] == batches_[who].size() || batches_[who][next_[who]]->issued >= k) continue;
      const auto& call = *batches_[who][next_[who]];
      // What had returned when this was called came before it.
      if (const auto& theirs = batches_[1 - who]; next_[1 - who] < theirs.size() && theirs[next_[1 - who]]->end < call.begin) continue;
      auto after = states_.back();
      if (apply(call.step, after) != call.answer) continue;
      lead_to(std::move(after));
      ++next_[who];
      order_.push_back(&call);
      if (steps == 1 ? digests_.back() == found : go_on_to(found, k, steps - 1)) return true;
      order_.pop_back();
      --next_[who];
      states_.pop_back();
      digests_.pop_back();
    }
    return false;
  }

  void note_marks() {
    std::set<std::size_t> moments;
    for (const auto& calls : calls_)
      for (const auto& call : calls) moments.insert({call.issued, call.returned});
    marks_ = {{0, {}}, {0, {-1, 0}}, {created_, {0, 0}}};
    for (const auto at : moments) {
      Window window{0, static_cast<long>(order_.size())};
      for (std::size_t i = 0; i < order_.size(); ++i) {
        const auto batch = static_cast<long>(i) + 1;
        if (order_[i]->returned <= at && order_[i]->step.durability == Durability::sync) window.least = batch;
        // What a flush found it made durable, whatever its strength.
        for (const auto& calls : calls_)
          for (const auto& call : calls)
            if (!call.step.is_batch() && call.returned <= at && order_[i]->end < call.begin) window.least = batch;
      }
      for (std::size_t i = order_.size(); i-- != 0;)
        if (order_[i]->issued > at) window.most = static_cast<long>(i);
      marks_.emplace_back(std::max(at, created_), window);
    }
  }

  std::array<std::vector<Call>, 2> calls_;
  std::array<std::vector<const Call*>, 2> batches_;  // those that changed something
  std::array<std::size_t, 2> next_{};                // the first that was not seen yet
  std::vector<const Call*> order_;
  std::atomic<std::uint64_t> clock_ = 0;
  std::size_t created_ = 0;
  std::string shown_;  // by the collection itself, in the end
};

/// Explores one run of two writers. As no run can be repeated for sure, the tally of one with a violation has all its operations.
[[nodiscard]] inline Tally explore_threads(std::uint64_t seed, const ExploreOptions& options = {}) {
  Tally tally;
  TwoWriters run(seed);
  try {
    run.settle();
    tally = Explorer(run, options).explore();
  } catch (const std::exception& e) {
    tally = failed_script(run.name(), e.what());
  }
  if (tally.violations != 0) tally.calls = calls_of(run.log());
  return tally;
}

}  // namespace quiver::test
