// What stands behind a Collection: the store, the writer's lock, the memtable, and the pointer that readers follow.
#pragma once

#include <quiver/collection/flush.hpp>
#include <quiver/core/version.hpp>

#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <variant>

namespace quiver::detail {

template <class P>
struct LockOf {
  using type = std::monostate;
};
template <WritableStoragePolicy P>
struct LockOf<P> {
  using type = std::optional<typename P::Lock>;
};
template <class P>
struct LogOf {
  using type = std::monostate;
};
template <WritableStoragePolicy P>
struct LogOf<P> {
  using type = std::optional<LogWriter<P>>;
};

/// Readers take view() and need nothing else. Writers hold write_mutex_ for the whole of a batch or a flush, view_mutex_ only to swap a pointer.
template <StoragePolicy P>
class CollectionState {
 public:
  using ViewPointer = std::shared_ptr<const View<P>>;

  /// Takes over what was recovered. A writer's `log` is its own, or there is none yet.
  CollectionState(std::shared_ptr<typename P::Store> store, typename LockOf<P>::type lock, typename LogOf<P>::type log, Recovered<P> recovered,
                  std::optional<Durability> durability, bool writable)
      : store_(std::move(store)),
        lock_(std::move(lock)),
        log_(std::move(log)),
        schema_(recovered.version->manifest.schema),
        durability_(durability.value_or(recovered.version->manifest.durability)),
        next_block_(recovered.version->manifest.next_block),
        next_segment_(recovered.version->manifest.next_segment),
        next_run_(recovered.version->manifest.next_run),
        writable_(writable),
        memtable_(std::move(recovered.memtable)),
        batch_(schema_) {
    const auto oldest = recovered.version->manifest.log.number;
    oldest_log_ = oldest;
    swap_view(std::make_shared<const View<P>>(std::move(recovered.version), memtable_, memtable_->mark()));
  }
  CollectionState(const CollectionState&) = delete;
  CollectionState& operator=(const CollectionState&) = delete;
  CollectionState(CollectionState&&) = delete;
  CollectionState& operator=(CollectionState&&) = delete;
  ~CollectionState() = default;

  [[nodiscard]] const Schema& schema() const noexcept { return schema_; }
  [[nodiscard]] const std::shared_ptr<typename P::Store>& store() const noexcept { return store_; }

  /// The present moment; Errc::closed after close().
  [[nodiscard]] ViewPointer view() const {
    const std::lock_guard guard(view_mutex_);
    if (!view_) fail(Errc::closed, store_->path(), "the collection was closed");
    return view_;
  }

  /// A whole batch or nothing. An error names the document and leaves everything as it was.
  void insert(std::span<const Document> batch, const WriteOptions& options) {
    const std::lock_guard guard(write_mutex_);
    auto before = writing_view();
    if (memtable_->bytes() >= before->version().manifest.flush_bytes || memtable_->rows() + batch.size() > Memtable::max_rows) {
      flush_locked();
      before = view();
    }
    if (batch.empty()) return;
    ensure_log();
    before = view();
    const auto mark = memtable_->mark();
    batch_.clear();
    try {
      auto scope = before->scope();
      for (const auto& document : batch) {
        bind_document(schema_, document, bound_);
        const std::string_view key = document.key();
        const auto print = fingerprint(key);
        if (memtable_->find(key, print, memtable_->rows()) || before->find_flushed(scope, key, print))
          fail(Errc::duplicate_key, store_->path(), "key '" + document.key() + "' is taken; nothing of this batch was inserted");
        scope.renew();
        batch_.put(memtable_->doc_id(memtable_->rows()), key, bound_);
        memtable_->append(key, print, bound_);
      }
      append_log(options.durability.value_or(durability_));
      swap_view(std::make_shared<const View<P>>(before->version_pointer(), memtable_, memtable_->mark()));
    } catch (...) {
      memtable_->truncate(mark);
      throw;
    }
  }

  void flush() {
    const std::lock_guard guard(write_mutex_);
    (void)writing_view();
    flush_locked();
  }

  /// Flushes, and gives up files and lock also where that fails. Closing twice is no error.
  void close() {
    const std::lock_guard guard(write_mutex_);
    {
      const std::lock_guard view_guard(view_mutex_);
      if (!view_) return;
    }
    const auto release = [this] {
      swap_view(nullptr);
      memtable_.reset();
      if constexpr (WritableStoragePolicy<P>) {
        log_.reset();
        lock_.reset();
      }
    };
    try {
      if (writable_ && !poisoned_) flush_locked();
    } catch (...) {
      release();
      throw;
    }
    release();
  }

 private:
  /// The view that a writer starts from, after the reasons not to write.
  ViewPointer writing_view() const {
    auto now = view();
    if (!writable_) fail(Errc::read_only, store_->path(), "the collection was opened for reading");
    if (poisoned_) fail(Errc::io_error, store_->path(), "an earlier write failed while it was published; close the collection and open it again");
    return now;
  }
  void swap_view(ViewPointer next) {
    const std::lock_guard guard(view_mutex_);
    view_.swap(next);
  }
  [[nodiscard]] bool logged() const { return !P::caps.volatile_store || !store_->path().empty(); }

  /// The first write of an open makes a log of its own and a manifest that names it: nobody appends to another's.
  void ensure_log() {
    if constexpr (WritableStoragePolicy<P>) {
      if (log_ || !logged()) return;
      const auto before = view()->version_pointer();
      const auto& manifest = before->manifest;
      LogWriter<P> log(*store_, manifest.store_id, manifest.log.number + 1, manifest.last_sequence + 1);
      poisoned_ = true;
      auto next = continued(manifest, log.ref());
      const auto bytes = publish_manifest<P>(*store_, next);
      auto version = open_version<P>(store_, std::move(next), bytes, before.get());
      swap_view(std::make_shared<const View<P>>(std::move(version), memtable_, memtable_->mark()));
      log_.emplace(std::move(log));
      poisoned_ = false;
    }
  }
  void append_log(Durability durability) {
    if constexpr (WritableStoragePolicy<P>) {
      if (!log_) return;
      try {
        log_->append(batch_.bytes(), durability);
      } catch (const Error& e) {
        poisoned_ = e.code() != Errc::no_space;
        throw;
      }
    }
  }
  void install(std::shared_ptr<const OpenVersion<P>> version) {
    memtable_ = std::make_shared<Memtable>(schema_, DocId{version->manifest.next_doc_id});
    swap_view(std::make_shared<const View<P>>(std::move(version), memtable_, memtable_->mark()));
  }

  void flush_locked() {
    if constexpr (WritableStoragePolicy<P>) {
      const auto rows = memtable_->rows();
      if (rows == 0) return;
      const auto before = view()->version_pointer();
      auto next = before->manifest;
      next.parent = next.number;
      next.number += 1;
      next.time = now_microseconds();
      next.continues = false;
      next.next_doc_id += rows;
      next.documents += rows;
      next.library_version = library_version;
      next.next_block = next_block_;
      next.next_segment = next_segment_;
      next.next_run = next_run_;
      next.retained = retained_after(before->manifest, next);

      // Numbers that a failed attempt used are not used again: its files may be there still.
      auto drafts = [&] {
        struct Keep {
          CollectionState& state;
          Version& version;
          ~Keep() { state.next_block_ = version.next_block, state.next_segment_ = version.next_segment, state.next_run_ = version.next_run; }
        } keep{*this, next};
        return draft_flush<P>(*store_, *memtable_, rows, next);
      }();
      std::optional<LogWriter<P>> log;
      if (logged()) {
        next.last_sequence = log_ ? log_->sequence() : next.last_sequence;
        log.emplace(*store_, next.store_id, next.log.number + 1, next.last_sequence + 1);
        next.log = log->ref();
      }
      const auto manifest = encode_version(next);
      auto manifest_draft = store_->create(manifest_name(next.number));
      manifest_draft.append(manifest);

      poisoned_ = true;  // until all of it is durable
      store_->publish(std::span(drafts));
      drafts.clear();
      store_->publish(std::move(manifest_draft));
      // Durable. What is left can fail without losing anything, but then this object no longer shows what is on disk.
      const auto pruned = pruned_numbers(before->manifest, next);
      install(open_version<P>(store_, std::move(next), manifest.size(), before.get()));
      log_.reset();
      if (log) log_.emplace(std::move(*log));
      poisoned_ = false;
      for (const auto number : pruned) remove_quietly(manifest_name(number));
      // The version before this one keeps its log: repair can open it.
      for (; logged() && oldest_log_ < before->manifest.log.number; ++oldest_log_) remove_quietly(log_name(oldest_log_));
    }
  }
  static std::vector<std::uint64_t> pruned_numbers(const Version& before, const Version& next) {
    std::vector<std::uint64_t> out;
    for (const auto& version : before.retained)
      if (std::none_of(next.retained.begin(), next.retained.end(), [&](const auto& v) { return v.number == version.number; })) out.push_back(version.number);
    return out;
  }
  /// A manifest that is not listed is garbage in every state; the next read-write open collects what stays behind here.
  void remove_quietly(const std::string& name) noexcept {
    try {
      store_->remove(name);
    } catch (...) {
    }
  }

  std::shared_ptr<typename P::Store> store_;
  typename LockOf<P>::type lock_;
  typename LogOf<P>::type log_;
  Schema schema_;
  Durability durability_;
  std::uint64_t next_block_, next_segment_, next_run_;
  bool writable_;
  bool poisoned_ = false;
  std::mutex write_mutex_;
  mutable std::mutex view_mutex_;
  ViewPointer view_;
  std::shared_ptr<Memtable> memtable_;
  BoundRow bound_;
  WalBatch batch_;
  std::uint64_t oldest_log_ = 0;
};

}  // namespace quiver::detail
