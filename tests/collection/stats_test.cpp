#include <quiver/collection/collection.hpp>
#include <quiver/collection/verify_path.hpp>

#include "support/policies.hpp"
#include "support/store_files.hpp"

#include <boost/test/unit_test.hpp>

#include <map>
#include <set>

using namespace quiver;
using namespace quiver::test;

namespace stats {
namespace {

Schema texts() { return Schema{Field::string("text"), VectorField("v", 2), VectorField("w", 3).metric(Metric::cosine)}; }
Document text(int i, std::size_t length = 10) {
  const auto key = "k" + std::to_string(1000 + i);  // keys of one length: every such document takes the same room
  return Document{key, {{"text", std::string(length, 't')}, {"v", {static_cast<float>(i), 1.0f}}, {"w", {1.0f, static_cast<float>(i), 2.0f}}}};
}
std::vector<Document> texts_from(int first, int count) {
  std::vector<Document> out;
  for (int i = first; i < first + count; ++i) out.push_back(text(i));
  return out;
}

using Bytes = decltype(Stats::bytes);

std::map<std::string, std::uint64_t> sizes(const std::filesystem::path& store) {
  std::map<std::string, std::uint64_t> out;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(store))
    if (entry.is_regular_file()) out[std::filesystem::relative(entry.path(), store).string()] = entry.file_size();
  return out;
}
/// By the names of the files that are in the folder now; data files of older versions alone are not `present`.
Bytes on_disk(const std::filesystem::path& store, const std::set<std::string>& older = {}) {
  Bytes out;
  for (const auto& [name, size] : sizes(store)) {
    if (older.contains(name)) continue;
    if (name.ends_with(".scalar")) out.scalar += size;
    if (name.ends_with(".vector_index")) out.vector_index += size;
    if (name.starts_with("idmap-")) out.ids += size;
    if (name.starts_with("deletes-")) out.deletes += size;
    if (name.starts_with("wal-")) out.wal += size;
    if (name.starts_with("MANIFEST_")) out.manifests += size;
  }
  out.total = out.scalar + out.vector_index + out.ids + out.deletes + out.wal + out.manifests;
  return out;
}
std::set<std::string> data_files(const std::filesystem::path& store) {
  std::set<std::string> out;
  for (const auto& [name, size] : sizes(store))
    if (!name.starts_with("wal-") && !name.starts_with("MANIFEST_")) out.insert(name);
  return out;
}
void expect_same(const Bytes& told, const Bytes& found) {
  BOOST_TEST(told.scalar == found.scalar);
  BOOST_TEST(told.scalar_index == 0u);
  BOOST_TEST(told.vector_index == found.vector_index);
  BOOST_TEST(told.vector_quant == 0u);
  BOOST_TEST(told.ids == found.ids);
  BOOST_TEST(told.deletes == found.deletes);
  BOOST_TEST(told.wal == found.wal);
  BOOST_TEST(told.manifests == found.manifests);
  BOOST_TEST(told.total == found.total);
  BOOST_TEST(told.total == told.scalar + told.scalar_index + told.vector_index + told.vector_quant + told.ids + told.deletes + told.wal + told.manifests);
}
/// What a policy keeps of the files in memory.
template <StoragePolicy P>
std::uint64_t held(const Bytes& bytes) {
  return P::name == std::string_view("memory") ? bytes.scalar + bytes.vector_index + bytes.ids : 0;
}
struct Counts {
  std::uint64_t documents, deleted, segments, version, versions, memtable_documents;
};
void expect_counts(const Stats& s, const Counts& c) {
  BOOST_TEST(s.documents == c.documents);
  BOOST_TEST(s.deleted == c.deleted);
  BOOST_TEST(s.segments == c.segments);
  BOOST_TEST(s.version == c.version);
  BOOST_TEST(s.versions == c.versions);
  BOOST_TEST(s.memtable_documents == c.memtable_documents);
}

}  // namespace
}  // namespace stats

BOOST_AUTO_TEST_SUITE(stats)

BOOST_AUTO_TEST_CASE_TEMPLATE(every_number_moves_with_what_it_counts, P, WritablePolicies) {
  const FreshFolder folder;
  const auto path = folder.path();
  auto c = Collection<P>::create(path, texts(), {.segment_rows = 8});
  std::set<std::string> older;
  const auto check = [&](const char* after, const Counts& counts, std::uint64_t in_memory) {
    BOOST_TEST_CONTEXT("after " << after) {
      const auto s = c.stats();
      expect_counts(quiver::stats(path), counts);
      expect_same(quiver::stats(path).bytes, on_disk(path, older));
      expect_counts(s, counts);
      expect_same(s.bytes, on_disk(path, older));
      BOOST_TEST(s.resident == in_memory + held<P>(s.bytes));
    }
  };
  check("create", {0, 0, 0, 1, 1, 0}, 0);
  c.insert(text(0));
  const auto one = c.stats().resident;
  BOOST_TEST(one >= 5 + 10 + 5 * sizeof(float));
  check("an insert", {1, 0, 0, 1, 1, 1}, one);
  c.insert(texts_from(1, 4));
  check("a batch", {5, 0, 0, 1, 1, 5}, 5 * one);
  c.insert(text(5, 110));
  check("a longer text", {6, 0, 0, 1, 1, 6}, 6 * one + 100);
  c.erase("k1000");
  check("an erase in memory", {5, 1, 0, 1, 1, 6}, 6 * one + 100);
  c.upsert(text(1));
  check("an upsert in memory", {5, 2, 0, 1, 1, 7}, 7 * one + 100);
  c.flush();
  check("a flush", {5, 2, 1, 2, 2, 0}, 0);
  BOOST_TEST(c.stats().bytes.deletes > 0u);
  c.insert(texts_from(10, 4));
  c.flush();  // the first fills the segment, the others begin the next
  check("the flush of a second segment", {9, 2, 2, 3, 2, 0}, 0);
  c.erase({"k1002", "k1010", "k9999"});
  check("an erase of what is flushed", {7, 4, 2, 3, 2, 0}, 0);
  for (const auto& name : data_files(path))
    if (name.starts_with("deletes-")) older.insert(name);
  c.flush();
  check("the flush of deletes", {7, 4, 2, 4, 2, 0}, 0);
  c.flush();
  check("a flush of nothing", {7, 4, 2, 4, 2, 0}, 0);
  older = data_files(path);
  c.optimize();
  check("an optimize", {7, 0, 1, 5, 2, 0}, 0);
  BOOST_TEST(c.stats().bytes.deletes == 0u);
  const auto merged = data_files(path);
  c.rollback_to(4);
  older.clear();
  for (const auto& name : merged)
    if (name.starts_with("seg-000003/")) older.insert(name);
  BOOST_TEST(!older.empty());
  for (const auto& name : {"idmap-000003"}) BOOST_TEST(older.insert(name).second);
  for (const auto& name : data_files(path))
    if (name == "deletes-000001") older.insert(name);
  check("a rollback", {7, 4, 2, 6, 2, 0}, 0);
  c.insert(text(20));
  check("an insert after it", {8, 4, 2, 6, 2, 1}, one);
  c.close();
  older.clear();
  c = Collection<P>::open(path);
  BOOST_TEST_CONTEXT("opened again") {
    expect_counts(c.stats(), {8, 4, 2, 7, 2, 0});
    BOOST_TEST(c.verify().ok());
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_reopen_after_a_death_counts_what_was_replayed_and_makes_no_version, P, WritablePolicies) {
  const FreshFolder folder;
  std::uint64_t resident = 0;
  {
    auto c = Collection<P>::create(folder.path("living.qvr"), texts());
    c.insert(texts_from(0, 4));
    c.flush();
    c.insert(texts_from(4, 3));
    c.erase({"k1001", "k1005"});
    resident = c.stats().resident;
    expect_counts(c.stats(), {5, 2, 1, 2, 2, 3});
    copy_store(folder.path("living.qvr"), folder.path());
  }
  auto c = Collection<P>::open(folder.path());
  expect_counts(c.stats(), {5, 2, 1, 2, 2, 3});
  BOOST_TEST(c.stats().resident == resident);
  expect_same(c.stats().bytes, on_disk(folder.path()));
  c.flush();
  expect_counts(c.stats(), {5, 2, 1, 4, 2, 0});
  expect_same(c.stats().bytes, on_disk(folder.path()));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_reader_counts_the_moment_that_it_shows, P, AllPolicies) {
  const FreshFolder folder;
  auto writer = Collection<MMapPolicy>::create(folder.path(), texts());
  writer.insert(texts_from(0, 4));
  writer.flush();
  auto reader = Collection<P>::open(folder.path(), {.mode = OpenMode::read_only});
  const auto check = [&](const char* when, const Counts& counts) {
    BOOST_TEST_CONTEXT(when) {
      const auto s = reader.stats();
      expect_counts(s, counts);
      expect_same(s.bytes, on_disk(folder.path()));
      if (P::name != std::string_view("file_read")) BOOST_TEST(s.resident == writer.stats().resident + held<P>(s.bytes));
    }
  };
  check("as it was opened", {4, 0, 1, 2, 2, 0});
  const auto flushed = reader.stats().resident;
  writer.insert(texts_from(4, 2));
  writer.erase("k1000");
  expect_counts(reader.stats(), {4, 0, 1, 2, 2, 0});
  BOOST_TEST(reader.stats().resident == flushed);
  reader.refresh();
  check("moved to what is in the log", {5, 1, 1, 2, 2, 2});
  BOOST_TEST(reader.stats().resident - flushed == writer.stats().resident);
  writer.flush();
  reader.refresh();
  check("moved to the next version", {5, 1, 1, 3, 2, 0});
  const auto past = Collection<P>::open(folder.path(), {.at_version = 2});
  expect_counts(past.stats(), {4, 0, 1, 2, 2, 0});
  BOOST_TEST(past.stats().bytes.deletes == 0u);
  BOOST_TEST(past.stats().bytes.scalar < reader.stats().bytes.scalar);
  BOOST_TEST(past.stats().resident == flushed);
}

BOOST_AUTO_TEST_CASE(explicit_reads_hold_the_footers_of_the_files) {
  const FreshFolder folder;
  auto c = Collection<MMapPolicy>::create(folder.path(), texts());
  c.insert(texts_from(0, 900));
  c.flush();
  const auto s = Collection<FileReadPolicy>::open(folder.path()).stats();
  BOOST_TEST(s.resident > 0u);
  BOOST_TEST(s.resident < held<MemoryPolicy>(s.bytes) / 4);
}

BOOST_AUTO_TEST_CASE(a_volatile_collection_has_no_log_and_holds_all_in_memory) {
  auto c = Collection<MemoryPolicy>::create(texts());
  c.insert(texts_from(0, 4));
  const auto before = c.stats();
  expect_counts(before, {4, 0, 0, 1, 1, 4});
  BOOST_TEST(before.bytes.wal == 0u);
  BOOST_TEST(before.bytes.manifests > 0u);
  c.flush();
  const auto after = c.stats();
  expect_counts(after, {4, 0, 1, 2, 2, 0});
  BOOST_TEST(after.resident == held<MemoryPolicy>(after.bytes));
  BOOST_TEST(after.resident > 0u);
}

BOOST_AUTO_TEST_SUITE_END()
