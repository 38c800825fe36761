#include <quiver/manifest/codec.hpp>

#include <boost/test/unit_test.hpp>

#include "support/golden.hpp"
#include "support/raw_manifest.hpp"
#include "support/versions.hpp"

using namespace quiver;
using namespace quiver::detail;

namespace {

Bytes golden(const Version& version) { return test::repository_file("tests/golden/" + manifest_name(version.number)); }
ByteSpan payload(ByteSpan manifest) { return manifest.subspan(manifest_frame_size); }
bool equal(ByteSpan a, ByteSpan b) { return std::equal(a.begin(), a.end(), b.begin(), b.end()); }

}  // namespace

// The bytes of released formats never change: a failure here is an incompatible change, not an outdated file.
BOOST_AUTO_TEST_SUITE(golden_files)

BOOST_AUTO_TEST_CASE(the_golden_manifests_of_format_2_are_read_and_written_byte_for_byte) {
  for (const auto& version : {test::small_logged_version(), test::large_logged_version()}) {
    const auto name = manifest_name(version.number);
    const auto bytes = golden(version);
    BOOST_TEST(load<std::uint32_t>(&bytes[8]) == 2u, name);
    BOOST_TEST((encode_version(version) == bytes), name);
    BOOST_TEST((decode_version(bytes, "tests/golden/" + name) == version), name);
  }
}

BOOST_AUTO_TEST_CASE(the_golden_manifests_of_formats_3_to_5_are_read_and_written_byte_for_byte) {
  for (const auto& [version, format] : {std::pair{test::indexed_version(), 3u}, {test::quantized_version(), 4u}, {test::halves_version(), 5u}}) {
    const auto name = manifest_name(version.number);
    const auto bytes = golden(version);
    BOOST_TEST(load<std::uint32_t>(&bytes[8]) == format, name);
    BOOST_TEST((encode_version(version) == bytes), name);
    BOOST_TEST((decode_version(bytes, "tests/golden/" + name) == version), name);
  }
}

BOOST_AUTO_TEST_CASE(the_golden_manifests_of_format_1_are_read_with_the_defaults_of_what_they_lack) {
  for (const auto& version : {test::small_version(), test::large_version()}) {
    const auto name = manifest_name(version.number);
    const auto bytes = golden(version);
    BOOST_TEST(load<std::uint32_t>(&bytes[8]) == 1u, name);
    BOOST_TEST((test::raw_manifest(version, 1) == bytes), name);
    const auto read = decode_version(bytes, "tests/golden/" + name);
    BOOST_TEST((read == version), name);
    BOOST_TEST((read.log == LogRef{0, {}}), name);
    BOOST_TEST(read.last_sequence == 0u, name);
    BOOST_TEST((read.durability == Durability::sync), name);
    BOOST_TEST(!read.continues, name);
    for (const auto& kept : read.retained) BOOST_TEST(!kept.continues, name);
    BOOST_TEST((read.deletes == DeletesRef{}), name);
    BOOST_TEST(read.next_deletes == 1u, name);
    BOOST_TEST(read.writable(), name);
  }
}

BOOST_AUTO_TEST_CASE(what_was_read_in_format_1_is_written_in_format_2) {
  // Behind the payload of format 1: log number and id, last sequence, durability, continues, list of what continues, deletes with their count, next deletes.
  Bytes defaults(8 + 16 + 8 + 1 + 1 + 8 + (8 + 32) + 8);
  append(defaults, std::uint64_t{1});
  for (const auto& version : {test::small_version(), test::large_version()}) {
    const auto old = golden(version);
    const auto read = decode_version(old, {});
    BOOST_TEST(find_fault(read) == "");
    const auto bytes = encode_version(read);
    BOOST_TEST(load<std::uint32_t>(&bytes[8]) == 2u);
    BOOST_REQUIRE(bytes.size() == old.size() + defaults.size());
    BOOST_TEST(equal(payload(bytes).first(payload(old).size()), payload(old)));
    BOOST_TEST(equal(payload(bytes).subspan(payload(old).size()), defaults));
    BOOST_TEST((decode_version(bytes, {}) == read));
  }
}

BOOST_AUTO_TEST_CASE(damage_of_a_manifest_of_format_1_is_found_or_read_as_it_stands) {
  const auto bytes = golden(test::small_version());
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    BOOST_CHECK_EXCEPTION(static_cast<void>(decode_version(ByteSpan(bytes).first(length), {})), Error,
                          [](const Error& e) { return e.code() == Errc::corruption; });
    if (length < manifest_frame_size) continue;
    const auto cut = test::reframed(Bytes(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(length)));
    BOOST_CHECK_EXCEPTION(static_cast<void>(decode_version(cut, {})), Error, [](const Error& e) { return e.code() == Errc::corruption; });
  }
  std::size_t read = 0;
  for (std::size_t bit = manifest_frame_size * 8; bit < bytes.size() * 8; ++bit) {
    auto damaged = bytes;
    damaged[bit / 8] ^= std::byte{1} << (bit % 8);
    BOOST_CHECK_EXCEPTION(static_cast<void>(decode_version(damaged, {})), Error, [](const Error& e) { return e.code() == Errc::corruption; });
    damaged = test::reframed(std::move(damaged));
    try {
      const auto version = decode_version(damaged, {});
      ++read;
      BOOST_TEST((test::raw_manifest(version, 1) == damaged), "bit " << bit);
      BOOST_TEST((decode_version(encode_version(version), {}) == version), "bit " << bit);
    } catch (const Error& e) {
      BOOST_TEST((e.code() == Errc::corruption), "bit " << bit);
    }
  }
  BOOST_TEST(read > 0u);
}

BOOST_AUTO_TEST_CASE(the_worked_example_of_the_readme_is_the_golden_manifest) {
  const auto bytes = test::worked_example("include/quiver/manifest/README.md");
  BOOST_TEST((bytes == test::repository_file("tests/golden/MANIFEST_00000000000003")));
  const auto version = decode_version(bytes, "MANIFEST_00000000000003");
  BOOST_TEST(version.number == 3u);
  BOOST_REQUIRE(version.schema.find("year") != nullptr);
  BOOST_TEST((version.schema.find("year")->type() == FieldType::int32));
  BOOST_REQUIRE(version.schema.find_vector("v") != nullptr);
  BOOST_TEST(version.schema.find_vector("v")->dimension() == 4u);
  BOOST_TEST((version.schema.find_vector("v")->metric() == Metric::cosine));
  BOOST_REQUIRE(version.segments.size() == 1u);
  BOOST_TEST(version.segments[0].rows() == 3u);
  BOOST_TEST(version.documents == 2u);
  BOOST_TEST(version.log.number == 3u);
  BOOST_TEST(version.last_sequence == 5u);
  BOOST_TEST((version.durability == Durability::buffered));
  BOOST_TEST(version.deletes.file.name == "deletes-000001");
  BOOST_TEST(version.deletes.count == 1u);
  BOOST_TEST(version.next_deletes == 2u);
  BOOST_REQUIRE(version.retained.size() == 2u);
  BOOST_TEST(!version.retained[0].continues);
  BOOST_TEST(version.retained[1].continues);
}

BOOST_AUTO_TEST_SUITE_END()
