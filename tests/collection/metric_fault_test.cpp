// Changes of a metric whose calls fail, and whose machine stops, at every step.
#include <quiver/collection/metric_change.hpp>

#include <quiver/collection/collection.hpp>

#include "support/changed_metrics.hpp"
#include "support/crash_states.hpp"
#include "support/error_code.hpp"
#include "support/fault_sweep.hpp"
#include "support/sanitized.hpp"

#include <boost/test/unit_test.hpp>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_set>
#include <utility>

using namespace quiver;
using namespace quiver::test;

namespace metric_faults {
using namespace quiver::test::changed_metrics;
namespace {

using Recording = quiver::test::RecordingFileSystem;
using Recorded = BasicMMapPolicy<Recording>;
using Faults = quiver::test::FaultyFileSystem<Recording>;
using Faulty = BasicMMapPolicy<Faults>;
const std::filesystem::path store = "/stores/c";

/// Rows in a sealed segment, another one, and the log, some of each deleted; what searches answer under each metric.
class Case {
 public:
  Case(Metric from, Metric to, const IndexType& index) : from_(from), to_(to), index_(index), data_(Element::float32, 24, dimension, 5) {
    std::vector<std::size_t> left = numbers(0, 24);
    std::erase_if(left, [](std::size_t i) { return i == 2 || i == 12; });
    for (const auto metric : every_metric) right_[metric] = right_answers(data_, asked_, metric, left);
  }
  /// A killed writer's collection, all of it durable.
  void prepare() const {
    Recording::reset();
    Recording::make_folder("/stores");
    auto c = Collection<Recorded>::create(store, schema_of(Element::float32, from_, index_), {.segment_rows = 10, .live_index = false});
    insert(c, data_, numbers(0, 10));
    c.flush();
    insert(c, data_, numbers(10, 17));
    c.erase(key(2));
    c.flush();
    insert(c, data_, numbers(17, 24));
    c.erase(key(12));
    Recording::kill();
    Recording::mount(copy_tree(Recording::root()));
  }
  template <class C>
  void change(C& c, bool background) const {
    c.create_index("v", {.metric = to_}, {.threads = 1, .background = background});
  }
  /// The metric that it shows, if what it answers is right under it.
  template <class C>
  [[nodiscard]] std::optional<Metric> shown(const C& c) const {
    const auto metric = metric_of(c);
    return answers(c, asked_) == right_.at(metric) && (metric == from_ || metric == to_) ? std::optional(metric) : std::nullopt;
  }
  /// The same of what the disk holds, for readers and writers, all of it sound.
  [[nodiscard]] std::optional<Metric> held() const {
    const auto read = shown(Collection<Recorded>::open(store, {.mode = OpenMode::read_only}));
    auto c = Collection<Recorded>::open(store);
    if (shown(c) != read || !c.verify().ok()) return std::nullopt;
    c.upsert(document(data_, 23));
    c.create_index("v", {.metric = Metric::cosine});  // whatever was left behind
    return answers(c, asked_) == right_.at(Metric::cosine) && c.verify().ok() ? read : std::nullopt;
  }
  [[nodiscard]] Metric from() const noexcept { return from_; }
  [[nodiscard]] Metric to() const noexcept { return to_; }

 private:
  Metric from_, to_;
  IndexType index_;
  ElementRows data_, asked_{Element::float32, 4, dimension, 6};
  std::map<Metric, std::string> right_;
};

}  // namespace
}  // namespace metric_faults

BOOST_AUTO_TEST_SUITE(metric_faults)

BOOST_AUTO_TEST_CASE(a_change_whose_calls_fail_leaves_one_metric_or_the_other) {
  std::size_t injections = 0, later = 0;
  // In the background what is in memory is flushed and measured while writers wait.
  for (const bool background : {false, true})
    for (const auto& [from, to] : {std::pair(Metric::l2, Metric::cosine), std::pair(Metric::cosine, Metric::inner_product)}) {
      const Case run(from, to, background ? IndexType(Flat{}) : IndexType(graph));
      for (const int error : {EIO, ENOSPC, EINTR, 0})
        for (const bool for_ever : {false, true}) {
          if (for_ever != (error == ENOSPC) || (to != Metric::cosine && (background || error != EIO))) continue;
          for (std::size_t at = 1;; at += slow ? 3 : 1) {
            run.prepare();
            auto c = std::make_unique<Collection<Faulty>>(Collection<Faulty>::open(store));
            Faults::plan({.at = at, .error = error, .for_ever = for_ever});
            const auto failure = error_of([&] { run.change(*c, background); });
            const bool fired = Faults::fired() != 0, over = Faults::calls() < at;
            Faults::clear();
            BOOST_TEST_CONTEXT("call " << at << " fails with errno " << error << (for_ever ? " for ever: " : " once: ") << (failure ? failure->what() : "")) {
              if (fired) ++injections;
              if (error == EINTR || error == 0) BOOST_TEST(!failure.has_value());
              if (failure) {
                BOOST_TEST((failure->code() == Errc::io_error || failure->code() == Errc::no_space));
                BOOST_TEST(!failure->path().empty());
              }
              BOOST_TEST((run.shown(*c) == (failure ? run.from() : run.to())), "reading goes on");
              Recording::kill();
              c.reset();
              const auto metric = run.held();
              BOOST_TEST(metric.has_value());
              if (!failure) BOOST_TEST((metric == run.to()));
              later += std::size_t{failure.has_value() && metric == run.to()};
            }
            if (over) break;
          }
        }
    }
  BOOST_TEST_MESSAGE(injections << " injections, " << later << " changes that came all the same");
  BOOST_TEST(injections > (slow ? 300u : 900u));
}

BOOST_AUTO_TEST_CASE(a_machine_that_stops_during_a_change_leaves_one_metric_or_the_other) {
  for (const auto& [from, to] : {std::pair(Metric::l2, Metric::cosine), std::pair(Metric::cosine, Metric::inner_product)}) {
    const Case run(from, to, graph);
    run.prepare();
    const auto base = copy_tree(Recording::root());
    std::vector<Op> log;
    {
      auto c = Collection<Recorded>::open(store);
      run.change(c, false);
      log = Recording::log();
      Recording::kill();
    }
    const auto durable = durable_at(log);
    std::mt19937_64 random(7);
    std::unordered_set<std::uint64_t> seen;
    std::map<Metric, std::size_t> found;
    bool right = true;
    const auto check = [&](const Fates& fates, bool finished) {
      const auto disk = disk_after(base, log, fates);
      if (!finished && (!seen.insert(hash_tree(*disk)).second || (slow && seen.size() % 4 != 0))) return true;
      Recording::mount(disk);
      const auto metric = run.held();
      right = metric.has_value() && (!finished || metric == run.to());
      BOOST_TEST(right, "after " << fates.size() << " operations, " << to_string(fates));
      if (metric) ++found[*metric];
      return right;
    };
    for (std::size_t k = 0; k <= log.size() && right; ++k)
      for_each_crash(log, durable, k, {.exhaustive = 8, .pairs = 1, .random = 1, .torn = false}, random,
                     [&](const Fates& fates) { return check(fates, false); });
    check(durable_fates(durable, log.size()), true);
    BOOST_TEST_MESSAGE(log.size() << " operations; " << found[from] << " disks of the old metric, " << found[to] << " of the new one");
    BOOST_TEST((found[from] > 20u && found[to] != 0u));
  }
}

BOOST_AUTO_TEST_SUITE_END()
