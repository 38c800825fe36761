#include <quiver/collection/background.hpp>

#include <quiver/collection/collection.hpp>
#include <quiver/storage/mmap.hpp>

#include "support/clusters.hpp"
#include "support/error_code.hpp"
#include "support/policies.hpp"
#include "support/soon.hpp"
#include "support/store_files.hpp"

#include <boost/test/unit_test.hpp>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <set>
#include <thread>
#include <utility>

using namespace quiver;
using namespace quiver::test;

namespace background {
namespace {

/// Fails calls of every thread but the one that planned it.
class BesideFileSystem : public PosixFileSystem {
 public:
  enum class Call { none, create, write, sync, rename };
  /// The call of that kind that comes after `skipped` others.
  static void plan(Call call, int error, int skipped) {
    failing = Call::none;
    owner = std::this_thread::get_id();
    error_number = error;
    left = skipped + 1;
    failing = call;
  }
  static inline std::atomic<int> left{0};  // calls of the kind, until one has failed

  static IoResult create_file(const Folder& in, const std::string& name, File& file) {
    return strikes(Call::create) ? failure() : PosixFileSystem::create_file(in, name, file);
  }
  static IoResult write_at(File& file, ByteSpan from, std::uint64_t offset) {
    return strikes(Call::write) ? failure() : PosixFileSystem::write_at(file, from, offset);
  }
  static IoResult sync_file(File& file, SyncSite site) { return strikes(Call::sync) ? failure() : PosixFileSystem::sync_file(file, site); }
  static IoResult rename_new(const Folder& in, const std::string& from, const std::string& to) {
    return strikes(Call::rename) ? failure() : PosixFileSystem::rename_new(in, from, to);
  }

 private:
  static inline std::thread::id owner;
  static inline int error_number = 0;
  static inline std::atomic<Call> failing{Call::none};

  static bool strikes(Call call) { return failing.load() == call && std::this_thread::get_id() != owner && left.load() > 0 && --left == 0; }
  static IoResult failure() { return {0, error_number}; }
};

using Beside = BasicMMapPolicy<BesideFileSystem>;
using Call = BesideFileSystem::Call;

Document numbered(int i) { return Document{"k" + std::to_string(i), {{"n", i}, {"v", {static_cast<float>(i), 1.0f}}}}; }
Schema numbered_schema() { return Schema{Field::int32("n"), VectorField("v", 2)}; }

/// Flushes of one document each, as many as make a merge in the background worth its while, but for the last.
template <class C>
void fill(C& c) {
  for (int i = 0; i < 7; ++i) {
    c.insert(numbered(i), {Durability::buffered});
    c.flush();
  }
}
bool says(const std::string& text, const std::string& words) { return text.find(words) != std::string::npos; }

/// Data files that no manifest in the folder names.
std::set<std::string> unnamed(const std::filesystem::path& path) {
  const auto store = MMapPolicy::open_store(path, {}, OpenMode::read_only);
  std::set<std::string> named, out;
  for (const auto number : detail::manifest_numbers<MMapPolicy>(store)) detail::add_names(detail::read_manifest<MMapPolicy>(store, number).version, named);
  for (const auto& file : store.list())
    if ((detail::is_data_file_name(file.name) || detail::is_temporary_name(file.name)) && !named.contains(file.name)) out.insert(file.name);
  return out;
}

}  // namespace
}  // namespace background

BOOST_AUTO_TEST_SUITE(background)

BOOST_AUTO_TEST_CASE(what_fails_is_tried_again_and_its_error_stays_until_then) {
  std::atomic<int> calls{0};
  std::atomic<bool> fails{true};
  detail::Background background;
  background.start([&] {
    if (++calls; fails) detail::fail(Errc::no_space, "call " + std::to_string(calls));
  });
  BOOST_TEST(soon([&] { return calls >= 2; }));
  BOOST_TEST(says(background.error(), "call 1"), background.error());
  fails = false;
  BOOST_TEST(soon([&] { return background.error().empty(); }));
  const int before = calls;
  background.wake();
  BOOST_TEST(soon([&] { return calls > before; }));
  background.stop();
  BOOST_TEST(background.stopping());
  background.stop();
}

BOOST_AUTO_TEST_CASE(wakes_do_not_hurry_what_failed) {
  using Clock = std::chrono::steady_clock;
  std::atomic<int> calls{0};
  std::array<Clock::time_point, 2> at;
  detail::Background background;
  background.start([&] {
    if (calls < 2) at[static_cast<std::size_t>(calls)] = Clock::now();
    ++calls;
    detail::fail(Errc::corruption, "damaged");
  });
  while (calls < 2) background.wake();
  background.stop();
  BOOST_TEST((at[1] - at[0] >= std::chrono::milliseconds(100)));  // a slow machine waits longer, none waits less
}

BOOST_AUTO_TEST_CASE(a_damaged_input_is_told_and_writing_and_reading_go_on) {
  const FreshFolder folder;
  auto c = Collection<MMapPolicy>::create(folder.path(), numbered_schema(), {.background_compaction = true});
  fill(c);
  BOOST_TEST(c.stats().background_error.empty());
  const std::string name = "seg-000001/blk-000003.scalar";
  const auto whole = read_store(folder.path()).at(name);
  const auto put_byte = [&](char byte) {
    std::fstream file(folder.path() / name, std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(static_cast<std::streamoff>(whole.size() / 4));
    file.put(byte);
  };
  put_byte(static_cast<char>(whole[whole.size() / 4] ^ 1));
  c.insert(numbered(7));
  c.flush();
  BOOST_TEST_REQUIRE(soon([&] { return !c.stats().background_error.empty(); }));
  BOOST_TEST(says(c.stats().background_error, name), c.stats().background_error);
  const auto version = c.stats().version;
  BOOST_TEST(c.segments()[0].rows == 8u);
  BOOST_TEST(!c.segments()[0].sealed);
  BOOST_TEST(unnamed(folder.path()).empty());
  for (int i = 8; i < 12; ++i) {
    c.insert(numbered(i));
    c.flush();
  }
  c.erase("k8");
  BOOST_TEST(c.count() == 11u);
  BOOST_TEST(c.stats().version == version + 4);
  BOOST_TEST(!c.stats().background_error.empty());
  put_byte(whole[whole.size() / 4]);
  BOOST_TEST(soon([&] { return c.stats().background_error.empty(); }));
  BOOST_TEST(c.segments()[0].sealed);
  BOOST_TEST(c.count() == 11u);
  BOOST_TEST(c.verify().ok());
  c.close();
  BOOST_TEST(Collection<MMapPolicy>::open(folder.path()).count() == 11u);
}

BOOST_AUTO_TEST_CASE(a_disk_that_is_full_for_a_while_spoils_nothing) {
  // The first file of a merge, or the manifest that names its three.
  using Strike = std::pair<Call, int>;
  for (const auto& [call, skipped] : {Strike{Call::write, 0}, Strike{Call::sync, 0}, Strike{Call::create, 3}, Strike{Call::sync, 3}, Strike{Call::rename, 3}}) {
    BOOST_TEST_CONTEXT("call " << static_cast<int>(call) << ", " << skipped) {
      const FreshFolder folder;
      auto c = Collection<Beside>::create(folder.path(), numbered_schema(), {.background_compaction = true});
      std::vector<Document> batch;
      for (int i = 0; i < 10; ++i) batch.push_back(numbered(i));
      c.insert(batch, {Durability::buffered});
      c.flush();
      c.erase({"k0", "k1", "k2"}, {Durability::buffered});
      BesideFileSystem::plan(call, ENOSPC, skipped);
      c.flush();
      BOOST_TEST_REQUIRE(soon([] { return BesideFileSystem::left == 0; }));
      BOOST_TEST_REQUIRE(soon([&] { return !c.stats().background_error.empty() || c.segments()[0].sealed; }));
      c.insert(numbered(10));
      c.flush();
      BOOST_TEST(soon([&] { return c.stats().background_error.empty() && c.segments()[0].sealed; }), c.stats().background_error);
      BOOST_TEST(c.stats().deleted == 0u);
      BOOST_TEST(c.count() == 8u);
      BOOST_TEST(unnamed(folder.path()).empty());
      c.close();
      BOOST_TEST(Collection<MMapPolicy>::open(folder.path()).count() == 8u);
    }
  }
  BesideFileSystem::plan(Call::none, 0, 0);
}

BOOST_AUTO_TEST_CASE(a_manifest_that_finds_no_room_leaves_none_of_the_files_that_it_was_to_name) {
  const FreshFolder folder;
  auto c = Collection<Beside>::create(folder.path(), numbered_schema(), {.background_compaction = true});
  fill(c);
  c.insert(numbered(7), {Durability::buffered});
  // Nothing was deleted and runs are few: a scalar block, a vector block, and then the manifest.
  BesideFileSystem::plan(Call::create, ENOSPC, 2);
  c.flush();
  BOOST_TEST(soon([&] { return !c.stats().background_error.empty(); }));
  BOOST_TEST(BesideFileSystem::left == 0);
  BOOST_TEST(unnamed(folder.path()).empty());
  BOOST_TEST(soon([&] { return c.segments()[0].sealed; }), c.stats().background_error);
  BOOST_TEST(names_with(folder.path(), "idmap-").size() == 8u);
  BOOST_TEST(c.count() == 8u);
  BOOST_TEST(c.verify().ok());
  BesideFileSystem::plan(Call::none, 0, 0);
}

BOOST_AUTO_TEST_CASE(what_is_deleted_in_segments_that_are_not_merged_stays_deleted) {
  const FreshFolder folder;
  auto c = Collection<MMapPolicy>::create(folder.path(), numbered_schema(), {.segment_rows = 10, .background_compaction = true});
  for (int segment = 0; segment < 3; ++segment) {
    std::vector<Document> batch;
    for (int i = 0; i < 10; ++i) batch.push_back(numbered(segment * 10 + i));
    c.insert(batch, {Durability::buffered});
    c.flush();
  }
  // Only the one in the middle has lost enough.
  c.erase({"k3", "k11", "k12", "k13", "k14", "k25"}, {Durability::buffered});
  c.flush();
  BOOST_TEST(soon([&] { return c.stats().deleted == 2u; }), c.stats().background_error);
  BOOST_TEST(c.count() == 24u);
  for (const auto* key : {"k3", "k12", "k25"}) BOOST_TEST(!c.fetch(key).has_value(), key);
  BOOST_TEST(c.verify().ok());
  c.close();
  BOOST_TEST(Collection<MMapPolicy>::open(folder.path()).count() == 24u);
}

// Only what nobody appends to any more gets a graph here: over all its rows, and those that are deleted stay so.
BOOST_AUTO_TEST_CASE(a_sealed_segment_gets_its_graph_with_the_deleted_rows_that_it_keeps) {
  constexpr std::size_t segment = 400;
  const Clusters data(2 * segment + 300, 8, 20, 4);
  const FreshFolder folder;
  std::set<std::string> dead;
  const auto check = [&](const auto& c) {
    const auto segments = c.segments();
    BOOST_REQUIRE(segments.size() == 3u);
    BOOST_TEST((segments[0].sealed && segments[0].rows == segment && segments[0].deleted == 40u));
    BOOST_TEST((segments[1].sealed && segments[1].rows == 200u && segments[1].deleted == 0u));
    BOOST_TEST(segments[2].rows == 300u);
    BOOST_TEST(c.count() == data.size() - dead.size());
    for (const auto& key : dead) BOOST_TEST(!c.fetch(key).has_value(), key);
    std::uint64_t visited = 0;
    for (std::size_t q = 0; q < 20; ++q) {
      const auto found = c.search({.field = "v", .query = data.query(q), .k = 10, .fields = FieldNames::none()});
      BOOST_TEST(found.size() == 10u);
      for (const auto& hit : found) BOOST_TEST(!dead.contains(hit.key));
      visited += found.stats().rows_visited;
    }
    BOOST_TEST_MESSAGE(visited / 20 << " rows looked at");
    BOOST_TEST(visited / 20 < c.count() * 3 / 4);
    std::size_t graphs = 0;
    for (const auto& name : names_with(folder.path(), "seg-")) graphs += name.ends_with(".vector_graph") ? 1 : 0;
    BOOST_TEST(graphs == 2u);
    BOOST_TEST(c.verify().ok());
  };
  {
    auto c = Collection<MMapPolicy>::create(folder.path(), Schema{VectorField("v", 8).index(Hnsw{.m = 6, .ef_construction = 40, .ef = 16})},
                                            {.segment_rows = segment, .background_compaction = true});
    std::vector<Document> batch;
    for (std::size_t i = 0; i < data.size(); ++i) {
      batch.push_back(Document{std::to_string(i), {{"v", data.row(i)}}});
      // Of the first segment too few to merge it, of the second half.
      if (i < segment ? i % 10 == 0 : i < 2 * segment && i % 2 == 0) dead.insert(batch.back().key());
    }
    c.insert(batch, {Durability::buffered});
    const std::vector<std::string> erased(dead.begin(), dead.end());
    c.erase(std::span<const std::string>(erased), {Durability::buffered});
    c.flush();
    BOOST_TEST(soon([&] { return c.segments()[1].rows == 200u || !c.stats().background_error.empty(); }));
    BOOST_TEST(c.stats().background_error == "");
    check(c);
  }
  check(Collection<MMapPolicy>::open(folder.path()));
}

BOOST_AUTO_TEST_SUITE_END()
