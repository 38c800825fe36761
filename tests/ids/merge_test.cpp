#include <quiver/ids/merge.hpp>

#include <boost/test/unit_test.hpp>

#include "support/block_bytes.hpp"

#include <memory>
#include <random>

using namespace quiver;
using namespace quiver::detail;
using test::BytesDraft;
using test::BytesReader;
using test::BytesScope;

namespace {

using Entries = std::vector<std::pair<std::uint64_t, DocId>>;
using Run = IdRun<BytesReader>;

// Runs in memory, as a version holds them.
class Runs {
 public:
  void add(Entries entries) {
    BytesDraft draft;
    const auto identity = write_id_run(draft, std::move(entries));
    files_.push_back(std::make_unique<Bytes>(std::move(draft.bytes)));
    BytesScope scope;
    runs_.push_back(std::make_shared<Run>(BytesReader(*files_.back()), scope, identity));
  }
  [[nodiscard]] const std::vector<std::shared_ptr<const Run>>& all() const noexcept { return runs_; }

 private:
  std::vector<std::unique_ptr<Bytes>> files_;
  std::vector<std::shared_ptr<const Run>> runs_;
};

Entries in_order(Entries entries) {
  std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) { return a.first < b.first || (a.first == b.first && a.second > b.second); });
  return entries;
}

template <class Keep>
Entries merged(const Runs& runs, Keep&& keep, std::size_t* steps = nullptr) {
  BytesDraft draft;
  const auto identity = merge_id_runs(
      draft, runs.all(), [] { return BytesScope(); }, keep,
      [&] {
        if (steps != nullptr) ++*steps;
      });
  BytesScope scope;
  const Run run(BytesReader(draft.bytes), scope, identity);
  Entries out(static_cast<std::size_t>(run.size()));
  run.read(scope, 0, out);
  return out;
}

bool all_of_them(DocId) { return true; }

}  // namespace

BOOST_AUTO_TEST_SUITE(id_run_merge)

BOOST_AUTO_TEST_CASE(runs_of_any_length_become_one_in_order) {
  // A cursor holds 4,096 entries at a time.
  for (const auto& sizes : std::vector<std::vector<std::size_t>>{{5, 3}, {4096, 4097, 1}, {10'000, 7, 9'000}, {1}}) {
    std::mt19937_64 random(sizes.size());
    Runs runs;
    Entries model;
    std::uint64_t id = 0;
    for (const auto size : sizes) {
      Entries entries;
      for (std::size_t i = 0; i < size; ++i) entries.emplace_back(random() % 5000, DocId{id++});  // many of one fingerprint, in all runs
      model.insert(model.end(), entries.begin(), entries.end());
      runs.add(std::move(entries));
    }
    std::size_t steps = 0;
    BOOST_TEST((merged(runs, all_of_them, &steps) == in_order(model)));
    BOOST_TEST(steps == 3 * model.size());
  }
}

BOOST_AUTO_TEST_CASE(runs_without_entries_add_nothing) {
  Runs runs;
  BOOST_TEST(merged(runs, all_of_them).empty());
  runs.add({});
  BOOST_TEST(merged(runs, all_of_them).empty());
  runs.add({{2, DocId{1}}, {1, DocId{2}}});
  runs.add({});
  BOOST_TEST((merged(runs, all_of_them) == Entries{{1, DocId{2}}, {2, DocId{1}}}));
}

BOOST_AUTO_TEST_CASE(what_is_not_to_be_kept_is_left_out) {
  Runs runs;
  runs.add({{1, DocId{1}}, {2, DocId{2}}, {3, DocId{3}}});
  runs.add({{1, DocId{4}}, {3, DocId{5}}});
  BOOST_TEST((merged(runs, [](DocId id) { return id.value % 2 == 1; }) == Entries{{1, DocId{1}}, {3, DocId{5}}, {3, DocId{3}}}));
  BOOST_TEST(merged(runs, [](DocId) { return false; }).empty());
}

BOOST_AUTO_TEST_SUITE_END()
