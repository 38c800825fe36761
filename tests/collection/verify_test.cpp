#include <quiver/collection/verify.hpp>

#include <quiver/collection/verify_path.hpp>

#include "support/forging.hpp"

#include <boost/test/unit_test.hpp>

using namespace quiver;
using namespace quiver::test;

namespace verifying {
namespace {

using namespace quiver::test::forging;

/// A run of these fingerprints and ids in the place of all that the newest version has.
void put_run(const Left& store, std::vector<std::pair<std::uint64_t, DocId>> entries) {
  auto version = store.newest();
  auto folder = MMapPolicy::open_store(store.path(), {}, OpenMode::read_write);
  auto draft = folder.create("idmap-000009");
  version.id_runs = {{"idmap-000009", detail::write_id_run(draft, std::move(entries))}};
  version.next_run = 10;
  folder.publish(std::span(&draft, 1));
  store.put(version);
}

}  // namespace
}  // namespace verifying

BOOST_AUTO_TEST_SUITE(verifying)

BOOST_AUTO_TEST_CASE(a_folder_without_a_collection_is_told) {
  const FreshFolder folder;
  fs::create_directories(folder.path());
  const auto report = verify(folder.path());
  BOOST_TEST_REQUIRE(report.problems.size() == 1u);
  BOOST_TEST((report.problems[0].code == Errc::not_found && report.problems[0].path == folder.path()), report.problems[0].what);
}

BOOST_AUTO_TEST_CASE(keys_are_not_looked_up_where_a_file_is_damaged_and_the_deletes_are_whole) {
  const Left store;
  const auto run = store.newest().id_runs.front().name;
  BOOST_TEST_REQUIRE(!store.newest().deletes.file.name.empty());
  auto bytes = read_store(store.path()).at(run);
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 0x20);
  put_file(store.path(run), bytes);
  const auto report = verify(store.path());
  BOOST_TEST_REQUIRE(report.problems.size() == 1u, report.problems.back().what);
  BOOST_TEST(report.problems.front().path == store.path(run));
}

BOOST_AUTO_TEST_CASE(ids_under_the_fingerprint_of_a_key_that_lead_elsewhere_are_passed_over_and_one_must_lead_to_it) {
  using detail::fingerprint;
  // k0 is document 1, k2 document 3; the newest of a fingerprint comes first. As where keys collide: document 3 under that of k0; and document 90 is in no
  // block.
  const Left store;
  const std::vector<std::pair<std::uint64_t, DocId>> others{
      {fingerprint("k2"), DocId{3}}, {fingerprint("k1"), DocId{2}}, {fingerprint("k0"), DocId{3}}, {fingerprint("k0"), DocId{90}}};
  auto entries = others;
  entries.emplace_back(fingerprint("k0"), DocId{1});
  put_run(store, entries);
  BOOST_TEST(verify(store.path()).ok());
  BOOST_TEST(keys(store.path()) == "k2 k3 ");

  const Left without;
  put_run(without, others);
  const auto report = verify(without.path());
  BOOST_TEST_REQUIRE(report.problems.size() == 1u);
  BOOST_TEST(report.problems.front().what.find("'k0'") != std::string::npos, report.problems.front().what);
}

BOOST_AUTO_TEST_SUITE_END()
