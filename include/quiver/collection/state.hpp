// What stands behind a Collection: the store, the writer's lock, the memtable, and the pointer that readers follow.
#pragma once

#include <quiver/collection/background.hpp>
#include <quiver/collection/batch.hpp>
#include <quiver/collection/commit.hpp>
#include <quiver/collection/compaction.hpp>
#include <quiver/collection/flush.hpp>
#include <quiver/collection/garbage.hpp>
#include <quiver/collection/live_index.hpp>
#include <quiver/core/version.hpp>
#include <quiver/storage/process.hpp>

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

namespace quiver::detail {

/// Readers take view() and need nothing else. Writers hold write_mutex_ while they make a batch or a flush, and wait for their sync without it.
template <StoragePolicy P>
class CollectionState {
 public:
  using ViewPointer = std::shared_ptr<const View<P>>;

  /// Takes over what was recovered. A writer's `log` is its own, or there is none yet. `pinned`: to one version, for good.
  CollectionState(std::shared_ptr<typename P::Store> store, typename LockOf<P>::type lock, typename LogOf<P>::type log, Recovered<P> recovered,
                  std::optional<Durability> durability, bool writable, bool pinned = false)
      : store_(std::move(store)),
        lock_(std::move(lock)),
        log_(std::move(log)),
        schemas_(recovered.version->manifest.schema),
        durability_(durability.value_or(recovered.version->manifest.durability)),
        numbers_(NextNumbers::of(recovered.version->manifest)),
        writable_(writable),
        pinned_(pinned),
        memtable_(recovered.memtable),
        read_to_(recovered.log.place),
        record_(schemas_.now()),
        oldest_log_(recovered.version->manifest.log.number - (recovered.version->manifest.log.number == 0 ? 0 : 1)) {
    if (writable_) LiveIndex<P>::prepare(*memtable_, schemas_.now());
    show(recovered.view());
  }
  CollectionState(const CollectionState&) = delete;
  CollectionState& operator=(const CollectionState&) = delete;
  CollectionState(CollectionState&&) = delete;
  CollectionState& operator=(CollectionState&&) = delete;
  ~CollectionState() = default;  // close() comes first

  [[nodiscard]] const Schema& schema() const noexcept { return schemas_.now(); }
  [[nodiscard]] const std::shared_ptr<typename P::Store>& store() const noexcept { return store_; }

  /// Lock, log, threads and memory of a writer are those of the process that opened it.
  [[nodiscard]] bool forked() const noexcept { return process_ != process_id(); }

  /// The present moment; Errc::closed after close().
  [[nodiscard]] ViewPointer view() const {
    auto now = commits_.visible();
    if (!now) fail(Errc::closed, store_->path(), "the collection was closed");
    return now;
  }

  /// fill(WriteBatch&) says what is written and returns what the caller gets: all of it is there when this returns, or after an error none.
  /// `rows` are the most that it may add.
  template <class Fill>
  auto write(const WriteOptions& options, std::size_t rows, Fill&& fill) {
    check_process();
    std::uint64_t ticket = 0;
    const auto answer = [&] {
      const std::lock_guard guard(write_mutex_);
      check_writable();
      if (flush_is_due() || memtable_->rows() + rows > Memtable::max_rows) flush_locked();
      const auto before = tip_;
      WriteBatch<P> batch(*before, *memtable_, record_);
      try {
        auto result = fill(batch);
        const auto durability = options.durability.value_or(durability_);
        ticket = batch.empty() ? carry(durability) : append(batch, durability);
        return result;
      } catch (...) {
        batch.rollback();
        throw;
      }
    }();
    if constexpr (WritableStoragePolicy<P>) {
      if (ticket != 0)
        commits_.wait(ticket, [this] {
          log_->sync();
          // Whoever is writing now says it in the next record.
          if (const std::unique_lock guard(write_mutex_, std::try_to_lock); guard) log_->mark();
        });
    }
    if (rows != 0) live_index_.wake();
    return answer;
  }

  void flush() {
    check_process();
    const std::lock_guard guard(write_mutex_);
    check_writable();
    flush_locked();
  }

  /// Merges what `limits` say, beside readers and writers: only the first and the last step hold the writer up.
  void compact(const CompactionLimits& limits, const OptimizeOptions& options, const std::function<Schema(const Schema&)>& change = {}) {
    if constexpr (WritableStoragePolicy<P>) {
      check_process();
      const Turns::Turn one_at_a_time(compactions_, store_->path());
      for (;;) {
        Compaction<P> edit;
        {
          const std::lock_guard guard(write_mutex_);
          check_writable();
          if (limits.flush) flush_locked();
          edit.base = tip_->version_pointer();
        }
        const auto& now = edit.base->manifest.schema;
        edit.schema = change ? change(now) : now;
        edit.plan = plan_compaction(*edit.base, edit.schema, limits, IndexMemory(options));
        if (edit.plan.empty() && edit.schema == now) return;
        const auto number = [this](std::uint64_t NextNumbers::*kind) {
          const std::lock_guard guard(write_mutex_);
          return numbers_.*kind += 1, numbers_.*kind - 1;
        };
        auto drafts = CompactionWriter<P, decltype(number)>(*store_, edit, number, options).write();
        if (!drafts.empty()) store_->publish(std::span(drafts));
        drafts.clear();
        try {
          // Here, where nobody waits: a policy may read all of what it opens.
          edit.opened = open_compacted<P>(store_, edit);
          if (publish_compaction(edit)) return;
        } catch (...) {
          const std::lock_guard guard(write_mutex_);
          if (!poisoned_) remove_files<P>(*store_, edit);
          throw;
        }
        // Somebody rolled back meanwhile.
        remove_files<P>(*store_, edit);
      }
    }
  }

  /// Changes index or metric of a vector field, and builds what is missing then: before this returns, all as one version, or in a thread.
  void create_index(std::string_view field, const IndexSpec& spec, const IndexOptions& options) {
    if constexpr (WritableStoragePolicy<P>) {
      const auto change = [&](const Schema& schema) { return with_index(schema, field, spec); };
      if (!options.background) return compact(CompactionLimits::only_indexes(true), {options.progress, options.threads, options.memory}, change);
      check_index_memory(*view()->version_pointer(), change, options);  // before anything is changed
      compact(CompactionLimits::only_indexes(false), {}, change);
      builder_.ask(options, [this](const IndexOptions& asked) { build_missing(asked); });
    }
  }

  /// Makes a new version with the documents of version `number`.
  void rollback_to(std::uint64_t number) {
    if constexpr (WritableStoragePolicy<P>) {
      check_process();
      const std::lock_guard guard(write_mutex_);
      check_writable();
      auto target = open_at<P>(store_, number);
      flush_locked(number);
      const auto before = tip_->version_pointer();
      if (before->manifest.number == number) return;
      auto next = successor(before->manifest);
      next.continues = false;
      next.schema = target->manifest.schema;
      next.segments = target->manifest.segments;
      next.id_runs = target->manifest.id_runs;
      next.deletes = target->manifest.deletes;
      next.documents = target->manifest.documents;
      next.retained = retained_after(before->manifest, next);
      numbers_.give(next);
      std::vector<typename P::Draft> none;
      auto log = new_log(next);
      const auto deletes = target->deletes;
      commit_all(std::move(next), none, *target, deletes, std::move(log));
      tidy(before->manifest);
    }
  }

  /// Moves to what is there now. The files that both moments share stay open, and of a log that both share only the end is read.
  void refresh() {
    if (writable_) check_process();
    std::unique_lock guard(write_mutex_, std::defer_lock);
    // A thread that refreshed at the moment of the fork holds it for ever.
    if (forked() && !guard.try_lock()) fail(Errc::closed, store_->path(), "the process forked, or another thread refreshes; open the collection again here");
    if (!guard.owns_lock()) guard.lock();
    (void)view();
    if (writable_ || pinned_) return;
    auto recovered = recover_after<P>(*tip_, memtable_, read_to_);
    auto next = recovered.view();
    schemas_.hold(next->schema());
    memtable_ = std::move(recovered.memtable);
    read_to_ = recovered.log.place;
    show(std::move(next));
  }

  /// From now on a thread compacts after a flush where that pays. What fails there leaves the collection as it was and is tried again after a pause.
  void compact_in_background() {
    compactor_.start(
        [this] { compact(CompactionLimits::background(), {.progress = [this](const Progress&) { return !compactor_.stopping(); }, .threads = 1}); });
  }
  /// From now on a thread links rows that are in memory, where a field's index asks for it.
  void index_live() noexcept { live_index_.enable(); }
  [[nodiscard]] std::string background_error() const {
    if (forked()) return {};
    auto error = compactor_.error();
    if (error.empty()) error = builder_.error();
    return error.empty() ? live_index_.error() : error;
  }

  /// Flushes, and gives up files and lock also where that fails. Closing twice is no error.
  void close() {
    if (forked()) return abandon();
    live_index_.tell_to_stop();
    compactor_.tell_to_stop();  // one of the two may wait for the other
    builder_.stop();
    compactor_.stop();
    live_index_.stop();
    const std::lock_guard guard(write_mutex_);
    if (!commits_.visible()) return;
    try {
      if (writable_ && !poisoned()) flush_locked();
    } catch (...) {
      release();
      throw;
    }
    release();
  }

 private:
  void release() noexcept {
    show(nullptr);
    memtable_.reset();
    if constexpr (WritableStoragePolicy<P>) {
      log_.reset();
      lock_.reset();
    }
  }
  /// In a forked process: nothing is written, no lock is waited for, which a thread of the parent may have held.
  void abandon() noexcept {
    compactor_.forget();
    builder_.forget();
    live_index_.forget();
    release();
  }
  /// The builder's work. Who stops it has said so; optimize() builds what is missing still.
  void build_missing(const IndexOptions& asked) {
    const auto progress = [&](const Progress& now) { return !builder_.stopping() && (!asked.progress || asked.progress(now)); };
    try {
      compact(CompactionLimits::only_indexes(true), {progress, asked.threads, asked.memory});
    } catch (const Error& e) {
      if (e.code() != Errc::cancelled) throw;
    }
  }
  void check_process() const {
    if (forked()) fail(Errc::closed, store_->path(), "a forked process cannot use what its parent has open for writing; open the collection again here");
  }
  /// The reasons not to write.
  void check_writable() const {
    (void)view();
    if (!writable_) fail(Errc::read_only, store_->path(), "the collection was opened for reading");
    if (poisoned()) fail(Errc::io_error, store_->path(), "an earlier write failed while it was published; close the collection and open it again");
  }
  /// A sync fails beside the writer, which therefore cannot take that back when it sets poisoned_ to false.
  [[nodiscard]] bool poisoned() const { return poisoned_ || commits_.failed(); }
  /// By what is in memory, or by a log that deletes alone made long.
  [[nodiscard]] bool flush_is_due() const {
    const auto limit = tip_->version().manifest.flush_bytes;
    if (memtable_->bytes() >= limit) return true;
    if constexpr (WritableStoragePolicy<P>) {
      if (log_) return log_->size() / 2 >= std::max<std::uint64_t>(limit, 64 * 1024);
    }
    return false;
  }
  void show(ViewPointer next) noexcept {
    if (next) schemas_.use(next->schema());
    tip_ = next;
    commits_.show(std::move(next));
    live_index_.wake();
  }
  [[nodiscard]] bool logged() const { return !P::caps.volatile_store || !store_->path().empty(); }

  /// Where nothing is to be written, the answer rests on what others wrote: it is given once that is seen and survives what `durability` says.
  std::uint64_t carry(Durability durability) {
    if constexpr (WritableStoragePolicy<P>) {
      if (log_ && durability != Durability::none) {
        const bool unsynced = logging([&] { return log_->carry(); });
        if (unsynced && durability == Durability::sync) return commits_.push(tip_, true);
      }
    }
    return commits_.last();
  }
  /// write() -> auto writes to the log: an error other than no_space ends the writing.
  template <class Write>
  auto logging(Write&& write) {
    poisoned_ = true;
    try {
      auto result = write();
      poisoned_ = false;
      return result;
    } catch (const Error& e) {
      poisoned_ = e.code() != Errc::no_space;
      throw;
    }
  }
  /// Brings a batch into the log and in line to be seen; the ticket to wait for.
  std::uint64_t append(const WriteBatch<P>& batch, Durability durability) {
    ensure_log();
    auto next = batch.view(tip_->version_pointer(), memtable_);
    if constexpr (WritableStoragePolicy<P>) {
      if (log_) {
        log_->prepare(record_.bytes().size());
        // The batch is in the log before it is in line: an error between ends the writing too.
        const auto ticket = logging([&] {
          log_->append(record_.bytes(), durability);
          return commits_.push(next, durability == Durability::sync);
        });
        tip_ = std::move(next);
        return ticket;
      }
    }
    const auto ticket = commits_.push(next, false);
    tip_ = std::move(next);
    return ticket;
  }
  /// The first write of an open makes a log of its own and a manifest that names it: nobody appends to another's.
  void ensure_log() {
    if constexpr (WritableStoragePolicy<P>) {
      if (log_ || !logged()) return;
      const auto before = tip_->version_pointer();
      const auto& manifest = before->manifest;
      auto log = std::make_unique<LogWriter<P>>(*store_, manifest.store_id, manifest.log.number + 1, manifest.last_sequence + 1);
      auto next = continued(manifest, log->ref());
      numbers_.give(next);
      const auto bytes = manifest_bytes(next, store_->path());
      auto draft = store_->create(manifest_name(next.number));
      draft.append(bytes);
      auto view = tip_->with(open_version<P>(store_, std::move(next), bytes.size(), before.get()));
      publish(std::move(draft));
      show(std::move(view));
      continue_in(std::move(log));
      tidy(before->manifest);
      remove_logs_before(before->manifest);
    }
  }

  /// `keep`: a retained version that stays so whatever else the options say.
  void flush_locked(std::uint64_t keep = 0) {
    if constexpr (WritableStoragePolicy<P>) {
      if (log_) commits_.drain([this] { log_->sync(); });
      const auto before = tip_->version_pointer();
      const auto& now = tip_->rows();
      if (now.memtable_rows() == 0 && now.deleted() == before->manifest.deletes.count) return;
      auto next = successor(before->manifest);
      next.continues = false;
      next.next_doc_id += now.memtable_rows();
      next.documents = now.documents();
      next.retained = retained_after(before->manifest, next, keep);

      // Numbers that a failed attempt used are not used again: its files may be there still.
      numbers_.give(next);
      typename LiveIndex<P>::Pause pause(live_index_);
      auto drafts = [&] {
        const KeptNumbers kept(numbers_, next);
        return draft_flush<P>(*store_, now, next, pause.finish(*tip_));
      }();
      auto log = new_log(next);
      const auto deletes = now.deletes();
      commit_all(std::move(next), drafts, *before, deletes, std::move(log));
      tidy(before->manifest);
      remove_logs_before(before->manifest);
      compactor_.wake();
    }
  }
  /// False: what was merged is not there any more.
  bool publish_compaction(const Compaction<P>& edit) {
    const std::lock_guard guard(write_mutex_);
    check_writable();
    // Rows in memory are measured by the metric before.
    if (edit.changes_metric()) flush_locked();
    // Batches that wait hold the version before.
    if (log_) commits_.drain([this] { log_->sync(); });
    const auto before = tip_->version_pointer();
    auto next = successor(before->manifest);
    next.continues = false;
    if (!apply_compaction(edit, before->deletes, next)) return false;
    next.retained = retained_after(before->manifest, next);
    numbers_.give(next);
    const auto deletes = before->deletes.without(edit.dropped);
    std::vector<typename P::Draft> drafts;
    if (edit.changes_metric()) drafts = draft_measured<P>(*store_, *before, next, numbers_);
    if (!edit.dropped.empty()) {
      next.deletes = {};
      if (!deletes.empty()) next.deletes = draft_deletes<P>(*store_, drafts, deletes, before->manifest.deletes.count - edit.dropped.size(), next);
      numbers_ = NextNumbers::of(next);
    }
    if (edit.changes_metric()) {
      // Nothing is in memory, so that nobody sees rows by two metrics.
      auto log = new_log(next);
      commit_all(std::move(next), drafts, *before, deletes, std::move(log), edit.opened.get());
    } else {
      commit(
          std::move(next), drafts, *before, deletes, [&](auto version) { return tip_->without(edit.dropped, std::move(version)); }, edit.opened.get());
    }
    tidy(before->manifest);
    if (edit.changes_metric()) remove_logs_before(before->manifest);
    return true;
  }
  /// A log for what follows `next`, which names it; none for a volatile store.
  [[nodiscard]] typename LogOf<P>::type new_log(Version& next) const {
    if (!logged()) return {};
    if (log_) next.last_sequence = log_->sequence();
    auto log = std::make_unique<LogWriter<P>>(*store_, next.store_id, next.log.number + 1, next.last_sequence + 1);
    next.log = log->ref();
    return log;
  }
  /// From now on batches go into `log`, which the newest manifest names. That it does is said in the log at once: a manifest that goes missing is missed.
  void continue_in(typename LogOf<P>::type log) noexcept {
    log_ = std::move(log);
    if constexpr (WritableStoragePolicy<P>) {
      if (log_) log_->mark();
    }
  }
  /// commit() of a version with nothing behind it; batches go into `log` from then on.
  template <class Drafts>
  void commit_all(Version next, Drafts& drafts, const OpenVersion<P>& before, const DeleteSet& deletes, typename LogOf<P>::type log,
                  const OpenVersion<P>* other = nullptr) {
    auto memtable = std::make_shared<Memtable>(next.schema, DocId{next.next_doc_id});
    LiveIndex<P>::prepare(*memtable, next.schema);
    commit(
        std::move(next), drafts, before, deletes, [&](auto version) { return std::make_shared<const View<P>>(std::move(version), memtable); }, other);
    memtable_ = std::move(memtable);
    continue_in(std::move(log));
  }
  /// Makes drafts and manifest durable and visible, and shows the new version by what make_view(version) gives. All is opened and made before the manifest is
  /// visible, so that nothing can fail behind it; what fails before it leaves everything as it was. What `before` and `other` have open is taken over.
  template <class Drafts, class MakeView>
  void commit(Version next, Drafts& drafts, const OpenVersion<P>& before, const DeleteSet& deletes, MakeView&& make_view,
              const OpenVersion<P>* other = nullptr) {
    const auto bytes = manifest_bytes(next, store_->path());
    auto manifest = store_->create(manifest_name(next.number));
    manifest.append(bytes);
    if (!drafts.empty()) store_->publish(std::span(drafts));
    drafts.clear();
    try {
      auto view = make_view(open_version<P>(store_, Version(next), bytes.size(), &before, &deletes, other));
      schemas_.hold(next.schema);
      publish(std::move(manifest));
      show(std::move(view));
    } catch (...) {
      if (!poisoned_) remove_new_files<P>(*store_, next, before.manifest);
      throw;
    }
  }
  /// Makes a manifest the newest. The writer is poisoned where nobody knows whether it is: this object would no longer show what is on disk.
  template <class Draft>
  void publish(Draft manifest) {
    poisoned_ = true;
    try {
      store_->publish(std::move(manifest));
    } catch (const Error& e) {
      poisoned_ = e.code() != Errc::no_space;
      throw;
    }
    poisoned_ = false;
  }
  /// After a new version: what is retained no longer is removed.
  void tidy(const Version& before) noexcept { remove_pruned<P>(*store_, before, tip_->version().manifest); }
  /// The version before the newest keeps its log: repair can open it.
  void remove_logs_before(const Version& before) noexcept {
    for (; logged() && oldest_log_ < before.log.number; ++oldest_log_) remove_quietly<P>(*store_, log_name(oldest_log_));
  }

  std::shared_ptr<typename P::Store> store_;
  typename LockOf<P>::type lock_;
  typename LogOf<P>::type log_;
  SchemaHistory schemas_;
  Durability durability_;
  NextNumbers numbers_;
  bool writable_, pinned_;
  bool poisoned_ = false;  // by the writer, under its lock
  Turns compactions_;      // taken before the other
  std::mutex write_mutex_;
  std::shared_ptr<Memtable> memtable_;
  LogPlace read_to_;  // of the log that a reader shows
  ViewPointer tip_;   // with the batches that are written and not seen yet; the writer's
  CommitQueue<P> commits_;
  WalBatch record_;
  std::uint64_t oldest_log_;
  Background compactor_;
  BackgroundRequests<IndexOptions> builder_;
  LiveIndex<P> live_index_{commits_};
  std::int64_t process_ = process_id();
};

}  // namespace quiver::detail
