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

/// Readers take view() and need nothing else. Writers hold write_mutex_ for the whole of a batch or a flush, view_mutex_ only to swap a pointer.
template <StoragePolicy P>
class CollectionState {
 public:
  using ViewPointer = std::shared_ptr<const View<P>>;

  CollectionState(std::shared_ptr<typename P::Store> store, typename LockOf<P>::type lock, std::shared_ptr<const OpenVersion<P>> version, bool writable)
      : store_(std::move(store)),
        lock_(std::move(lock)),
        schema_(version->manifest.schema),
        next_block_(version->manifest.next_block),
        next_segment_(version->manifest.next_segment),
        next_run_(version->manifest.next_run),
        writable_(writable) {
    install(std::move(version));
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
  void insert(std::span<const Document> batch) {
    const std::lock_guard guard(write_mutex_);
    auto before = writing_view();
    if (memtable_->bytes() >= before->version().manifest.flush_bytes || memtable_->rows() + batch.size() > Memtable::max_rows) {
      flush_locked();
      before = view();
    }
    if (batch.empty()) return;
    const auto mark = memtable_->mark();
    try {
      auto scope = before->scope();
      for (const auto& document : batch) {
        bind_document(schema_, document, bound_);
        const std::string_view key = document.key();
        const auto print = fingerprint(key);
        if (memtable_->find(key, print, memtable_->rows()) || before->find_flushed(scope, key, print))
          fail(Errc::duplicate_key, store_->path(), "key '" + document.key() + "' is taken; nothing of this batch was inserted");
        scope.renew();
        memtable_->append(key, print, bound_);
      }
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
      if constexpr (WritableStoragePolicy<P>) lock_.reset();
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
      next.next_doc_id += rows;
      next.documents += rows;
      next.library_version = library_version;
      next.next_block = next_block_;
      next.next_segment = next_segment_;
      next.next_run = next_run_;
      next.retained = retained_after(before->manifest, next.time, next.retain_versions, next.retain_age_seconds);

      // Numbers that a failed attempt used are not used again: its files may be there still.
      auto drafts = [&] {
        struct Keep {
          CollectionState& state;
          Version& version;
          ~Keep() { state.next_block_ = version.next_block, state.next_segment_ = version.next_segment, state.next_run_ = version.next_run; }
        } keep{*this, next};
        return draft_flush<P>(*store_, *memtable_, rows, next);
      }();
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
      poisoned_ = false;
      for (const auto number : pruned) remove_quietly(manifest_name(number));
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
  Schema schema_;
  std::uint64_t next_block_, next_segment_, next_run_;
  bool writable_;
  bool poisoned_ = false;
  std::mutex write_mutex_;
  mutable std::mutex view_mutex_;
  ViewPointer view_;
  std::shared_ptr<Memtable> memtable_;
  BoundRow bound_;
};

}  // namespace quiver::detail
