// Backups while others write.
#include <quiver/collection/collection.hpp>

#include <quiver/collection/verify_path.hpp>

#include "support/policies.hpp"
#include "support/sanitized.hpp"

#include <boost/test/unit_test.hpp>

#include <atomic>
#include <thread>

using namespace quiver;
using namespace quiver::test;

BOOST_AUTO_TEST_SUITE(copy_threads)

BOOST_AUTO_TEST_CASE(a_backup_beside_a_writer_is_of_one_moment) {
  const FreshFolder folder;
  auto c = Collection<MMapPolicy>::create(folder.path(), Schema{Field::int32("n"), VectorField("v", 2)}, {.durability = Durability::none, .segment_rows = 300});
  std::atomic<bool> stop{false};
  std::atomic<int> written{0};
  std::exception_ptr failure;
  // Batch i replaces what batch i - 50 wrote: at any moment there are the last 50.
  std::thread writer([&] {
    try {
      for (int i = 0; !stop; ++i) {
        c.upsert(Document{"k" + std::to_string(i % 50), {{"n", i}, {"v", {static_cast<float>(i), 1.0f}}}});
        written = i + 1;
        if (i % 70 == 69) c.flush();
      }
    } catch (...) {
      failure = std::current_exception();
    }
  });
  while (written < 100) std::this_thread::yield();
  const int rounds = test::sanitized ? 6 : 12;
  for (int round = 0; round < rounds; ++round) {
    const auto path = folder.path("backup" + std::to_string(round));
    const auto before = written.load();
    round % 3 == 2 ? c.copy_to<CheckedMMapPolicy>(path).close() : c.backup(path);
    const auto after = written.load() + 1;
    const auto report = verify(path);
    BOOST_TEST(report.ok(), (report.ok() ? "" : report.problems.front().what));
    const auto copy = Collection<MMapReadPolicy>::open(path);
    BOOST_TEST(copy.count() == 50u);
    int least = std::numeric_limits<int>::max(), most = 0;
    for (const auto& d : copy.scan()) least = std::min(least, *d.get<int>("n")), most = std::max(most, *d.get<int>("n"));
    BOOST_TEST(most - least == 49);  // a prefix of the writes, without a hole
    BOOST_TEST((most + 1 >= before && most < after));
    while (written < after + 100 && !failure) std::this_thread::yield();
  }
  stop = true;
  writer.join();
  BOOST_TEST((failure == nullptr));
  BOOST_TEST(c.verify().ok());
}

BOOST_AUTO_TEST_SUITE_END()
