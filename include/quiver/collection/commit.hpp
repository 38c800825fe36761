// The order in which batches become visible, and the one sync that concurrent callers share.
#pragma once

#include <quiver/collection/view.hpp>
#include <quiver/core/published.hpp>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

namespace quiver::detail {

/// What readers see, and the batches that are written and not seen yet. A batch that asked for a sync is seen once one that began after it was written has
/// returned, and everything behind it waits with it; whoever waits and finds no sync running runs the next one, for all that are there by then.
/// Any number of threads; push() and show() are the writer's.
template <StoragePolicy P>
class CommitQueue {
 public:
  using ViewPointer = std::shared_ptr<const View<P>>;

  /// Null after close. Waits for nobody.
  [[nodiscard]] ViewPointer visible() const { return visible_.get(); }
  /// Replaces what readers see. REQUIRES: nothing waits.
  void show(ViewPointer next) noexcept { visible_.set(std::move(next)); }

  /// The next batch in order: what is there with it. Returns its ticket. Seen at once if it need not be synced and nothing waits. May throw bad_alloc, and then
  /// nothing happened.
  [[nodiscard]] std::uint64_t push(ViewPointer view, bool synced) {
    const std::lock_guard guard(mutex_);
    waiting_.push_back({last_ + 1, std::move(view), synced});
    ++last_;
    if (synced) ++unsynced_;
    if (gathering_ && unsynced_ >= returning_) returned_.notify_one();
    advance();
    return last_;
  }
  /// The ticket of the newest batch; 0: none yet.
  [[nodiscard]] std::uint64_t last() const {
    const std::lock_guard guard(mutex_);
    return last_;
  }
  /// Returns when the batch is seen, with sync() -> void run by this thread or another where that is needed. What sync() throws, everyone whose batch is
  /// not covered yet gets, and no later batch is ever seen; what is no Error becomes io_error.
  template <class Sync>
  void wait(std::uint64_t ticket, Sync&& sync) {
    std::unique_lock lock(mutex_);
    wait(lock, ticket, sync, true);
  }
  /// A sync failed: nothing that is pushed from now on will be seen.
  [[nodiscard]] bool failed() const {
    const std::lock_guard guard(mutex_);
    return failure_.has_value();
  }
  /// wait() for every batch so far. REQUIRES: no push() meanwhile; then no sync runs when this returns.
  template <class Sync>
  void drain(Sync&& sync) {
    std::unique_lock lock(mutex_);
    returning_ = 0;
    returned_.notify_one();
    wait(lock, last_, sync, false);
  }

 private:
  struct Waiting {
    std::uint64_t ticket;
    ViewPointer view;
    bool synced;
  };
  template <class Sync>
  void wait(std::unique_lock<std::mutex>& lock, std::uint64_t ticket, Sync& sync, bool others_push) {
    while (seen_ < ticket) {
      if (failure_) throw Error(*failure_);
      if (syncing_) {
        changed_.wait(lock);
        continue;
      }
      syncing_ = true;
      if (others_push) gather(lock);
      const auto upto = last_;
      const auto covered = std::exchange(unsynced_, 0);
      lock.unlock();
      const auto begin = std::chrono::steady_clock::now();
      std::optional<Error> failure;
      try {
        sync();
      } catch (const Error& e) {
        failure = e;
      } catch (const std::exception& e) {
        failure.emplace(Errc::io_error, e.what());
      }
      const auto took = std::chrono::steady_clock::now() - begin;
      lock.lock();
      syncing_ = false;
      failure_ = std::move(failure);
      returning_ = covered;
      sync_took_ = took;
      if (!failure_) {
        durable_ = upto;
        advance();
      }
      changed_.notify_all();
    }
  }
  /// Gives those whom the last sync let go the time to write again: one that begins without them makes them wait for two. No longer than half a sync, as
  /// they may have no more to write; nor than it should take, as the last may have been a slow one.
  void gather(std::unique_lock<std::mutex>& lock) {
    constexpr std::chrono::steady_clock::duration most = std::chrono::milliseconds(5);
    gathering_ = true;
    returned_.wait_for(lock, std::min(sync_took_ / 2, most), [this] { return unsynced_ >= returning_; });
    gathering_ = false;
  }
  void advance() {
    ViewPointer next;
    for (; !waiting_.empty() && (!waiting_.front().synced || waiting_.front().ticket <= durable_); waiting_.pop_front()) {
      seen_ = waiting_.front().ticket;
      next = std::move(waiting_.front().view);
    }
    if (next) show(std::move(next));
  }

  Published<const View<P>> visible_;
  mutable std::mutex mutex_;
  std::condition_variable changed_, returned_;
  std::deque<Waiting> waiting_;
  std::uint64_t last_ = 0, durable_ = 0, seen_ = 0;  // tickets: given out, covered by a sync, seen
  bool syncing_ = false, gathering_ = false;
  std::uint64_t unsynced_ = 0, returning_ = 0;  // batches that asked for a sync: not covered by one that began, covered by the last
  std::chrono::steady_clock::duration sync_took_ = {};
  std::optional<Error> failure_;
};

}  // namespace quiver::detail
