#include <quiver/segment/key_table.hpp>

#include <boost/test/unit_test.hpp>

#include <map>
#include <random>
#include <utility>
#include <vector>

using quiver::detail::KeyTable;

namespace {

constexpr auto nowhere = ~std::uint64_t{0};

/// Looks a fingerprint up as if it were the key: row r matches if it was entered under it.
struct Model {
  KeyTable table;
  std::vector<std::uint64_t> prints;
  void insert(std::uint64_t print) {
    table.insert(print, prints.size());
    prints.push_back(print);
  }
  [[nodiscard]] std::uint64_t find(std::uint64_t print) const {
    return table.find(print, [&](std::uint64_t row) { return row < prints.size() && prints[row] == print; });
  }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(key_table)

BOOST_AUTO_TEST_CASE(rows_are_found_while_the_table_grows) {
  Model model;
  std::mt19937_64 random(1);
  for (int i = 0; i < 50'000; ++i) {
    const auto print = random();
    BOOST_REQUIRE(model.find(print) == nowhere);
    model.insert(print);
    BOOST_REQUIRE(model.find(print) == static_cast<std::uint64_t>(i));
  }
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < model.prints.size(); ++i) wrong += model.find(model.prints[i]) != i ? 1 : 0;
  BOOST_TEST(wrong == 0u);
}

BOOST_AUTO_TEST_CASE(fingerprints_that_collide_wholly_or_in_half_are_told_apart_by_the_key) {
  KeyTable table;
  for (std::uint64_t row = 0; row < 100; ++row) table.insert(42, row);  // one fingerprint for all
  for (std::uint64_t row = 0; row < 100; ++row) BOOST_TEST(table.find(42, [&](std::uint64_t r) { return r == row; }) == row);
  BOOST_TEST(table.find(42, [](std::uint64_t) { return false; }) == nowhere);
  // One chain, wrapped around the end of the table, and one upper half.
  Model model;
  for (std::uint64_t i = 0; i < 300; ++i) model.insert((std::uint64_t{7} << 32) | (i << 20) | 0x3FFu);
  for (std::uint64_t i = 0; i < 300; ++i) BOOST_TEST(model.find(model.prints[i]) == i);
}

BOOST_AUTO_TEST_CASE(many_at_once_are_found_as_one_after_another_are) {
  std::mt19937_64 random(3);
  Model model;
  for (const std::size_t count : {0u, 1u, 15u, 16u, 17u, 600u, 3u, 5000u}) {
    std::vector<std::uint64_t> prints;
    // Some again, within the call and from the one before.
    for (std::size_t i = 0; i < count; ++i) prints.push_back(random() % (count + 10));
    model.table.insert(prints, model.prints.size());
    model.prints.insert(model.prints.end(), prints.begin(), prints.end());
    BOOST_TEST(model.table.rows() == model.prints.size());
  }
  std::map<std::uint64_t, std::uint64_t> newest;
  for (std::uint64_t row = 0; row < model.prints.size(); ++row) newest[model.prints[row]] = row;
  for (const auto& [print, row] : newest) BOOST_REQUIRE(model.find(print) == row);
}

BOOST_AUTO_TEST_CASE(taking_back_leaves_the_table_as_it_was) {
  std::mt19937_64 random(2);
  Model model;
  for (int round = 0; round < 40; ++round) {
    const auto before = model.prints.size();
    const auto added = random() % 150;
    // Few low bits: long chains.
    for (std::uint64_t i = 0; i < added; ++i) model.insert((random() << 32) | (random() % 64));
    if (round % 3 == 0) continue;
    const auto gone = std::vector(model.prints.begin() + static_cast<std::ptrdiff_t>(before), model.prints.end());
    model.prints.resize(before);
    model.table.truncate(before);
    std::size_t wrong = 0;
    for (const auto print : gone) wrong += model.find(print) != nowhere ? 1 : 0;
    for (std::size_t i = 0; i < before; ++i) wrong += model.find(model.prints[i]) != i ? 1 : 0;
    BOOST_REQUIRE(wrong == 0u);
  }
}

BOOST_AUTO_TEST_CASE(a_key_that_is_written_often_costs_one_look_each_time) {
  KeyTable table;
  std::uint64_t looks = 0, wrong = 0;
  const auto newest = [&](std::uint64_t print, std::uint64_t row) { wrong += table.find(print, [&](std::uint64_t) { return ++looks, true; }) != row ? 1 : 0; };
  constexpr std::uint64_t times = 300'000;
  for (std::uint64_t row = 0; row < times; ++row) {
    table.insert(77, row);
    newest(77, row);
  }
  // Neighbours in the table, and the other half of one fingerprint.
  for (std::uint64_t print = 78; print < 200; ++print) table.insert(print, times + print - 78);
  for (std::uint64_t print = 78; print < 200; ++print) newest(print, times + print - 78);
  newest(77, times - 1);
  BOOST_TEST(wrong == 0u);
  BOOST_TEST(looks == times + 123);
  BOOST_TEST(table.find(77 + (std::uint64_t{1} << 32), [](std::uint64_t) { return true; }) == nowhere);
}

BOOST_AUTO_TEST_CASE(chains_are_kept_by_growth_and_restored_by_truncate) {
  constexpr std::uint64_t prints = 97;
  KeyTable table;
  // Few fingerprints, two keys under each; upper halves are equal in threes, so that a slot may look like another's.
  const auto print = [](std::uint64_t i) { return (i % prints / 3 << 32) | (i % prints * 5); };
  const auto check = [&](std::uint64_t rows) {
    std::size_t wrong = 0;
    for (std::uint64_t i = 0; i < prints; ++i)
      for (const std::uint64_t parity : {0u, 1u}) {
        std::uint64_t expected = nowhere;
        for (std::uint64_t row = i; row < rows; row += prints)
          if (row % 2 == parity) expected = row;
        wrong += table.find(print(i), [&](std::uint64_t row) { return row % prints == i && row % 2 == parity; }) != expected ? 1 : 0;
      }
    BOOST_TEST_REQUIRE(wrong == 0u, rows << " rows");
  };
  std::uint64_t rows = 0;
  for (; rows < 5'000; ++rows) table.insert(print(rows), rows);  // grows several times
  check(rows);
  for (const std::uint64_t left : {4'999u, 2'600u, 1'000u, 98u, 97u, 50u, 0u}) {
    table.truncate(rows = left);
    check(rows);
    for (std::uint64_t row = rows; row < rows + 300; ++row) table.insert(print(row * 7), row);
    table.truncate(rows);
    check(rows);
  }
}

BOOST_AUTO_TEST_CASE(a_row_that_is_taken_back_and_entered_again_while_someone_looks_hides_no_older_row) {
  KeyTable table;
  table.insert(1, 0);
  table.insert(1, 1);  // of a batch that is not published, and fails
  bool once = true;
  const auto found = table.find(1, [&](std::uint64_t row) {
    if (row == 0) return true;
    if (std::exchange(once, false)) {
      table.truncate(1);
      table.insert(2, 1);
    }
    return false;
  });
  BOOST_TEST(found == 0u);
}

BOOST_AUTO_TEST_SUITE_END()
