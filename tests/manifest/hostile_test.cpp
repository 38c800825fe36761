#include <quiver/manifest/codec.hpp>

#include <boost/test/unit_test.hpp>

#include "support/peak_memory.hpp"
#include "support/raw_manifest.hpp"
#include "support/versions.hpp"

#include <limits>
#include <optional>

using namespace quiver;
using namespace quiver::detail;

namespace {

// Decodes under a valid length and checksum: the answer is a version or corruption, and memory stays within a small multiple of the bytes.
Errc decode_cheaply(Bytes bytes, const std::string& what) {
  bytes = test::reframed(std::move(bytes));
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
  for (const auto& version : {test::large_logged_version(), test::quantized_version()}) {
    const auto bytes = encode_version(version);
    for (std::size_t at = manifest_frame_size; at + 8 <= bytes.size(); ++at)
      for (const auto length : lengths) {
        auto changed = bytes;
        store(&changed[at], length);
        decode_cheaply(std::move(changed), std::to_string(length) + " at " + std::to_string(at));
      }
  }
}

BOOST_AUTO_TEST_CASE(lists_as_long_as_a_megabyte_lets_them_be_are_cheap) {
  constexpr std::size_t size = std::size_t{1} << 20;
  const std::size_t schema_at = manifest_frame_size + 40;  // behind number, parent, store id and time
  // Of each list in turn, as many elements as could be there, all zeros or all ones; the lists before it empty.
  // Where they begin behind that: fields, vectors, segments, runs, retained versions, versions that continue.
  for (const std::size_t list : {0u, 8u, 16u, 24u, 120u, 162u})
    for (const std::size_t least : {least_field, least_vector, least_segment, least_file, least_retained, std::size_t{8}, std::size_t{1}})
      for (const auto fill : {std::byte{0}, std::byte{1}, std::byte{255}}) {
        auto bytes = encode_version(test::small_version());
        const auto at = schema_at + list;
        bytes.resize(at);
        std::fill(bytes.begin() + static_cast<std::ptrdiff_t>(schema_at), bytes.end(), std::byte{0});
        append(bytes, static_cast<std::uint64_t>(size / least));
        bytes.resize(at + 8 + size, fill);
        BOOST_TEST((decode_cheaply(std::move(bytes), "list at " + std::to_string(list)) == Errc::corruption));
      }
}

// How far before the end the fields of format 2 stand in a manifest without deletes and without versions that continue.
constexpr std::size_t log_number_back = 98, durability_back = 66, continues_back = 65, continuing_back = 64, deletes_name_back = 56;

// How far before the end the reader stood when it refused; nullopt if it did not.
std::optional<std::size_t> refused_back(const Bytes& bytes) {
  try {
    static_cast<void>(decode_version(test::reframed(bytes), {}));
    return std::nullopt;
  } catch (const Error& e) {
    return bytes.size() - static_cast<std::size_t>(e.offset().value());
  }
}

BOOST_AUTO_TEST_CASE(every_byte_of_an_enum_and_of_a_truth_value_is_read_or_refused) {
  const auto bytes = encode_version(test::small_version());
  for (int byte = 0; byte < 256; ++byte)
    for (const auto back : {durability_back, continues_back}) {
      const auto known = byte <= (back == durability_back ? 2 : 1);
      auto changed = bytes;
      changed[bytes.size() - back] = static_cast<std::byte>(byte);
      const auto what = std::to_string(byte) + " " + std::to_string(back) + " bytes before the end";
      BOOST_TEST((decode_cheaply(changed, what) == (known ? Errc::none : Errc::corruption)), what);
      if (!known) BOOST_TEST((refused_back(changed) == back - 1), what);
      if (!known) continue;
      const auto version = decode_version(test::reframed(std::move(changed)), {});
      BOOST_TEST(static_cast<int>(back == durability_back ? static_cast<std::uint8_t>(version.durability) : version.continues) == byte);
    }
}

BOOST_AUTO_TEST_CASE(lists_behind_the_fields_of_format_1_are_held_against_the_bytes_left) {
  const auto bytes = encode_version(test::small_version());
  for (const auto back : {continuing_back, deletes_name_back})
    for (const auto length : lengths) {
      auto changed = bytes;
      store(&changed[bytes.size() - back], length);
      BOOST_TEST((decode_cheaply(std::move(changed), std::to_string(length)) == Errc::corruption), length << " at " << back);
    }
  // One number more than there is room for is refused at the count, before any is read.
  auto one_more = bytes;
  store<std::uint64_t>(&one_more[bytes.size() - continuing_back], deletes_name_back / 8 + 1);
  BOOST_TEST((refused_back(one_more) == deletes_name_back));
  // Many retained versions that continue, listed in order and in reverse.
  constexpr std::uint64_t count = 20'000;
  auto version = test::small_version();
  version.number = count;
  version.retained.clear();
  for (std::uint64_t i = 2; i < count; ++i) version.retained.push_back({i, 0, 0, true});
  auto lists = test::lists_of(version);
  BOOST_TEST((decode_cheaply(test::raw_manifest(version, lists), "all continue") == Errc::none));
  std::reverse(lists.continuing.begin(), lists.continuing.end());
  BOOST_TEST((decode_cheaply(test::raw_manifest(version, std::move(lists)), "all continue, in reverse") == Errc::corruption));
}

BOOST_AUTO_TEST_CASE(every_truncation_within_the_fields_of_format_2_is_corruption) {
  const auto bytes = encode_version(test::small_version());
  for (std::size_t cut = 1; cut <= log_number_back; ++cut) {
    auto changed = bytes;
    changed.resize(bytes.size() - cut);
    BOOST_TEST((decode_cheaply(std::move(changed), std::to_string(cut)) == Errc::corruption), cut << " bytes cut off");
  }
}

// The lists that end a manifest of format 4, and how far before its end each begins where all of them are empty but for one quantizer.
BOOST_AUTO_TEST_CASE(lists_behind_the_fields_of_format_2_are_held_against_the_bytes_left) {
  auto version = test::small_version();
  version.schema = Schema(version.schema.fields(), {VectorField("v", 4).metric(Metric::cosine).index(Hnsw{}).quantizer(Sq8{})});
  const auto bytes = encode_version(version);
  constexpr std::size_t codes_back = 8, quantizers_back = codes_back + 8 + least_quantizer, graphs_back = quantizers_back + 8,
                        indexes_back = graphs_back + 8 + least_index;
  for (const auto back : {indexes_back, graphs_back, quantizers_back, codes_back})
    for (const auto length : lengths) {
      auto changed = bytes;
      const auto was = load<std::uint64_t>(&changed[bytes.size() - back]);
      BOOST_TEST(was <= 1u);  // this is where a list begins
      if (was == length) continue;
      store(&changed[bytes.size() - back], length);
      BOOST_TEST((decode_cheaply(changed, std::to_string(length)) == Errc::corruption), length << " at " << back);
      // More elements than the bytes have room for are refused at the count, before any is read.
      if (length > back) BOOST_TEST((refused_back(changed) == back - 8), length << " at " << back);
    }
  for (std::size_t cut = 1; cut <= indexes_back; ++cut) {
    auto changed = bytes;
    changed.resize(bytes.size() - cut);
    BOOST_TEST((decode_cheaply(std::move(changed), std::to_string(cut)) == Errc::corruption), cut << " bytes cut off");
  }
}

BOOST_AUTO_TEST_CASE(the_list_of_elements_is_held_against_the_bytes_left) {
  auto version = test::small_version();
  version.schema = Schema(version.schema.fields(), {VectorField("v", 4).metric(Metric::cosine).element(Element::int8)});
  const auto bytes = encode_version(version);
  constexpr std::size_t back = 8 + least_element;
  BOOST_REQUIRE(load<std::uint64_t>(&bytes[bytes.size() - back]) == 1u);
  for (const auto length : lengths) {
    if (length == 1) continue;
    auto changed = bytes;
    store(&changed[bytes.size() - back], length);
    BOOST_TEST((decode_cheaply(changed, std::to_string(length)) == Errc::corruption), length);
    if (length > back) BOOST_TEST((refused_back(changed) == back - 8), length);
  }
  for (std::size_t cut = 1; cut <= back; ++cut) {
    auto changed = bytes;
    changed.resize(bytes.size() - cut);
    BOOST_TEST((decode_cheaply(std::move(changed), std::to_string(cut)) == Errc::corruption), cut << " bytes cut off");
  }
  for (int byte = 0; byte < 256; ++byte) {
    auto changed = bytes;
    changed.back() = static_cast<std::byte>(byte);
    const auto code = decode_cheaply(std::move(changed), std::to_string(byte));
    BOOST_TEST((code == (byte >= 1 && byte <= 3 ? Errc::none : Errc::corruption)), byte);
  }
}

BOOST_AUTO_TEST_CASE(many_fields_with_names_of_their_own_are_cheap) {
  // The widest schema there can be, and one field more.
  for (const std::size_t count : {Schema::max_fields, Schema::max_fields + 1}) {
    test::RawLists lists;
    for (std::size_t i = 0; i < count; ++i) lists.fields.push_back({std::to_string(i), FieldType::int32, false, false});
    Version version;
    version.store_id = {1, 1};
    auto bytes = test::raw_manifest(version, std::move(lists));
    BOOST_TEST((decode_cheaply(std::move(bytes), std::to_string(count)) == (count <= Schema::max_fields ? Errc::none : Errc::corruption)));
  }
}

BOOST_AUTO_TEST_SUITE_END()
