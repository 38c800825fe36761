#include <quiver/manifest/codec.hpp>

#include <boost/test/unit_test.hpp>

#include "support/peak_memory.hpp"
#include "support/versions.hpp"

#include <limits>

using namespace quiver;
using namespace quiver::detail;

namespace {

// Decodes under a valid length and checksum: the answer is a version or corruption, and memory stays within a small multiple of the bytes.
Errc decode_cheaply(Bytes bytes, const std::string& what) {
  store<std::uint64_t>(&bytes[24], bytes.size() - manifest_frame_size);
  store(&bytes[32], manifest_checksum(bytes));
  auto code = Errc::none;
  const test::PeakMemory peak;
  try {
    static_cast<void>(decode_version(bytes, {}));
  } catch (const Error& e) {
    code = e.code();
  }
  BOOST_TEST(peak.bytes() <= 8 * bytes.size() + (std::size_t{1} << 20), what << ": " << peak.bytes() << " bytes of memory for " << bytes.size());
  BOOST_TEST((code == Errc::none || code == Errc::corruption), what << ": " << to_string(code));
  return code;
}

const std::uint64_t lengths[] = {1,
                                 255,
                                 65'536,
                                 std::uint64_t{1} << 28,
                                 std::uint64_t{1} << 32,
                                 std::uint64_t{1} << 61,
                                 (std::uint64_t{1} << 61) + 1,
                                 std::uint64_t{1} << 63,
                                 std::numeric_limits<std::uint64_t>::max()};

}  // namespace

BOOST_AUTO_TEST_SUITE(hostile)

BOOST_AUTO_TEST_CASE(a_huge_number_anywhere_is_cheap) {
  const auto bytes = encode_version(test::large_version());
  for (std::size_t at = manifest_frame_size; at + 8 <= bytes.size(); ++at)
    for (const auto length : lengths) {
      auto changed = bytes;
      store(&changed[at], length);
      decode_cheaply(std::move(changed), std::to_string(length) + " at " + std::to_string(at));
    }
}

BOOST_AUTO_TEST_CASE(lists_as_long_as_a_megabyte_lets_them_be_are_cheap) {
  constexpr std::size_t size = std::size_t{1} << 20;
  const std::size_t schema_at = manifest_frame_size + 40;  // behind number, parent, store id and time
  // Of each list in turn, as many elements as could be there, all zeros or all ones; the lists before it empty.
  for (std::size_t list = 0; list < 4; ++list)
    for (const std::size_t least : {least_field, least_vector, least_segment, least_file, std::size_t{1}})
      for (const auto fill : {std::byte{0}, std::byte{1}, std::byte{255}}) {
        auto bytes = encode_version(test::small_version());
        const auto at = schema_at + list * 8;
        bytes.resize(at);
        std::fill(bytes.begin() + static_cast<std::ptrdiff_t>(schema_at), bytes.end(), std::byte{0});
        append(bytes, static_cast<std::uint64_t>(size / least));
        bytes.resize(at + 8 + size, fill);
        BOOST_TEST((decode_cheaply(std::move(bytes), "list " + std::to_string(list)) == Errc::corruption));
      }
}

BOOST_AUTO_TEST_CASE(many_fields_with_names_of_their_own_are_cheap) {
  // The widest schema there can be, and one field more.
  for (const std::size_t count : {Schema::max_fields, Schema::max_fields + 1}) {
    std::vector<FieldRecord> fields;
    for (std::size_t i = 0; i < count; ++i) fields.push_back({std::to_string(i), FieldType::int32, false, false});
    std::vector<VectorRecord> vectors;
    Version version;
    version.store_id = {1, 1};
    ByteOutputArchive out;
    transfer(out, version, fields, vectors);
    auto bytes = encode_version(test::small_version());
    bytes.resize(manifest_frame_size);
    append(bytes, ByteSpan(out.take()));
    BOOST_TEST((decode_cheaply(std::move(bytes), std::to_string(count)) == (count <= Schema::max_fields ? Errc::none : Errc::corruption)));
  }
}

BOOST_AUTO_TEST_SUITE_END()
