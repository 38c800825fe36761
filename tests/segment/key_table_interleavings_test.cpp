#include <quiver/segment/key_table.hpp>

#include "support/interleavings.hpp"

#include <boost/test/unit_test.hpp>

#include "support/sanitized.hpp"

#include <array>
#include <map>
#include <utility>
#include <vector>

using namespace quiver;
using namespace quiver::test;

namespace {

constexpr std::uint64_t nowhere = ~std::uint64_t{0};
// All begin in the same place of the table; all but the last look alike in it.
constexpr std::uint64_t a = (std::uint64_t{7} << 32) | 1, b = a + 64, d = a + 128, e = a + 192, c = (std::uint64_t{8} << 32) | 1;

/// A memtable of keys alone. Thread 0 writes; the others look for what was published to them.
class Keys {
 public:
  explicit Keys(std::uint64_t capacity) : table_(capacity) {}

  void append(std::uint64_t key) {
    texts_[rows_.size()].write();
    table_.insert(key, rows_.size());
    rows_.push_back(key);
  }
  void take_back(std::size_t rows) {
    table_.truncate(rows);
    rows_.resize(rows);
  }
  void publish() {
    for (std::uint64_t row = 0; row < rows_.size(); ++row) newest_[{rows_.size(), rows_[row]}] = row;
    published_.store(rows_.size(), std::memory_order_release);
  }
  void look(std::uint64_t key) {
    const auto rows = published_.load(std::memory_order_acquire);
    const auto found = table_.find(key, [&](std::uint64_t row) {
      if (row >= rows) return false;
      texts_[row].read();
      return rows_[row] == key;
    });
    const auto known = newest_.find({rows, key});
    const auto right = known == newest_.end() ? nowhere : known->second;
    if (found != right)
      Interleavings::here->fault("row " + (found == nowhere ? "none" : std::to_string(found)) + " is found for " + std::to_string(right) + " among " +
                                 std::to_string(rows));
  }

 private:
  detail::BasicKeyTable<ModelAtomics> table_;
  std::array<Plain, 8> texts_;
  std::vector<std::uint64_t> rows_;
  std::map<std::pair<std::uint64_t, std::uint64_t>, std::uint64_t> newest_;
  ModelAtomics::Atomic<std::uint64_t> published_{0};
};

/// One writer and one reader of a table with one published row.
struct Scenario {
  static constexpr unsigned threads = 2;
  explicit Scenario(std::uint64_t capacity) : keys(capacity) {
    keys.append(a);
    keys.publish();
  }
  void end() { keys.look(a); }
  Keys keys;
};

struct Growing : Scenario {
  static constexpr const char* name = "growing";
  Growing() : Scenario(1) {}
  void run(unsigned thread) {
    if (thread == 1) return keys.look(a), keys.look(b);
    keys.append(b);  // in a new table
    keys.publish();
    keys.append(d);
    keys.append(e);  // in another; the first has no room for it
    keys.append(a);
    keys.publish();
  }
};

struct Failing : Scenario {
  static constexpr const char* name = "failing";
  Failing() : Scenario(8) {}
  void run(unsigned thread) {
    if (thread == 1) return keys.look(a), keys.look(c);
    keys.append(a);
    keys.take_back(1);
    keys.append(c);
    keys.publish();
  }
};

/// The other way round: the row that was taken back leads on to an older one now, and did not before.
struct FailingBefore : Scenario {
  static constexpr const char* name = "failing before";
  FailingBefore() : Scenario(8) {}
  void run(unsigned thread) {
    if (thread == 1) return keys.look(c), keys.look(a);
    keys.append(c);
    keys.take_back(1);
    keys.append(a);
    keys.publish();
  }
};

/// What is taken back stands behind a row that is published, and not to everyone.
struct FailingLater : Scenario {
  static constexpr const char* name = "failing later";
  FailingLater() : Scenario(8) {}
  void run(unsigned thread) {
    if (thread == 1) return keys.look(a), keys.look(a);
    keys.append(a);
    keys.publish();
    keys.append(a);
    keys.take_back(2);
  }
};

/// The batch that fails makes the table grow: a reader who is still in the old one finds there what was never taken out of it.
struct FailingAndGrowing : Scenario {
  static constexpr const char* name = "failing and growing";
  FailingAndGrowing() : Scenario(8) {}
  void run(unsigned thread) {
    if (thread == 1) return keys.look(a);
    keys.append(a);
    keys.append(c);
    keys.append(c);
    keys.take_back(1);
    keys.append(b);
    keys.publish();
  }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(key_table_interleavings)

BOOST_AUTO_TEST_CASE(in_every_order_a_reader_finds_the_newest_row_that_was_published_to_it) {
  check_schedules<Growing, Failing, FailingBefore, FailingLater, FailingAndGrowing>({.preemptions = test::slow ? 2 : 3, .old_values = 1});
}

// Without optimisation this takes long, and shows no more.
BOOST_AUTO_TEST_CASE(every_operation_is_needed_as_it_is, *boost::unit_test::enable_if<!test::slow>()) {
  check_mutants<Growing, Failing, FailingBefore, FailingLater, FailingAndGrowing>(
      "quiver/segment/key_table.hpp", {.preemptions = 2, .old_values = 1},
      {{"find: load 1 removed", "an older count makes it look again"}, {"find: load 2 relaxed", "it comes behind loads that acquire"}});
}

BOOST_AUTO_TEST_SUITE_END()
