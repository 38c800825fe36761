#include <quiver/segment/memtable.hpp>

#include <boost/test/unit_test.hpp>

#include "support/sanitized.hpp"

#include <atomic>
#include <thread>

using namespace quiver;
using namespace quiver::detail;

// One thread appends, takes back and publishes; others read what is published. ThreadSanitizer watches.
BOOST_AUTO_TEST_CASE(readers_see_published_rows_whole_while_the_memtable_grows) {
  const Schema schema({Field("n", FieldType::uint64, false, false), Field("s", FieldType::string, false, false)}, {VectorField("v", 8).metric(Metric::cosine)});
  Memtable table(schema, DocId{1});
  std::atomic<std::uint64_t> published{0}, wrong{0};
  std::atomic<bool> done{false};
  std::vector<std::thread> readers;
  for (int t = 0; t < 3; ++t)
    readers.emplace_back([&] {
      for (std::uint64_t step = 1; !done.load(std::memory_order_acquire); ++step) {
        const auto rows = published.load(std::memory_order_acquire);
        if (rows == 0) continue;
        const auto row = step * 7919 % rows;
        const auto key = "k" + std::to_string(row);
        const bool good = table.key(row) == key && table.cell(0, row) == Cell{row} && table.cell(1, row) == Cell{std::string_view(key)} &&
                          load<float>(&table.vector(0, row)[3 * sizeof(float)]) == static_cast<float>(row) + 1 &&
                          table.find(key, fingerprint(key), rows) == row && !table.find("never", fingerprint("never"), rows);
        if (!good) wrong.fetch_add(1);
        if (step % 64 == 0) {
          std::uint64_t seen = 0;
          table.for_each_flat(0, rows, [&](std::uint64_t, const FlatRows& flat) { seen += flat.count; });
          if (seen != rows) wrong.fetch_add(1);
        }
      }
    });
  BoundRow bound;
  const auto append = [&](const std::string& key, std::uint64_t number) {
    Document d(key);
    d.set("n", number);
    d.set("s", key);
    d.set("v", std::vector<float>(8, static_cast<float>(number) + 1));
    bind_document(schema, d, bound);
    table.append(key, fingerprint(key), bound);
  };
  const std::uint64_t rows = test::sanitized ? 6'000 : 60'000;
  while (table.rows() < rows) {
    const auto mark = table.mark();
    for (int i = 0; i < 20; ++i) append("never", 0);
    // Keys that are published, in a batch that fails: they stay to be found where they are.
    for (std::uint64_t i = 0; i < (mark.rows == 0 ? 0u : 20u); ++i) append("k" + std::to_string(i * 7919 % mark.rows), 0);
    table.truncate(mark);
    for (int i = 0; i < 50; ++i) append("k" + std::to_string(table.rows()), table.rows());
    published.store(table.rows(), std::memory_order_release);
  }
  done.store(true, std::memory_order_release);
  for (auto& reader : readers) reader.join();
  BOOST_TEST(wrong.load() == 0u);
}
