#include <quiver/ids/delete_set.hpp>

#include <boost/test/unit_test.hpp>

#include "support/replaced_new.hpp"
#include "support/sanitized.hpp"

#include <limits>
#include <map>
#include <random>
#include <set>

using namespace quiver;
using namespace quiver::detail;

namespace {

using Model = std::set<std::uint64_t>;

constexpr std::uint64_t largest = std::numeric_limits<std::uint64_t>::max();
constexpr std::uint64_t piece = DeletePiece::ids;
constexpr std::uint64_t node = 64 * piece;

DeleteSet set_of(std::span<const std::uint64_t> values) {
  std::vector<DocId> ids;
  for (const auto value : values) ids.push_back(DocId{value});
  return DeleteSet().with(ids);
}
DeleteSet set_of(std::initializer_list<std::uint64_t> values) { return set_of(std::span(values.begin(), values.size())); }

std::vector<std::uint64_t> ids_of(const DeleteSet& set, std::uint64_t first = 0, std::uint64_t last = largest) {
  std::vector<std::uint64_t> ids;
  set.for_each(DocId{first}, DocId{last}, [&](DocId id) { ids.push_back(id.value); });
  return ids;
}

using Pieces = std::map<std::uint64_t, const DeletePiece*>;
Pieces pieces_of(const DeleteSet& set) {
  Pieces pieces;
  set.for_each_piece([&](std::uint64_t number, const auto& p) { pieces[number] = p.get(); });
  return pieces;
}

bool equal(const DeleteSet& set, const Model& model) {
  const auto ids = ids_of(set);
  return set.size() == model.size() && set.empty() == model.empty() && std::equal(ids.begin(), ids.end(), model.begin(), model.end()) &&
         set.count(DocId{0}, DocId{largest}) == model.size();
}

// What the ranges say agrees with the model, and every id of `probes` is found or not as it should.
bool answers_as(const DeleteSet& set, const Model& model, std::span<const std::uint64_t> probes) {
  for (std::size_t i = 0; i < probes.size(); ++i) {
    if (set.contains(DocId{probes[i]}) != model.contains(probes[i])) return false;
    const auto first = probes[i], last = probes[(i + 1) % probes.size()];
    std::vector<std::uint64_t> expected;
    if (first <= last) expected.assign(model.lower_bound(first), model.upper_bound(last));
    if (ids_of(set, first, last) != expected) return false;
    if (set.count(DocId{first}, DocId{last}) != expected.size()) return false;
    if (set.any(DocId{first}, DocId{last}) != !expected.empty()) return false;
  }
  return true;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(delete_set)

BOOST_AUTO_TEST_CASE(an_empty_set_holds_nothing_and_needs_no_memory) {
  const DeleteSet none;
  BOOST_TEST(none.empty());
  BOOST_TEST(none.size() == 0u);
  BOOST_TEST(none.bytes() == 0u);
  BOOST_TEST(!none.contains(DocId{0}));
  BOOST_TEST(!none.contains(DocId{largest}));
  BOOST_TEST(!none.any(DocId{0}, DocId{largest}));
  BOOST_TEST(none.count(DocId{0}, DocId{largest}) == 0u);
  BOOST_TEST(ids_of(none).empty());
  BOOST_TEST(none.with({}).empty());
  BOOST_TEST(none.filtered([](DocId) { return true; }).empty());
}

BOOST_AUTO_TEST_CASE(ids_at_every_border_are_found_and_their_neighbours_are_not) {
  const std::uint64_t borders[] = {0, 63, 64, piece - 1, piece, 2 * piece, node - 1, node, 5 * node - 1, std::uint64_t{1} << 63, largest - piece, largest};
  for (const auto id : borders) {
    const auto set = set_of({id});
    BOOST_TEST(set.size() == 1u);
    BOOST_TEST(set.contains(DocId{id}));
    BOOST_TEST(!set.contains(DocId{id - 1}));
    BOOST_TEST(!set.contains(DocId{id + 1}));
    BOOST_TEST((ids_of(set) == std::vector<std::uint64_t>{id}));
    BOOST_TEST(set.any(DocId{id}, DocId{id}));
    BOOST_TEST(set.count(DocId{id}, DocId{id}) == 1u);
    if (id > 0) BOOST_TEST(!set.any(DocId{0}, DocId{id - 1}));
    if (id < largest) BOOST_TEST(!set.any(DocId{id + 1}, DocId{largest}));
    if (id > 0) BOOST_TEST(!set.any(DocId{id}, DocId{id - 1}));  // an empty range
  }
  const auto set = set_of(borders);
  const Model model(std::begin(borders), std::end(borders));
  BOOST_TEST(equal(set, model));
  std::vector<std::uint64_t> probes;
  for (const auto id : borders)
    for (const auto near : {id - 1, id, id + 1})
      for (const auto other : borders) probes.insert(probes.end(), {near, other});
  BOOST_TEST(answers_as(set, model, probes));
}

BOOST_AUTO_TEST_CASE(random_changes_agree_with_a_model_and_older_copies_keep_what_they_held) {
  for (unsigned seed = 1; seed <= 3; ++seed) {
    std::mt19937_64 random(seed);
    // Near each other, spread over a few nodes, or anywhere.
    const auto any_id = [&]() -> std::uint64_t {
      switch (random() % 8) {
        case 0:
          return random();
        case 1:
          return random() % 6 * node + random() % 3 - (random() % 2);
        case 2:
          return 40 * node + random() % 2000;
        default:
          return random() % (3 * node);
      }
    };
    DeleteSet set;
    Model model;
    std::vector<std::pair<DeleteSet, Model>> kept;
    const int steps = test::slow ? 2'000 : 12'000;
    for (int step = 0; step < steps; ++step) {
      if (random() % 400 == 0) {
        const auto divisor = 2 + random() % 5;
        const auto keep = [&](std::uint64_t id) { return id / 7 % divisor != 0; };
        set = set.filtered([&](DocId id) { return keep(id.value); });
        std::erase_if(model, [&](std::uint64_t id) { return !keep(id); });
      } else {
        std::vector<DocId> ids;
        const auto n = random() % 50 == 0 ? random() % 300 : random() % 4;
        for (std::uint64_t i = 0; i < n; ++i) ids.push_back(DocId{any_id()});
        if (n > 1 && random() % 4 == 0) ids.push_back(ids.front());
        if (!model.empty() && random() % 4 == 0) ids.push_back(DocId{*model.begin()});
        set = set.with(ids);
        for (const auto id : ids) model.insert(id.value);
      }
      if (set.size() != model.size()) BOOST_REQUIRE_MESSAGE(false, "seed " << seed << ", step " << step << ": " << set.size() << " of " << model.size());
      if (step % (steps / 20) == 0) {
        kept.emplace_back(set, model);
        std::vector<std::uint64_t> probes;
        for (int i = 0; i < 12; ++i) probes.push_back(any_id());
        for (int i = 0; i < 12 && !model.empty(); ++i) probes.push_back(*model.lower_bound(random() % *model.rbegin()));
        std::shuffle(probes.begin(), probes.end(), random);
        BOOST_TEST(answers_as(set, model, probes), "seed " << seed << ", step " << step);
      }
    }
    for (const auto& [old, what] : kept) BOOST_TEST(equal(old, what), "seed " << seed);
    BOOST_TEST(equal(set, model), "seed " << seed);
  }
}

BOOST_AUTO_TEST_CASE(a_change_copies_the_pieces_it_touches_once_and_shares_the_rest) {
  std::vector<std::uint64_t> ids;
  for (std::uint64_t p = 0; p < 200; ++p) ids.push_back(p * piece + p);
  const auto old = set_of(ids);
  const auto before = pieces_of(old);
  BOOST_TEST(before.size() == 200u);

  const std::uint64_t more[] = {5 * piece + 99, 150 * piece, 5 * piece + 98, 5 * piece + 99, 7 * piece + 7, 500 * piece};
  const auto changed = pieces_of(old.with(std::vector<DocId>{{more[0]}, {more[1]}, {more[2]}, {more[3]}, {more[4]}, {more[5]}}));
  BOOST_TEST(changed.size() == 201u);
  for (const auto& [number, address] : changed) {
    const bool touched = number == 5 || number == 150 || number == 500;  // piece 7 holds its id already
    const bool same = before.contains(number) && before.at(number) == address;
    BOOST_TEST(same != touched, "piece " << number);
  }
  BOOST_TEST((pieces_of(old) == before));
  BOOST_TEST(!old.contains(DocId{more[0]}));
  BOOST_TEST((pieces_of(old.with(std::vector<DocId>{{0}, {piece + 1}})) == before));
  BOOST_TEST((pieces_of(old.filtered([](DocId) { return true; })) == before));

  const auto fewer = pieces_of(old.filtered([](DocId id) { return id.value / piece != 9; }));
  BOOST_TEST(fewer.size() == 199u);
  for (const auto& [number, address] : fewer) BOOST_TEST((number != 9 && before.at(number) == address));
}

BOOST_AUTO_TEST_CASE(one_more_among_a_hundred_million_costs_one_piece_one_node_and_a_short_root) {
  std::vector<DocId> ids;
  for (std::uint64_t id = 0; id < 100'000'000; id += piece / 2) ids.push_back(DocId{id});
  const auto old = DeleteSet().with(ids);
  const DocId more[] = {DocId{50'000'001}};
  const auto before = test::live_bytes.load();
  const test::PeakMemory peak;
  const auto changed = old.with(more);
  BOOST_TEST(peak.bytes() < 8000u);
  BOOST_TEST(test::live_bytes - before < 8000u);
  BOOST_TEST(changed.size() == old.size() + 1);
  const auto again = test::live_bytes.load();
  const auto same = changed.with(ids), copy = changed, unchanged = changed.filtered([](DocId) { return true; });
  BOOST_TEST(test::live_bytes == again);  // nothing new: all is shared
  BOOST_TEST((same.size() == changed.size() && copy.size() == changed.size() && unchanged.size() == changed.size()));
}

BOOST_AUTO_TEST_CASE(memory_follows_the_ids_that_are_set_whatever_their_values) {
  std::mt19937_64 random(5);
  std::vector<DocId> ids;
  for (int i = 0; i < 100; ++i) ids.push_back(DocId{random() | std::uint64_t{1} << 63});
  const auto before = test::live_bytes.load();
  const test::PeakMemory peak;
  const auto set = DeleteSet().with(ids);
  BOOST_TEST(peak.bytes() < 600'000u);
  const auto used = static_cast<double>(test::live_bytes - before);
  BOOST_TEST(static_cast<double>(set.bytes()) > 0.8 * used);
  BOOST_TEST(static_cast<double>(set.bytes()) < 1.2 * used);
  BOOST_TEST(set.filtered([](DocId) { return false; }).bytes() == 0u);
}

BOOST_AUTO_TEST_CASE(a_set_made_anew_after_compaction_begins_high_and_is_found_as_fast) {
  // Only that every path of the lookup answers right: dense from a late first node, with a gap, and before and behind all.
  std::vector<std::uint64_t> ids;
  for (const std::uint64_t n : {100u, 101u, 102u, 104u, 109u}) ids.push_back(n * node + 5);
  const auto set = set_of(ids);
  for (std::uint64_t n = 95; n < 115; ++n) BOOST_TEST(set.contains(DocId{n * node + 5}) == (std::ranges::count(ids, n * node + 5) == 1), "node " << n);
}

BOOST_AUTO_TEST_CASE(a_change_that_runs_out_of_memory_leaves_everything_as_it_was) {
  const auto set = set_of({1, piece + 5, 70 * piece, 3 * node, largest});
  const Model model{1, piece + 5, 70 * piece, 3 * node, largest};
  const std::vector<DocId> more{{2}, {piece}, {64 * piece + 1}, {2 * node}, {largest - 1}, {2}};
  const auto sweep = [&](auto&& change, std::size_t expected) {
    const auto before = test::live_bytes.load();
    for (long n = 0;; ++n) {
      std::size_t size = 0;
      bool refused = false;
      try {
        const test::RefusedMemory from(n);
        size = change().size();
      } catch (const std::bad_alloc&) {
        refused = true;
      }
      BOOST_TEST(test::live_bytes == before);
      if (!refused) {
        BOOST_TEST(size == expected);
        BOOST_TEST(n > 5);
        break;
      }
      BOOST_TEST(equal(set, model));
    }
    BOOST_TEST(equal(set, model));
  };
  sweep([&] { return set.with(more); }, 10);
  sweep([&] { return set.filtered([](DocId id) { return id.value != largest; }); }, 4);
}

BOOST_AUTO_TEST_CASE(a_predicate_that_throws_changes_nothing) {
  const auto set = set_of({1, 2, 3 * node});
  int calls = 0;
  const auto keep = [&](DocId) -> bool {
    if (++calls == 3) throw std::runtime_error("no");
    return false;
  };
  BOOST_CHECK_THROW(static_cast<void>(set.filtered(keep)), std::runtime_error);
  BOOST_TEST(equal(set, {1, 2, 3 * node}));
}

BOOST_AUTO_TEST_SUITE_END()
