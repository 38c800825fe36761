#include "storage/conformance.hpp"

BOOST_AUTO_TEST_SUITE(conformance_opening)

using namespace quiver;
using namespace quiver::test;

BOOST_AUTO_TEST_CASE_TEMPLATE(a_file_with_another_identity_is_refused, P, AllPolicies) {
  Place<P> place;
  const auto sample = place.add("seg-000001/blk-000001.scalar", 10'000);
  const auto store = place.open();
  const auto refused = [&](const FileIdentity& identity) {
    try {
      static_cast<void>(store.open("seg-000001/blk-000001.scalar", identity));
    } catch (const Error& e) {
      BOOST_TEST(e.path().string().find("blk-000001.scalar") != std::string::npos);
      BOOST_TEST(e.offset().has_value());
      return e.code() == Errc::corruption;
    }
    return false;
  };
  auto wrong = sample.identity;
  wrong.id.low ^= 1;
  BOOST_TEST(refused(wrong));
  wrong = sample.identity;
  wrong.id.high ^= 1;
  BOOST_TEST(refused(wrong));
  for (const std::uint64_t length : {std::uint64_t{0}, sample.identity.length - 1, sample.identity.length + 1, ~std::uint64_t{0}}) {
    wrong = sample.identity;
    wrong.length = length;
    BOOST_TEST(refused(wrong));
  }
  wrong = sample.identity;
  wrong.footer_checksum ^= 1;
  BOOST_TEST(refused(wrong));
  BOOST_TEST((code_of([&] { return store.open("seg-000001/blk-000001.scalar", sample.identity); }) == Errc::none));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_file_of_a_newer_format_is_refused_as_such, P, AllPolicies) {
  Place<P> place;
  const auto sample = make_sample(sample_bytes(10'000), 80, detail::block_format_version + 1);
  publish_sample(place.writer, "seg-000001/blk-000001.scalar", sample);
  BOOST_TEST((code_of([&] { return place.open().open("seg-000001/blk-000001.scalar", sample.identity); }) == Errc::version_mismatch));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(what_is_no_file_of_ours_is_refused, P, AllPolicies) {
  Place<P> place;
  for (const std::size_t size : {0u, 1u, 9u, 10u, 73u, 74u, 4096u, 10'000u}) {
    const auto name = "junk-" + std::to_string(size);
    place.add_bytes(name, sample_bytes(size));
    BOOST_TEST((code_of([&] { return place.open().open(name, {{1, 2}, size, 3}); }) == Errc::corruption));
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(what_is_not_there_is_not_found, P, AllPolicies) {
  Place<P> place;
  const auto sample = place.add("seg-000001/blk-000001.scalar", 100);
  const auto store = place.open();
  BOOST_TEST((code_of([&] { return store.open("seg-000001/blk-000002.scalar", sample.identity); }) == Errc::not_found));
  BOOST_TEST((code_of([&] { return store.open("seg-000002/blk-000001.scalar", sample.identity); }) == Errc::not_found));
  BOOST_TEST((code_of([&] { return store.read_small("MANIFEST_00000000000042"); }) == Errc::not_found));
  BOOST_TEST((code_of([&] { return P::open_store(place.path / "elsewhere", place.options, OpenMode::read_only); }) == Errc::not_found));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(small_files_are_read_whole, P, AllPolicies) {
  Place<P> place;
  const auto some = sample_bytes(12'345);
  place.add_bytes("MANIFEST_00000000000001", some);
  place.add_bytes("MANIFEST_00000000000002", {});
  BOOST_TEST(same(place.open().read_small("MANIFEST_00000000000001"), some));
  BOOST_TEST(place.open().read_small("MANIFEST_00000000000002").empty());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_listing_names_every_file_and_its_size, P, AllPolicies) {
  Place<P> place;
  const auto sample = place.add("seg-000001/blk-000001.scalar", 100);
  place.add_bytes("MANIFEST_00000000000001", sample_bytes(55));
  const auto store = place.open();
  const auto files = store.list();
  const auto size_of = [&](std::string_view name) {
    const auto found = std::find_if(files.begin(), files.end(), [name](const FileInfo& f) { return f.name == name; });
    return found == files.end() ? std::uint64_t{0} : found->size;
  };
  BOOST_TEST(size_of("seg-000001/blk-000001.scalar") == sample.bytes.size());
  BOOST_TEST(size_of("MANIFEST_00000000000001") == 55u);
  BOOST_TEST(place.names().size() == 2u);
  BOOST_TEST(store.path() == place.path);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_read_only_policy_opens_for_reading_alone, P, ReadOnlyPolicies) {
  Place<P> place;
  BOOST_TEST((code_of([&] { return P::open_store(place.path, place.options, OpenMode::read_write); }) == Errc::read_only));
}

BOOST_AUTO_TEST_SUITE_END()
