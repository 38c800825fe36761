#include <quiver/segment/stable_rows.hpp>

#include <boost/test/unit_test.hpp>

using namespace quiver::detail;

BOOST_AUTO_TEST_SUITE(stable_rows)

BOOST_AUTO_TEST_CASE(rows_keep_their_place_and_value_however_many_follow) {
  for (const std::size_t stride : {1u, 3u, 100u, 65536u}) {
    const std::uint64_t rows = stride > 1000 ? 40 : 100'000 / stride;
    StableRows<float> all(stride);
    std::vector<const float*> places;
    for (std::uint64_t r = 0; r < rows; ++r) {
      float* row = all.grow(r);
      for (std::size_t i = 0; i < stride; ++i) row[i] = static_cast<float>(r * 7 + i);
      places.push_back(row);
    }
    std::size_t wrong = 0;
    for (std::uint64_t r = 0; r < rows; ++r) {
      wrong += all.row(r) != places[r] ? 1 : 0;
      for (std::size_t i = 0; i < stride; ++i) wrong += all.row(r)[i] != static_cast<float>(r * 7 + i) ? 1 : 0;
    }
    BOOST_TEST(wrong == 0u, "stride " << stride);
  }
}

BOOST_AUTO_TEST_CASE(pieces_are_contiguous_and_are_all_rows_once) {
  StableRows<std::uint32_t> all(2);
  constexpr std::uint64_t rows = 70'000;
  for (std::uint64_t r = 0; r < rows; ++r) {
    auto* row = all.grow(r);
    row[0] = static_cast<std::uint32_t>(r), row[1] = ~row[0];
  }
  for (const std::uint64_t wanted : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{4096}, std::uint64_t{4097}, rows}) {
    std::uint64_t next = 0;
    std::size_t wrong = 0;
    all.for_each_piece(wanted, [&](std::uint64_t first, const std::uint32_t* data, std::size_t count) {
      wrong += first != next || count == 0 ? 1 : 0;
      for (std::size_t i = 0; i < count; ++i) wrong += data[i * 2] != first + i || data[i * 2 + 1] != ~data[i * 2] ? 1 : 0;
      next = first + count;
    });
    BOOST_TEST(next == wanted);
    BOOST_TEST(wrong == 0u);
  }
}

BOOST_AUTO_TEST_CASE(an_arena_keeps_texts_where_they_are_and_tells_empty_from_none) {
  Arena arena;
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < 3000; ++i) texts.emplace_back(i % 7 == 0 ? i * 40 : i % 11, static_cast<char>('a' + i % 26));
  std::vector<std::string_view> kept;
  for (const auto& text : texts) kept.push_back(arena.keep(std::string_view(text)));
  const auto list = arena.keep(texts), none = arena.keep(quiver::Strings{});
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < texts.size(); ++i) wrong += kept[i] != texts[i] || list[i] != texts[i] || kept[i].data() == nullptr ? 1 : 0;
  BOOST_TEST(wrong == 0u);
  BOOST_TEST(none.empty());
  BOOST_TEST(none.data() != nullptr);
}

BOOST_AUTO_TEST_SUITE_END()
