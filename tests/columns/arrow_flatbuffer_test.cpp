#include <quiver/columns/arrow_flatbuffer.hpp>

#include <boost/test/unit_test.hpp>

using namespace quiver;
using namespace quiver::detail;

namespace {

// Reads tables as the format says, apart from the writer.
struct Table {
  ByteSpan all;
  std::size_t position;

  [[nodiscard]] std::size_t field(std::size_t slot) const {
    const auto vtable = static_cast<std::size_t>(static_cast<std::int64_t>(position) - load<std::int32_t>(&all[position]));
    const auto size = load<std::uint16_t>(&all[vtable]);
    if (4 + 2 * slot >= size) return 0;
    const auto place = load<std::uint16_t>(&all[vtable + 4 + 2 * slot]);
    return place == 0 ? 0 : position + place;
  }
  template <class T>
  [[nodiscard]] T value(std::size_t slot) const {
    BOOST_TEST(field(slot) % sizeof(T) == 0u);
    return load<T>(&all[field(slot)]);
  }
  [[nodiscard]] std::size_t target(std::size_t slot) const { return field(slot) + load<std::uint32_t>(&all[field(slot)]); }
  [[nodiscard]] std::string_view text(std::size_t slot) const {
    const auto at = target(slot);
    const auto length = load<std::uint32_t>(&all[at]);
    BOOST_TEST((all[at + 4 + length] == std::byte{0}));
    return as_text(all.subspan(at + 4, length));
  }
};

Table root(ByteSpan all) { return {all, load<std::uint32_t>(all.data())}; }

}  // namespace

BOOST_AUTO_TEST_SUITE(columns_arrow_flatbuffer)

BOOST_AUTO_TEST_CASE(a_table_is_read_as_it_was_written_and_its_fields_are_aligned) {
  FlatBuffer out;
  const auto table =
      out.put_root({flat_value(0, std::uint8_t{7}), flat_value(1, std::int64_t{-8}), flat_reference(2), flat_value(4, std::int16_t{-9}), flat_reference(6)});
  out.link(table.fields[2], out.put_string("four"));
  out.link(table.fields[6], out.put_string(""));
  const auto bytes = out.take();
  BOOST_TEST(bytes.size() % 8 == 0u);
  const auto found = root(bytes);
  BOOST_TEST(found.value<std::uint8_t>(0) == 7);
  BOOST_TEST(found.value<std::int64_t>(1) == -8);
  BOOST_TEST(found.text(2) == "four");
  BOOST_TEST(found.field(3) == 0u);
  BOOST_TEST(found.value<std::int16_t>(4) == -9);
  BOOST_TEST(found.text(6) == "");
  BOOST_TEST(found.field(7) == 0u);
}

BOOST_AUTO_TEST_CASE(vectors_hold_structs_aligned_and_tables_by_reference) {
  for (std::size_t lead = 0; lead < 9; ++lead) {
    FlatBuffer out;
    const auto table = out.put_root({flat_reference(0), flat_reference(1), flat_reference(2)});
    out.link(table.fields[2], out.put_string(std::string(lead, 'x')));
    out.link(table.fields[0], out.begin_vector(2, 8));
    for (const std::uint64_t number : {1u, 2u}) out.put(number);
    const auto vector = out.put_references(2);
    out.link(table.fields[1], vector);
    for (std::size_t i = 0; i < 2; ++i) {
      const auto child = out.put_table({flat_value(0, static_cast<std::uint32_t>(10 + i))});
      out.link(FlatBuffer::reference_at(vector, i), child.position);
    }
    const auto bytes = out.take();
    const auto found = root(bytes);
    const auto structs = found.target(0);
    BOOST_TEST(load<std::uint32_t>(&bytes[structs]) == 2u);
    BOOST_TEST((structs + 4) % 8 == 0u);
    BOOST_TEST(load<std::uint64_t>(&bytes[structs + 12]) == 2u);
    for (std::size_t i = 0; i < 2; ++i) {
      const auto at = FlatBuffer::reference_at(found.target(1), i);
      const Table child{bytes, at + load<std::uint32_t>(&bytes[at])};
      BOOST_TEST(child.value<std::uint32_t>(0) == 10 + i);
    }
  }
}

BOOST_AUTO_TEST_CASE(a_table_without_fields_is_a_table) {
  FlatBuffer out;
  static_cast<void>(out.put_root({}));
  const auto bytes = out.take();
  BOOST_TEST(root(bytes).field(0) == 0u);
}

BOOST_AUTO_TEST_SUITE_END()
