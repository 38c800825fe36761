// The thread that links the rows of the memtable into graphs, so that searches need not look at each of them.
#pragma once

#include <quiver/collection/background.hpp>
#include <quiver/collection/commit.hpp>
#include <quiver/segment/memtable_graphs.hpp>

#include <algorithm>
#include <atomic>
#include <exception>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <variant>

namespace quiver::detail {

/// With fewer rows in memory there is no graph: looking at each of them is as fast.
template <StoragePolicy P>
inline constexpr std::uint64_t least_live_rows = 1000;

/// Follows what readers see: rows that are visible are never taken back. The thread begins when there are rows enough, and whoever writes waits for it at no
/// time; a flush waits while it links one row, which now and then takes a look at all links. Where it fails for want of memory searches look at the rows one by
/// one, and it tries again, after a pause.
template <StoragePolicy P>
class LiveIndex {
 public:
  explicit LiveIndex(const CommitQueue<P>& commits) noexcept : commits_(commits) {}

  /// Makes it possible that rows of this memtable are linked.
  static void prepare(Memtable& memtable, const Schema& schema) { memtable.carry(std::make_shared<MemtableGraphs>(memtable, schema)); }

  /// Before this it does nothing.
  void enable() noexcept {
    enabled_ = true;
    wake();
  }
  /// Something that is to be linked may have become visible. Any thread.
  void wake() noexcept {
    if (!enabled_ || thread_.stopping()) return;
    try {
      if (const auto view = commits_.visible(); !view || !is_due(*view)) return;
      if (!started_.load(std::memory_order_acquire)) {
        const std::lock_guard guard(start_mutex_);
        if (!started_.load(std::memory_order_relaxed)) thread_.start([this] { work(); });
        started_.store(true, std::memory_order_release);
      }
      thread_.wake();
    } catch (const std::exception&) {
      // No thread to be had: the next write tries again, and searches do without.
    }
  }
  [[nodiscard]] std::string error() const { return thread_.error(); }
  void tell_to_stop() { thread_.tell_to_stop(); }
  void stop() { thread_.stop(); }
  void forget() noexcept { thread_.forget(); }

  /// While one lives, nobody links rows but the thread that made it.
  class Pause {
   public:
    explicit Pause(LiveIndex& index) : index_(index) {
      ++index_.pauses_;
      index_.mutex_.lock();
    }
    ~Pause() {
      index_.mutex_.unlock();
      --index_.pauses_;
      index_.wake();
    }
    Pause(const Pause&) = delete;
    Pause& operator=(const Pause&) = delete;

    /// The graphs of what a moment has in memory, those that few rows lack with these rows too; null: there are none.
    [[nodiscard]] const MemtableGraphs* finish(const View<P>& view) {
      if (!index_.enabled_ || !is_due(view)) return nullptr;
      const auto& rows = view.rows();
      auto& graphs = *rows.memtable()->graphs();
      try {
        for (std::size_t i = 0; i < view.schema().vectors().size(); ++i) {
          const auto& field = view.schema().vectors()[i];
          if (graphs.lacking(i, field, rows.memtable_rows()) > most_finished) continue;
          while (graphs.step(i, field, rows.memtable_rows())) {
          }
          graphs.connect(i);
        }
      } catch (const std::exception&) {
        // The block goes without a graph, as it does where more rows are lacking.
      }
      return &graphs;
    }

   private:
    static constexpr std::uint64_t most_finished = 256;

    LiveIndex& index_;
  };

 private:
  static constexpr int rows_at_once = 16;  // of one field, before it is looked at what is visible now

  [[nodiscard]] static bool is_due(const View<P>& view) noexcept {
    const auto& vectors = view.schema().vectors();
    return view.rows().memtable_rows() >= least_live_rows<P> && view.rows().memtable()->graphs() != nullptr &&
           std::any_of(vectors.begin(), vectors.end(), [](const VectorField& field) { return std::holds_alternative<Hnsw>(field.index()); });
  }
  /// Links what is visible, until that is all. Who pauses it wakes it afterwards.
  void work() {
    for (bool more = true; more;) {
      more = false;
      const auto view = commits_.visible();
      if (!view || !is_due(*view)) return;
      const auto& rows = view->rows();
      auto& graphs = *rows.memtable()->graphs();
      for (std::size_t i = 0; i < view->schema().vectors().size(); ++i)
        for (int done = 0; done < rows_at_once; ++done) {
          if (thread_.stopping() || pauses_ != 0) return;
          const std::lock_guard guard(mutex_);
          if (!graphs.step(i, view->schema().vectors()[i], rows.memtable_rows())) break;
          more = true;
        }
    }
  }

  const CommitQueue<P>& commits_;
  std::atomic<bool> enabled_{false};
  std::atomic<bool> started_{false};
  std::mutex start_mutex_;
  std::atomic<int> pauses_{0};
  std::mutex mutex_;  // of whoever links a row
  Background thread_;
};

}  // namespace quiver::detail
