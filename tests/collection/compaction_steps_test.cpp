#include <quiver/collection/compaction.hpp>

#include <quiver/collection/collection.hpp>
#include <quiver/storage/memory.hpp>

#include "support/error_code.hpp"
#include "support/faulty_file_system.hpp"
#include "support/policies.hpp"
#include "support/store_files.hpp"

#include <boost/test/unit_test.hpp>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <functional>
#include <thread>

using namespace quiver;
using namespace quiver::test;

namespace compaction_steps {
namespace {

/// Calls a function before a file of segment 2, which the first merge writes, is opened for reading.
class WatchedFileSystem : public FaultyFileSystem<PosixFileSystem> {
 public:
  static inline std::function<void()> before_open;
  static IoResult open_file(const Folder& in, const std::string& name, File& file) {
    if (before_open && name.starts_with("seg-000002/")) before_open();
    return FaultyFileSystem<PosixFileSystem>::open_file(in, name, file);
  }
};
using Faulty = FaultyFileSystem<PosixFileSystem>;
using WatchedMemory = BasicMemoryPolicy<WatchedFileSystem>;
using FaultyMMap = BasicMMapPolicy<Faulty>;

Document numbered(int i) { return Document{"k" + std::to_string(i), {{"n", i}, {"v", {static_cast<float>(i), 1.0f}}}}; }
Schema numbered_schema() { return Schema{Field::int32("n"), VectorField("v", 2)}; }

}  // namespace
}  // namespace compaction_steps

BOOST_AUTO_TEST_SUITE(compaction_steps)

BOOST_AUTO_TEST_CASE(merged_files_are_opened_while_others_write) {
  const FreshFolder folder;
  auto c = Collection<WatchedMemory>::create(folder.path(), numbered_schema(), {.durability = Durability::buffered});
  for (int i = 0; i < 2; ++i) c.insert(numbered(i)), c.flush();
  std::atomic<int> opened{0};
  std::atomic<bool> written{false};
  bool in_time = false;
  std::thread writer;
  WatchedFileSystem::before_open = [&] {
    if (++opened != 1) return;
    writer = std::thread([&] {
      c.insert(numbered(2));
      written = true;
    });
    // Were the writer held up here, it would be until the end of the merge.
    for (int i = 0; i < 1000 && !written; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    in_time = written;
  };
  c.optimize();
  WatchedFileSystem::before_open = nullptr;
  if (writer.joinable()) writer.join();
  BOOST_TEST(opened == 2);  // once each
  BOOST_TEST(in_time);
  BOOST_TEST(c.count() == 3u);
}

BOOST_AUTO_TEST_CASE(memory_bounds_the_text_of_all_columns_together) {
  const FreshFolder folder;
  constexpr int columns = 16, rows = 64;
  constexpr std::uint64_t length = 16 << 10, memory = 4 << 20;
  std::vector<Field> fields;
  for (int i = 0; i < columns; ++i) fields.push_back(Field::string("t" + std::to_string(i)));
  auto c = Collection<MMapPolicy>::create(folder.path(), Schema(std::move(fields), {}), {.durability = Durability::buffered});
  for (int i = 0; i < rows; ++i) {
    Document document("k" + std::to_string(i));
    for (int t = 0; t < columns; ++t) document.set("t" + std::to_string(t), std::string(length, 'x'));
    c.insert(document);
    if (i % (rows / 2) == rows / 2 - 1) c.flush();
  }
  c.optimize({.memory = memory});
  std::uint64_t seen = 0;
  for (const auto& group : Segment<MMapPolicy>::open(folder.path(), c.segments()[0].id).row_groups()) {
    BOOST_TEST(group.rows * columns * length <= memory, group.rows << " rows at once");
    seen += group.rows;
  }
  BOOST_TEST(seen == static_cast<std::uint64_t>(rows));
}

BOOST_AUTO_TEST_CASE(files_that_cannot_be_opened_do_not_end_the_writing) {
  for (const auto call : {IoCall::open_file, IoCall::map}) {
    const FreshFolder folder;
    auto c = Collection<FaultyMMap>::create(folder.path(), numbered_schema());
    c.insert(numbered(0));
    // As where the process may open no more files: what the flush has written cannot be looked at.
    Faulty::plan({.at = 1, .error = EMFILE, .for_ever = true, .only = call});
    BOOST_TEST(code_of([&] { c.flush(); }) == Errc::io_error);
    Faulty::disarm();
    BOOST_TEST(Faulty::fired() > 0u);
    BOOST_TEST(names_with(folder.path(), "seg-").empty());
    c.insert(numbered(1));
    c.flush();
    c.insert(numbered(2));
    c.flush();
    Faulty::plan({.at = 1, .error = EMFILE, .for_ever = true, .only = call});
    BOOST_TEST(code_of([&] { c.optimize(); }) == Errc::io_error);
    Faulty::disarm();
    c.insert(numbered(3));
    BOOST_TEST(names_with(folder.path(), "seg-").size() == 4u);
    c.optimize();
    BOOST_TEST(c.count() == 4u);
    BOOST_TEST(c.verify().ok());
    c.close();
    BOOST_TEST(Collection<MMapPolicy>::open(folder.path()).count() == 4u);
  }
  Faulty::clear();
}

BOOST_AUTO_TEST_CASE(a_first_write_that_finds_no_room_may_be_made_again) {
  const FreshFolder folder;
  Collection<FaultyMMap>::create(folder.path(), numbered_schema()).close();
  for (const auto call : {IoCall::create_file, IoCall::write, IoCall::sync_file, IoCall::rename}) {
    // The first file that a writer makes is its log, the second the manifest that names it.
    const std::size_t at = call == IoCall::rename ? 1 : 2;
    auto c = Collection<FaultyMMap>::open(folder.path());
    const auto before = c.count();
    Faulty::plan({.at = at, .error = ENOSPC, .only = call});
    BOOST_TEST(code_of([&] { c.insert(numbered(static_cast<int>(before))); }) == Errc::no_space);
    BOOST_TEST(Faulty::fired() == 1u);
    Faulty::clear();
    BOOST_TEST(c.count() == before);
    c.insert(numbered(static_cast<int>(before)));
    c.close();
    BOOST_TEST(Collection<MMapPolicy>::open(folder.path()).count() == before + 1);
  }
}

BOOST_AUTO_TEST_SUITE_END()
