#include <quiver/collection/collection.hpp>

#include "support/policies.hpp"
#include "support/sanitized.hpp"

#include <boost/test/unit_test.hpp>

#include <atomic>
#include <thread>

using namespace quiver;
using namespace quiver::test;

namespace collection_threads {
namespace {

Document numbered(std::uint64_t i) { return Document{"k" + std::to_string(i), {{"n", i}, {"v", {static_cast<float>(i), 1.0f, 0.0f, 0.0f}}}}; }

bool duplicate_is_refused(Collection<MMapPolicy>& c, std::uint64_t i) {
  try {
    c.insert(numbered(i));
  } catch (const Error& e) {
    return e.code() == Errc::duplicate_key;
  }
  return false;
}

}  // namespace
}  // namespace collection_threads

BOOST_AUTO_TEST_SUITE(collection_threads)

// What every reader must see at any moment: whole batches, in order, from the first document on, each with its own values.
BOOST_AUTO_TEST_CASE_TEMPLATE(many_threads_read_while_one_inserts_and_flushes, P, WritablePolicies) {
  constexpr std::uint64_t batch = 25;
  const std::uint64_t batches = test::sanitized ? 12 : 60;
  const FreshFolder folder;
  auto c = Collection<P>::create(folder.path(), Schema{Field::uint64("n"), VectorField("v", 4)}, {.segment_rows = 200});
  std::atomic<bool> done{false};
  std::atomic<std::uint64_t> wrong{0}, looks{0};
  const auto check = [&](bool good) {
    if (!good) wrong.fetch_add(1);
  };
  const auto look = [&](std::uint64_t step) {
    const auto snapshot = c.snapshot();
    const auto count = snapshot.count();
    check(count % batch == 0 && c.count() >= count);
    const auto near = step * 31 % (batch * batches);
    const auto found = snapshot.search({.field = "v", .query = {static_cast<float>(near), 1.0f, 0.0f, 0.0f}, .k = 3});
    check(found.size() == std::min<std::size_t>(3, count));
    if (near < count)
      check(found[0].key == "k" + std::to_string(near) && found[0].distance == 0.0f && found[0].document.template get<std::uint64_t>("n") == near);
    const auto document = snapshot.fetch("k" + std::to_string(near));
    check(document.has_value() == (near < count));
    std::uint64_t next = 0;
    for (const auto& d : snapshot.scan({.fields = {"n"}})) check(d.template get<std::uint64_t>("n") == next++);
    check(next == count);
    check(c.stats().documents >= count);
    check(c.versions().size() <= 2);
    looks.fetch_add(1);
  };
  std::vector<std::thread> readers;
  for (int t = 0; t < 3; ++t)
    readers.emplace_back([&, t] {
      for (std::uint64_t step = static_cast<std::uint64_t>(t); !done.load(); step += 3) try {
          look(step);
        } catch (const Error& e) {
          check(false);
          BOOST_TEST_MESSAGE(e.what());
        }
    });
  for (std::uint64_t b = 0; b < batches; ++b) {
    std::vector<Document> documents;
    for (std::uint64_t i = 0; i < batch; ++i) documents.push_back(numbered(b * batch + i));
    c.insert(documents);
    if (b % 5 == 4) c.flush();
    const auto least = looks.load() + 1;
    while (looks.load() < least && wrong.load() == 0) std::this_thread::yield();
  }
  done.store(true);
  for (auto& reader : readers) reader.join();
  BOOST_TEST(wrong.load() == 0u);
  BOOST_TEST(c.count() == batch * batches);
}

BOOST_AUTO_TEST_CASE(many_threads_insert_and_every_acknowledged_document_is_there_once) {
  constexpr std::uint64_t writers = 4;
  const std::uint64_t each = test::sanitized ? 100 : 400;
  const FreshFolder folder;
  std::atomic<std::uint64_t> refused{0};
  {
    auto c = Collection<MMapPolicy>::create(folder.path(), Schema{Field::uint64("n"), VectorField("v", 4)}, {.flush_bytes = 20'000});
    std::vector<std::thread> threads;
    for (std::uint64_t w = 0; w < writers; ++w)
      threads.emplace_back([&, w] {
        for (std::uint64_t i = 0; i < each; ++i) {
          c.insert(numbered(w * each + i));
          if (i % 10 == 0) refused.fetch_add(duplicate_is_refused(c, w * each + i) ? 1 : 0);
          if (i % 100 == 99) c.flush();
        }
      });
    for (auto& thread : threads) thread.join();
  }
  auto c = Collection<MMapPolicy>::open(folder.path());
  BOOST_TEST(refused.load() == writers * each / 10);
  BOOST_TEST(c.verify().ok());
  std::vector<int> seen(writers * each);
  for (const auto& d : c.scan()) ++seen[*d.get<std::uint64_t>("n")];
  BOOST_TEST(std::count(seen.begin(), seen.end(), 1) == static_cast<std::ptrdiff_t>(seen.size()));
}

BOOST_AUTO_TEST_CASE(a_batch_search_on_many_threads_answers_as_on_one) {
  const FreshFolder folder;
  {
    auto c = Collection<MMapPolicy>::create(folder.path(), Schema{Field::uint64("n"), VectorField("v", 4)}, {.segment_rows = 300});
    for (std::uint64_t i = 0; i < 700; ++i) c.insert(numbered(i));
  }
  const auto c = Collection<FileReadPolicy>::open(folder.path());
  std::vector<float> queries;
  for (int q = 0; q < 200; ++q) queries.insert(queries.end(), {static_cast<float>(q * 3) + 0.25f, 1.0f, 0.0f, 0.0f});
  const auto alone = c.search_batch({.field = "v", .queries = queries, .k = 7, .threads = 1});
  const auto together = c.search_batch({.field = "v", .queries = queries, .k = 7, .threads = 4});
  BOOST_REQUIRE(together.size() == alone.size());
  for (std::size_t q = 0; q < alone.size(); ++q)
    for (std::size_t i = 0; i < 7; ++i) {
      BOOST_TEST((together[q][i].id == alone[q][i].id && together[q][i].distance == alone[q][i].distance));
      BOOST_TEST((together[q][i].document == alone[q][i].document));
    }
}

BOOST_AUTO_TEST_SUITE_END()
