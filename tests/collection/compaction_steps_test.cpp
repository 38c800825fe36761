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

/// A version of segments with two flushes each, and what merges the first two of them.
struct Merge {
  using Base = detail::OpenVersion<MMapPolicy>;
  static detail::SegmentRef segment(std::uint64_t id, std::initializer_list<std::uint64_t> blocks) {
    detail::SegmentRef out{{id}, true, {}};
    for (const auto number : blocks) {
      const detail::FileRef file{"block-" + std::to_string(number), {{number, number}, 100, 0}};
      out.blocks.push_back({detail::BlockType::scalar, "", file, 10, {number * 10}, {number * 10 + 9}});
    }
    return out;
  }
  static detail::FileRef run(std::uint64_t number) { return {"run-" + std::to_string(number), {{number, number}, 100, 0}}; }

  Merge() {
    version.schema = Schema{Field::int32("n")};
    version.segments = {segment(1, {1, 2}), segment(2, {3, 4})};
    version.id_runs = {run(1), run(2)};
    auto base = std::make_shared<Base>();
    base->manifest = version;
    edit.base = base;
    edit.plan.groups = {{0, 2, 0, 4, 40, 38}};
    edit.plan.merge_runs = true;
    edit.segments = {segment(3, {9})};
    edit.run = run(9);
    edit.dropped = detail::DeleteSet().with(std::vector<DocId>{{11}, {12}});
  }
  [[nodiscard]] bool applies(const std::vector<DocId>& deleted = {{11}, {12}, {13}}) {
    next = version;
    return apply_compaction(edit, detail::DeleteSet().with(deleted), next);
  }

  detail::Version version, next;
  detail::Compaction<MMapPolicy> edit;
};

BOOST_AUTO_TEST_CASE(what_was_merged_takes_the_place_of_exactly_what_it_was_made_of) {
  Merge m;
  BOOST_TEST(m.applies());
  BOOST_TEST((m.next.segments == std::vector{Merge::segment(3, {9})} && m.next.id_runs == std::vector{Merge::run(9)}));
  m.version.segments.push_back(Merge::segment(4, {7}));  // flushed meanwhile, as is a block of the last segment that was merged
  m.version.segments[1] = Merge::segment(2, {3, 4, 5});
  m.version.id_runs.push_back(Merge::run(3));
  BOOST_TEST(m.applies());
  BOOST_TEST((m.next.segments == std::vector{Merge::segment(3, {9}), Merge::segment(2, {5}), Merge::segment(4, {7})}));
  BOOST_TEST((m.next.id_runs == std::vector{Merge::run(9), Merge::run(3)}));
  m.edit.segments.front().blocks.clear();  // no row was left
  m.edit.run.reset();
  BOOST_TEST(m.applies());
  BOOST_TEST((m.next.segments == std::vector{Merge::segment(2, {5}), Merge::segment(4, {7})} && m.next.id_runs == std::vector{Merge::run(3)}));
  m.edit.plan.merge_runs = false;
  BOOST_TEST(m.applies());
  BOOST_TEST((m.next.id_runs == m.version.id_runs));
}

BOOST_AUTO_TEST_CASE(what_was_merged_is_of_no_use_where_somebody_rolled_back_meanwhile) {
  const auto stays = [](const char* what, auto&& change) {
    Merge m;
    change(m.version);
    BOOST_TEST(!m.applies(), what);
  };
  stays("a schema", [](auto& v) { v.schema = Schema{Field::int32("n"), Field::int32("o")}; });
  stays("a segment less", [](auto& v) { v.segments.pop_back(); });
  stays("a block less", [](auto& v) { v.segments[1].blocks.pop_back(); });
  stays("a block less in the first", [](auto& v) { v.segments[0].blocks.pop_back(); });
  stays("another first block", [](auto& v) { v.segments[0] = Merge::segment(1, {8, 2}); });
  stays("another last block", [](auto& v) { v.segments[1] = Merge::segment(2, {3, 8}); });
  stays("a run less", [](auto& v) { v.id_runs.pop_back(); });
  stays("another run", [](auto& v) { v.id_runs[1] = Merge::run(8); });
  stays("more runs, none of them the same", [](auto& v) { v.id_runs = {Merge::run(4), Merge::run(5), Merge::run(6)}; });
  Merge m;
  BOOST_TEST(!m.applies({{11}}));  // a dropped document lives again
  BOOST_TEST(m.applies({{11}, {12}}));
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
    const auto logs = names_with(folder.path(), "wal-");
    // As where the process may open no more files: what the flush has written cannot be looked at.
    Faulty::plan({.at = 1, .error = EMFILE, .for_ever = true, .only = call});
    BOOST_TEST(code_of([&] { c.flush(); }) == Errc::io_error);
    Faulty::disarm();
    BOOST_TEST(Faulty::fired() > 0u);
    BOOST_TEST(names_with(folder.path(), "seg-").empty());
    BOOST_TEST((names_with(folder.path(), "wal-") == logs));
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
