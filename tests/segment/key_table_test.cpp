#include <quiver/segment/key_table.hpp>

#include <boost/test/unit_test.hpp>

#include <random>

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

BOOST_AUTO_TEST_SUITE_END()
