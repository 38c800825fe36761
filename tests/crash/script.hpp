// Runs a script of API calls on the recorded disk and notes, along the log, what a crash there must not lose and may not invent.
#pragma once

#include "crash/history.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace quiver::test {

/// b: a batch, buffered. s: a batch, synced. S: the same with a long text. n: a batch that nothing saves. u: an upsert, synced, of keys that are there and that
/// are not. d: documents are erased, synced. p: some fields of one are updated, buffered. f: flush. o: optimize. i: another index or metric. v: back to the
/// oldest version that is retained. x: close and open again. k: the process is killed and a new one opens. r: a reader opens beside the writer.
inline constexpr std::string_view crash_letters = "bsSnudpfoivxkr";
inline constexpr std::array<std::string_view, crash_letters.size()> crash_letter_names{"buffered batch",
                                                                                       "synced batch",
                                                                                       "synced batch with a long text",
                                                                                       "batch that nothing saves",
                                                                                       "upsert",
                                                                                       "delete",
                                                                                       "update",
                                                                                       "flush",
                                                                                       "optimize",
                                                                                       "another index or metric",
                                                                                       "rollback",
                                                                                       "close and reopen",
                                                                                       "kill and reopen",
                                                                                       "reader beside"};

/// A script, run once.
class ScriptRun : public History {
 public:
  /// With a fault: what the failed call throws must be a typed error, and everything else goes on being there; then the process is killed, the fault is gone,
  /// and the script goes on in a new one. A fault that stays until then is the same as a kill in the middle of the call.
  ScriptRun(std::string script, std::uint64_t seed, const Fault& fault = {}) : History(name_of(script, seed), seed), script_(std::move(script)), rows_(seed) {
    RecordingFileSystem::mount(empty_disk());
    RecordedFaults::plan(fault);
    mark();
    window_.most = 0;
    mark();
    attempt([this] {
      collection_ = std::make_unique<RecordedCollection>(RecordedCollection::create(crash_path, crash_schema()));
      acknowledged();
    });
    for (const char letter : script_) {
      attempt([&] { step(letter); });
      if (digest_of_collection(*collection_) != digests_.back()) throw std::runtime_error(std::string("after '") + letter + "' other documents are there");
    }
    fault_fired_ = RecordedFaults::fired() != 0;
    log_ = RecordingFileSystem::log();
    RecordingFileSystem::kill();
    collection_.reset();
    RecordedFaults::clear();
  }

  /// Whether the planned fault struck, and how long the log was when a call failed by it.
  [[nodiscard]] bool fault_fired() const noexcept { return fault_fired_; }
  [[nodiscard]] std::size_t failed_at() const noexcept { return std::min(failed_at_, log_.size()); }

 private:
  void mark() { marks_.emplace_back(RecordingFileSystem::log_size(), window_); }
  template <class Call>
  void attempt(Call&& call) {
    try {
      call();
    } catch (const Error& e) {
      if (RecordedFaults::fired() == 0 || failed_at_ != nowhere) throw;
      failed_at_ = RecordingFileSystem::log_size();
      const bool typed = e.code() == Errc::io_error || e.code() == Errc::no_space || e.code() == Errc::read_only;
      if (!typed || e.path().empty()) throw std::runtime_error(std::string("a failed call is reported as: ") + e.what());
      RecordedFaults::disarm();
      if (collection_ && !reading_goes_on()) throw std::runtime_error("after a failed call other documents are there");
      reopen_after_kill();
    }
  }
  [[nodiscard]] bool reading_goes_on() const {
    try {
      const auto found = digest_of_collection(*collection_);
      return found == digests_.back() || (digests_.size() > 1 && found == digests_[digests_.size() - 2]);
    } catch (const Error& e) {
      return e.code() == Errc::closed;  // a close that failed has closed
    }
  }
  void acknowledged() {
    window_.least = survives_kill_ = window_.most;
    mark();
  }
  /// All of it, as the newest version.
  void flushed() {
    acknowledged();
    versions_[collection_->versions().back().number] = states_.back();
  }
  void step(char letter) {
    switch (letter) {
      case 'b':
      case 's':
      case 'S':
      case 'n': {
        const auto batch = rows_.batch(letter == 'S');
        auto after = states_.back();
        after.insert(after.end(), batch.begin(), batch.end());
        const auto durability = letter == 'b' ? Durability::buffered : letter == 'n' ? Durability::none : Durability::sync;
        write(std::move(after), durability, [&] { collection_->insert(documents_of(batch), {.durability = durability}); });
        break;
      }
      case 'u': {
        const auto batch = rows_.replacements();
        auto after = states_.back();
        for (const auto& row : batch) {
          take_out(after, row.key);
          after.push_back(row);
        }
        write(std::move(after), Durability::sync, [&] { collection_->upsert(documents_of(batch)); });
        break;
      }
      case 'd': {
        if (states_.back().empty()) break;
        auto after = states_.back();
        const Strings keys{after[rows_.below(after.size())].key, rows_.used_key()};
        std::size_t gone = 0, erased = 0;
        for (const auto& key : keys) gone += take_out(after, key) ? 1 : 0;
        write(std::move(after), Durability::sync, [&] { erased = collection_->erase(keys); });
        if (erased != gone) throw std::runtime_error("erase counts " + std::to_string(erased) + ", there were " + std::to_string(gone));
        break;
      }
      case 'p': {
        if (states_.back().empty()) break;
        auto after = states_.back();
        const auto row = rows_.like(after[rows_.below(after.size())]);
        take_out(after, row.key);
        after.push_back(row);
        const std::vector<NamedValue> fields{{"number", row.number}, {"text", row.text ? Value(*row.text) : Value(nullptr)}};
        write(std::move(after), Durability::buffered,
              [&] { (void)collection_->update(row.key, std::span<const NamedValue>(fields), {.durability = Durability::buffered}); });
        break;
      }
      case 'f':
        collection_->flush();
        flushed();
        break;
      case 'o':
        // Every third into segments of a few rows.
        collection_->optimize({.threads = 1, .memory = optimizes_++ % 3 == 2 ? std::uint64_t{1'000} : 0});
        flushed();
        break;
      case 'i':
        another_index();
        flushed();
        break;
      case 'v': {
        const auto all = collection_->versions();
        const auto known = std::find_if(all.begin(), all.end(), [this](const auto& version) { return versions_.contains(version.number); });
        if (known == all.end()) break;
        write(versions_.at(known->number), Durability::sync, [&] { collection_->rollback_to(known->number); });
        flushed();
        break;
      }
      case 'x':
        collection_->close();
        acknowledged();
        collection_ = std::make_unique<RecordedCollection>(RecordedCollection::open(crash_path));
        break;
      case 'k':
        reopen_after_kill();
        break;
      case 'r':
        read_beside();
        break;
      default:
        throw std::invalid_argument(std::string("'") + letter + "' is no letter of a script; there are " + std::string(crash_letters));
    }
  }
  /// Codes beside the graph, then another metric for them, then neither, then a graph again, under one metric after the other.
  void another_index() {
    const auto hnsw = crash_schema().vectors().front().index();
    const IndexSpec specs[] = {{.index = hnsw, .quantizer = Sq8{}},
                               {.metric = Metric::cosine},
                               {.index = Flat{}},
                               {.index = hnsw, .metric = Metric::inner_product},
                               {.index = Flat{}},
                               {.metric = Metric::cosine},
                               {.index = hnsw},
                               {.metric = Metric::l2}};
    collection_->create_index("v", specs[index_changes_++ % std::size(specs)]);
  }
  /// A batch that leads to `after`.
  template <class Call>
  void write(State after, Durability durability, Call&& call) {
    lead_to(std::move(after));
    ++window_.most;
    mark();
    call();
    // A stronger batch carries the weaker ones before it along.
    if (durability == Durability::sync) acknowledged();
    if (durability != Durability::none) survives_kill_ = window_.most;
  }
  static std::vector<Document> documents_of(const State& batch) {
    std::vector<Document> documents;
    for (const auto& row : batch) documents.push_back(document_of(row));
    return documents;
  }
  void reopen_after_kill() {
    RecordingFileSystem::kill();
    collection_.reset();
    try {
      collection_ = std::make_unique<RecordedCollection>(RecordedCollection::open(crash_path));
    } catch (const Error& e) {
      if (e.code() != Errc::not_found || window_.least >= 0) throw;
      collection_ = std::make_unique<RecordedCollection>(RecordedCollection::create(crash_path, crash_schema()));
    }
    const auto last = legal_batch(digest_of_collection(*collection_));
    if (last < 0 || last < survives_kill_) throw std::runtime_error("a killed process left something that was never there, or lost what was acknowledged");
    states_.resize(static_cast<std::size_t>(last) + 1);
    digests_.resize(states_.size());
    // What an open that may write has served is durable.
    window_ = {last, last};
    survives_kill_ = last;
    mark();
  }
  void read_beside() {
    const auto before = RecordingFileSystem::log_size();
    const auto found = digest_of_collection(RecordedCollection::open(crash_path, {.mode = OpenMode::read_only}));
    if (legal_batch(found) < survives_kill_) throw std::runtime_error("a reader beside the writer sees something that was never there");
    if (RecordingFileSystem::log_size() != before) throw std::runtime_error("a reader wrote");
  }
  /// The last batch after which a collection of this digest may be left now; -1: none.
  [[nodiscard]] long legal_batch(const std::string& found) const {
    for (auto last = window_.most; last >= std::max(window_.least, 0L); --last)
      if (digest(last) == found) return last;
    return -1;
  }

  static constexpr std::size_t nowhere = ~std::size_t{0};
  std::string script_;
  RowSource rows_;
  Window window_;
  std::size_t index_changes_ = 0, optimizes_ = 0;
  long survives_kill_ = -1;                  // the last batch that the system has
  std::map<std::uint64_t, State> versions_;  // that were seen to be there
  std::unique_ptr<RecordedCollection> collection_;
  std::size_t failed_at_ = nowhere;
  bool fault_fired_ = false;
};

}  // namespace quiver::test
