#include <quiver/block/format.hpp>

#include <boost/test/unit_test.hpp>

#include <functional>

using namespace quiver;
using namespace quiver::detail;

namespace {

const std::filesystem::path path = "store/a.block";
constexpr std::uint64_t data_length = 1024;

Bytes directory(const std::vector<Section>& sections) {
  Bytes bytes;
  for (const auto& section : sections) append_section(bytes, section);
  return bytes;
}

// The offset of the corruption that parsing ends in; nullopt where it is accepted.
std::optional<std::uint64_t> refused_at(ByteSpan bytes) {
  try {
    static_cast<void>(parse_directory(bytes, data_length, path));
    return std::nullopt;
  } catch (const Error& e) {
    BOOST_TEST(to_string(e.code()) == "corruption");
    BOOST_TEST(e.path() == path);
    return e.offset();
  }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(block_format)

BOOST_AUTO_TEST_CASE(each_kind_of_block_file_keeps_its_number_and_its_name) {
  const std::vector<std::string_view> names{"unknown", "scalar", "unknown", "vector_index", "vector_quant", "id_run", "deletes", "vector_graph", "unknown"};
  for (std::size_t number = 0; number < names.size(); ++number) BOOST_TEST(to_string(static_cast<BlockKind>(number)) == names[number], number);
}

BOOST_AUTO_TEST_CASE(a_directory_is_read_as_it_was_written) {
  const std::string longest(section_name_size, 'n');
  const auto sections = parse_directory(directory({{"a", 0, 10}, {"b", 64, 0}, {"c", 64, 64}, {longest, 960, 64}}), data_length, path);
  BOOST_REQUIRE(sections.size() == 4u);
  BOOST_TEST(sections[0].name == "a");
  BOOST_TEST(sections[2].offset == 64u);
  BOOST_TEST(sections[3].name == longest);
  BOOST_TEST(sections[3].length == 64u);
  BOOST_TEST(parse_directory({}, data_length, path).empty());
}

BOOST_AUTO_TEST_CASE(a_directory_that_is_no_whole_number_of_entries_is_refused) {
  auto bytes = directory({{"a", 0, 10}});
  for (const std::size_t size : {std::size_t{1}, std::size_t{47}}) BOOST_TEST((refused_at(ByteSpan(bytes).first(size)) == data_length));
  bytes.push_back(std::byte{0});
  BOOST_TEST((refused_at(bytes) == data_length));
}

BOOST_AUTO_TEST_CASE(more_sections_than_the_bound_are_refused) {
  std::vector<Section> sections;
  for (std::size_t i = 0; i < max_sections; ++i) sections.push_back({"s" + std::to_string(i), 0, 0});
  BOOST_TEST(!refused_at(directory(sections)));
  sections.push_back({"one more", 0, 0});
  BOOST_TEST((refused_at(directory(sections)) == data_length));
}

BOOST_AUTO_TEST_CASE(names_are_printable_and_padded_with_zeros) {
  for (const std::string_view name : {std::string_view(""), std::string_view("a b"), std::string_view("a\0b", 3), std::string_view("\x7f"),
                                      std::string_view("\xc3\xa9"), std::string_view("a\n")})
    BOOST_TEST((refused_at(directory({{std::string(name), 0, 1}})) == data_length));
  auto bytes = directory({{"x", 0, 1}, {"a", 64, 1}});
  bytes[directory_entry_size + 31] = std::byte{'z'};
  BOOST_TEST((refused_at(bytes) == data_length + directory_entry_size));
}

BOOST_AUTO_TEST_CASE(a_name_is_used_once) { BOOST_TEST(refused_at(directory({{"a", 0, 1}, {"b", 64, 1}, {"a", 128, 1}})).has_value()); }

BOOST_AUTO_TEST_CASE(sections_lie_within_the_data_aligned_and_apart) {
  const auto second = data_length + directory_entry_size + section_name_size;
  constexpr auto huge = ~std::uint64_t{0};
  for (const auto& [offset, length] : std::vector<std::pair<std::uint64_t, std::uint64_t>>{
           {65, 1}, {0, 1}, {960, 65}, {1088, 0}, {huge - 63, 1}, {huge - 63, 64}, {128, huge}, {128, huge - 127}})
    BOOST_TEST((refused_at(directory({{"a", 0, 65}, {"b", offset, length}})) == second), "offset " << offset << ", length " << length);
  BOOST_TEST(!refused_at(directory({{"a", 0, 65}, {"b", 128, 896}})));
}

BOOST_AUTO_TEST_CASE(every_flipped_bit_gives_a_sound_directory_or_corruption) {
  const auto bytes = directory({{"keys", 0, 100}, {"values", 128, 512}, {"end", 640, 384}});
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    auto damaged = bytes;
    damaged[bit / 8] ^= std::byte{1} << (bit % 8);
    try {
      std::uint64_t end = 0;
      for (const auto& section : parse_directory(damaged, data_length, path)) {
        BOOST_TEST((section.offset % 64 == 0 && section.offset >= end && section.length <= data_length - section.offset));
        end = section.offset + section.length;
      }
    } catch (const Error& e) {
      BOOST_TEST(to_string(e.code()) == "corruption");
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()
