// Several runs of the id map written as one.
#pragma once

#include <quiver/ids/run.hpp>

#include <algorithm>
#include <concepts>
#include <queue>
#include <utility>
#include <vector>

namespace quiver::detail {

/// The entries of a run, one after another. Holds a few thousand of them; owns its scope.
template <class Reader, class Scope>
class RunCursor {
 public:
  RunCursor(const IdRun<Reader>& run, Scope scope) : run_(&run), scope_(std::move(scope)) { fill(); }

  [[nodiscard]] bool done() const noexcept { return buffer_.empty(); }
  [[nodiscard]] const std::pair<std::uint64_t, DocId>& entry() const noexcept { return buffer_[at_]; }
  void next() {
    if (++at_ == buffer_.size()) fill();
  }

 private:
  static constexpr std::uint64_t most = 4096;

  void fill() {
    at_ = 0;
    buffer_.resize(static_cast<std::size_t>(std::min(most, run_->size() - read_)));
    if (!buffer_.empty()) run_->read(scope_, read_, buffer_);
    read_ += buffer_.size();
  }

  const IdRun<Reader>* run_;
  Scope scope_;
  std::vector<std::pair<std::uint64_t, DocId>> buffer_;
  std::size_t at_ = 0;
  std::uint64_t read_ = 0;
};

/// Writes one run with the entries of all `runs` for which keep(DocId) is true. `scope()` makes a read scope; `step()` is called per entry and pass. Memory is
/// bounded by the number of runs; O(entries x log runs). The draft is left finished, not published.
template <class Draft, class Runs, class MakeScope, std::predicate<DocId> Keep, std::invocable Step>
[[nodiscard]] FileIdentity merge_id_runs(Draft& draft, const Runs& runs, MakeScope&& scope, Keep&& keep, Step&& step) {
  using EntryCursor = RunCursor<std::remove_cvref_t<decltype((*runs.begin())->block().reader())>, std::remove_cvref_t<decltype(scope())>>;
  return write_sorted_run(draft, [&](auto&& f) {
    std::vector<EntryCursor> cursors;
    cursors.reserve(runs.size());
    for (const auto& run : runs) cursors.emplace_back(*run, scope());
    const auto later = [&](std::size_t a, std::size_t b) {
      const auto &x = cursors[a].entry(), &y = cursors[b].entry();
      return x.first > y.first || (x.first == y.first && x.second < y.second);
    };
    std::priority_queue<std::size_t, std::vector<std::size_t>, decltype(later)> order(later);
    for (std::size_t i = 0; i < cursors.size(); ++i)
      if (!cursors[i].done()) order.push(i);
    while (!order.empty()) {
      const auto first = order.top();
      order.pop();
      const auto [fingerprint, doc] = cursors[first].entry();
      step();
      if (keep(doc)) f(fingerprint, doc);
      cursors[first].next();
      if (!cursors[first].done()) order.push(first);
    }
  });
}

}  // namespace quiver::detail
