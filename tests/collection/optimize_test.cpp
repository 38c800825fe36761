#include <quiver/collection/collection.hpp>

#include "support/error_code.hpp"
#include "support/numbered_documents.hpp"
#include "support/policies.hpp"
#include "support/sanitized.hpp"

#include <boost/test/unit_test.hpp>

#include <fstream>
#include <map>
#include <thread>

using namespace quiver;
using namespace quiver::test;

namespace optimize {
namespace {

using namespace quiver::test::numbered_documents;

using Files = Collection<MMapPolicy>;

std::uint64_t bytes_in(const std::filesystem::path& folder) {
  std::uint64_t sum = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder))
    if (entry.is_regular_file() && !entry.path().filename().string().starts_with("wal-")) sum += entry.file_size();
  return sum;
}

}  // namespace
}  // namespace optimize

BOOST_AUTO_TEST_SUITE(optimize)

BOOST_AUTO_TEST_CASE_TEMPLATE(it_merges_what_was_flushed_and_drops_what_was_deleted, P, WritablePolicies) {
  const FreshFolder folder;
  auto c = Collection<P>::create(folder.path(), wide_schema(), {.segment_rows = 60});
  for (std::uint64_t i = 0; i < 100; i += 10) {
    c.insert(wide_documents(i, 10), {Durability::buffered});
    c.flush();
  }
  for (std::uint64_t i = 0; i < 100; i += 2) c.erase("key-" + std::to_string(i), {Durability::buffered});
  const auto before = digest(c, wide_schema());
  const auto held = c.snapshot();
  c.optimize();
  BOOST_TEST((digest(c, wide_schema()) == before));
  BOOST_TEST((digest(held, wide_schema()) == before));
  for (std::uint64_t i = 1; i < 100; i += 2) BOOST_TEST(same_fields(wide_schema(), wide_document(i), c.fetch("key-" + std::to_string(i)).value()));
  BOOST_TEST(!c.fetch("key-0").has_value());
  const auto stats = c.stats();
  BOOST_TEST(stats.deleted == 0u);
  BOOST_TEST(stats.bytes.deletes == 0u);
  BOOST_TEST(stats.segments == 1u);
  BOOST_TEST(c.segments()[0].rows == 50u);
  BOOST_TEST(c.segments()[0].sealed);
  BOOST_TEST(c.verify().ok());
  c.close();
  BOOST_TEST((digest(Collection<FileReadPolicy>::open(folder.path()), wide_schema()) == before));
}

BOOST_AUTO_TEST_CASE(after_nine_of_ten_are_deleted_the_files_are_as_small_as_if_they_had_never_been) {
  const FreshFolder folder;
  const auto doc = [](std::uint64_t i) { return numbered(i, i); };
  const auto made = [&](const std::string& name, auto&& wanted) {
    auto c = Files::create(folder.path(name), numbered_schema(), {.durability = Durability::buffered});
    std::vector<Document> batch;
    for (std::uint64_t i = 0; i < 20'000; ++i)
      if (wanted(i)) batch.push_back(doc(i));
    c.insert(batch);
    c.flush();
    return c;
  };
  auto c = made("erased", [](std::uint64_t) { return true; });
  Strings keys;
  for (std::uint64_t i = 0; i < 20'000; ++i)
    if (i % 10 != 0) keys.push_back("k" + std::to_string(i));
  BOOST_TEST(c.erase(keys) == 18'000u);
  c.optimize();
  // The version before is retained until there is a newer one.
  c.insert(doc(100'000));
  c.flush();
  auto never = made("never", [](std::uint64_t i) { return i % 10 == 0; });
  never.insert(doc(100'000));
  never.flush();
  const auto with = static_cast<double>(bytes_in(folder.path("erased"))), without = static_cast<double>(bytes_in(folder.path("never")));
  BOOST_TEST(with <= 1.2 * without, with << " bytes, and " << without << " where they had never been");
}

BOOST_AUTO_TEST_CASE(what_is_merged_is_left_alone) {
  const FreshFolder folder;
  auto c = Files::create(folder.path(), numbered_schema());
  c.optimize();
  BOOST_TEST(c.versions().size() == 1u);
  const auto held = fill(c);
  c.optimize();
  const auto version = c.stats().version;
  c.optimize();
  BOOST_TEST(c.stats().version == version);
  c.insert(numbered(1000, 1));
  c.optimize();
  BOOST_TEST(c.stats().version > version);
  BOOST_TEST(c.segments().size() == 1u);
  BOOST_TEST(c.stats().documents == held.size() + 1);
}

BOOST_AUTO_TEST_CASE(segments_stay_within_their_size_and_full_ones_are_not_written_again) {
  const FreshFolder folder;
  auto c = Files::create(folder.path(), numbered_schema(), {.durability = Durability::buffered, .segment_rows = 50});
  Held held;
  for (std::uint64_t i = 0; i < 175; ++i) {
    c.insert(numbered(i, i));
    held[i] = i;
    if (i % 25 == 24) c.flush();
  }
  c.optimize();
  const auto first = c.segments();
  BOOST_TEST(first.size() == 4u);
  for (std::uint64_t i = 60; i < 100; ++i) c.erase("k" + std::to_string(i)), held.erase(i);
  c.optimize();
  const auto second = c.segments();
  BOOST_TEST(second.size() == 4u);
  for (const auto i : {0u, 2u, 3u}) BOOST_TEST((second[i].id == first[i].id));  // nothing in them was deleted
  BOOST_TEST(second[1].rows == 10u);
  for (std::uint64_t i = 100; i < 110; ++i) c.erase("k" + std::to_string(i)), held.erase(i);
  c.optimize();
  const auto third = c.segments();
  BOOST_TEST(third.size() == 3u);
  BOOST_TEST(third[1].rows == 50u);
  BOOST_TEST(holds(c, held));
  BOOST_TEST(c.verify().ok());
}

BOOST_AUTO_TEST_CASE(a_collection_whose_documents_are_all_deleted_has_no_segments) {
  const FreshFolder folder;
  auto c = Files::create(folder.path(), numbered_schema());
  auto held = fill(c);
  for (const auto& [i, value] : held) c.erase("k" + std::to_string(i), {Durability::buffered});
  c.optimize();
  BOOST_TEST(c.segments().empty());
  BOOST_TEST(c.stats().bytes.ids == 0u);
  BOOST_TEST(c.count() == 0u);
  BOOST_TEST(c.verify().ok());
  c.insert(numbered(1, 5));
  c.close();
  BOOST_TEST(holds(Files::open(folder.path()), {{1, 5}}));
}

BOOST_AUTO_TEST_CASE(keys_that_were_erased_and_merged_away_can_be_inserted_again) {
  const FreshFolder folder;
  auto c = Files::create(folder.path(), numbered_schema());
  auto held = fill(c);
  const Strings keys{"k0", "k1", "k2"};
  c.erase(keys);
  c.optimize();
  for (std::uint64_t i = 0; i < 3; ++i) c.insert(numbered(i, held[i] = 7000 + i));
  c.optimize();
  BOOST_TEST(holds(c, held));
  c.close();
  BOOST_TEST(holds(Files::open(folder.path()), held));
}

BOOST_AUTO_TEST_CASE(it_can_be_cancelled_at_any_moment_and_done_again) {
  const FreshFolder folder;
  auto c = Files::create(folder.path(), numbered_schema());
  const auto held = fill(c);
  c.flush();
  const auto files = [&] {
    std::set<std::string> out;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder.path())) out.insert(entry.path().string());
    return out;
  };
  const auto before = files();
  const auto version = c.stats().version;
  std::size_t calls = 0;
  for (std::size_t stop = 1;; ++stop) {
    calls = 0;
    std::uint64_t done = 0;
    bool ordered = true, ended = false;
    const auto code = code_of([&] {
      c.optimize({.progress = [&](const Progress& p) {
        ordered = ordered && p.done >= done && p.done <= p.total && !p.stage.empty();
        done = p.done;
        ended = p.done == p.total;
        return ++calls != stop;
      }});
    });
    BOOST_TEST(ordered);
    if (code == Errc::none) {
      BOOST_TEST(ended);
      break;
    }
    BOOST_TEST((code == Errc::cancelled));
    BOOST_TEST(c.stats().version == version);
    BOOST_TEST((files() == before));
    BOOST_TEST(holds(c, held));
  }
  BOOST_TEST(calls >= 5u);
  BOOST_TEST(c.stats().version == version + 1);
  BOOST_TEST(holds(c, held));
}

BOOST_AUTO_TEST_CASE(what_the_progress_function_throws_comes_out_and_nothing_has_happened) {
  const FreshFolder folder;
  auto c = Files::create(folder.path(), numbered_schema());
  const auto held = fill(c);
  struct Mine {};
  const auto throws = [](const Progress& p) {
    if (p.stage == "merge vectors") throw Mine{};
    return true;
  };
  BOOST_CHECK_THROW(c.optimize({.progress = throws}), Mine);
  BOOST_TEST(holds(c, held));
  c.optimize();
  BOOST_TEST(holds(c, held));
}

// Everything that others may do meanwhile, done at every moment: the progress function is called without a lock.
BOOST_AUTO_TEST_CASE(the_progress_function_may_call_anything_but_optimize) {
  const FreshFolder folder;
  auto c = Files::create(folder.path(), numbered_schema());
  auto held = fill(c);
  std::size_t calls = 0;
  c.optimize({.progress = [&](const Progress&) {
    BOOST_TEST((code_of([&] { c.optimize(); }) == Errc::invalid_argument));
    c.insert(numbered(500 + calls, held[500 + calls] = 5));
    c.flush();
    BOOST_TEST(holds(c, held));
    BOOST_TEST(c.verify().ok());
    ++calls;
    return true;
  }});
  BOOST_TEST(calls > 0u);
  c.optimize();
  BOOST_TEST(holds(c, held));
}

BOOST_AUTO_TEST_CASE(writes_and_flushes_go_on_while_it_runs) {
  for (std::size_t at = 1;; ++at) {
    const FreshFolder folder;
    auto c = Files::create(folder.path(), numbered_schema());
    auto held = fill(c);
    c.flush();
    const Snapshot<MMapPolicy> snapshot = c.snapshot();
    const auto held_before = held;
    std::size_t calls = 0;
    bool seen = true;
    c.optimize({.progress = [&](const Progress&) {
      if (++calls != at) return true;
      c.erase("k1"), held.erase(1);    // merged
      c.erase("k14"), held.erase(14);  // merged, and written twice
      c.upsert(numbered(2, held[2] = 5000));
      c.upsert(numbered(3, held[3] = 5001));  // was deleted
      c.insert(numbered(500, held[500] = 5002));
      if (at % 2 == 0) c.flush();
      c.erase("k4"), held.erase(4);
      c.insert(numbered(4, held[4] = 5003));
      c.insert(numbered(501, held[501] = 5004), {Durability::none});
      seen = holds(c, held);
      return true;
    }});
    BOOST_TEST(seen);
    BOOST_TEST(holds(c, held), "written at call " << at);
    BOOST_TEST(holds(snapshot, held_before));
    BOOST_TEST(c.verify().ok());
    c.insert(numbered(502, held[502] = 1));
    BOOST_TEST(holds(Collection<MMapReadPolicy>::open(folder.path()), held), "opened beside, at call " << at);
    if (at % 3 == 0) c.flush();
    c.close();
    auto again = Files::open(folder.path());
    BOOST_TEST(holds(again, held), "opened again, at call " << at);
    again.optimize();
    BOOST_TEST(holds(again, held));
    BOOST_TEST(again.stats().deleted == 0u);
    if (at > calls) break;
  }
}

BOOST_AUTO_TEST_CASE(rolling_back_while_it_runs_wins) {
  for (std::size_t at = 1; at <= 4; ++at) {
    const FreshFolder folder;
    auto c = Files::create(folder.path(), numbered_schema(), {.retain = {.versions = 10}});
    auto held = fill(c);
    c.flush();
    const auto version = c.stats().version;
    const auto good = held;
    for (std::uint64_t i = 1; i < 100; ++i)
      if (c.erase("k" + std::to_string(i), {Durability::buffered})) held.erase(i);
    // The same segments, and fewer deletes.
    std::size_t calls = 0;
    c.optimize({.progress = [&](const Progress&) {
      if (++calls == at) c.rollback_to(version);
      return true;
    }});
    BOOST_TEST(calls > at);
    BOOST_TEST(holds(c, good));
    BOOST_TEST(c.stats().deleted == 0u);
    BOOST_TEST(c.verify().ok());
    c.close();
    BOOST_TEST(holds(Files::open(folder.path()), good));
  }
}

BOOST_AUTO_TEST_CASE(rolling_back_to_any_version_while_it_runs_wins) {
  // Versions of fewer segments, of fewer blocks in the last one, of other segments with the same number of them, of other id runs.
  const auto each_version = [](auto&& visit) {
    const FreshFolder folder;
    auto c = Files::create(folder.path(), numbered_schema(), {.durability = Durability::buffered, .segment_rows = 30, .retain = {.versions = 30}});
    std::vector<std::pair<std::uint64_t, Held>> versions;
    Held held;
    const auto flushed = [&] {
      c.flush();
      versions.emplace_back(c.stats().version, held);
    };
    for (std::uint64_t i = 0; i < 80; ++i) {
      c.insert(numbered(i, held[i] = i));
      if (i % 10 == 9) flushed();
      if (i == 49) c.optimize(), versions.emplace_back(c.stats().version, held);
    }
    c.erase("k5"), held.erase(5);
    flushed();
    visit(folder, c, versions);
  };
  std::size_t all = 1;
  for (std::size_t to = 0; to < all; ++to)
    each_version([&](const FreshFolder& folder, Files& c, const auto& versions) {
      all = versions.size();
      const auto& [number, held] = versions[to];
      std::size_t calls = 0;
      c.optimize({.progress = [&, n = number](const Progress&) {
        if (++calls == 2) c.rollback_to(n);
        return true;
      }});
      BOOST_TEST(calls >= 2u);
      BOOST_TEST(holds(c, held), "back to version " << number);
      BOOST_TEST(c.verify().ok());
      c.insert(numbered(500, 5));
      c.close();
      auto now = held;
      now[500] = 5;
      BOOST_TEST(holds(Files::open(folder.path()), now));
    });
  BOOST_TEST(all == 10u);
}

BOOST_AUTO_TEST_CASE(more_rows_than_a_group_holds_are_merged_in_their_order) {
  const FreshFolder folder;
  const Schema schema{Field::uint64("n")};
  constexpr std::uint64_t rows = detail::default_group_rows + 3000;
  auto c = Files::create(folder.path(), schema, {.durability = Durability::none});
  std::vector<Document> batch;
  for (std::uint64_t i = 0; i < rows; ++i) {
    batch.push_back(Document{"k" + std::to_string(i), {{"n", i}}});
    if (batch.size() < 2000 && i + 1 < rows) continue;
    c.insert(batch);
    batch.clear();
    if (i == 1999) c.flush();
  }
  std::uint64_t calls = 0;
  c.optimize({.progress = [&](const Progress&) { return ++calls != 0; }});
  BOOST_TEST(calls >= rows / 5000);  // so often may it be cancelled
  BOOST_TEST(c.segments().size() == 1u);
  const auto reader = Collection<FileReadPolicy>::open(folder.path());
  std::uint64_t seen = 0;
  for (const Document& d : reader.scan()) seen += d.get<std::uint64_t>("n") == seen ? 1 : 0;
  BOOST_TEST(seen == rows);
  BOOST_TEST(reader.fetch(DocId{1})->key() == "k0");
  BOOST_TEST((reader.fetch(DocId{rows})->get<std::uint64_t>("n") == rows - 1));
}

BOOST_AUTO_TEST_CASE(the_background_leaves_alone_what_costs_more_than_it_gives) {
  const FreshFolder folder;
  auto c = Files::create(folder.path(), numbered_schema(), {.durability = Durability::buffered});
  const auto plan = [&](const detail::CompactionLimits& limits) {
    c.flush();
    auto store = std::make_shared<MMapPolicy::Store>(MMapPolicy::open_store(folder.path(), {}, OpenMode::read_only));
    const auto version = detail::open_newest<MMapPolicy>(store);
    return detail::plan_compaction<MMapPolicy>(*version, version->manifest.schema, limits);
  };
  const auto background = detail::CompactionLimits::background(), all = detail::CompactionLimits::all();
  for (std::uint64_t i = 0; i < 20; ++i) c.insert(numbered(i, i));
  BOOST_TEST((plan(background).empty() && plan(all).empty()));
  for (std::uint64_t i = 0; i < 3; ++i) c.erase("k" + std::to_string(i));
  BOOST_TEST((plan(background).empty() && !plan(all).empty()));
  c.erase("k3");  // one in five
  BOOST_TEST(plan(background).groups.size() == 1u);
  BOOST_TEST(plan(background).merge_runs);
  c.optimize();
  BOOST_TEST((plan(background).empty() && plan(all).empty()));
  for (std::uint64_t i = 20; i < 26; ++i) c.insert(numbered(i, i)), c.flush();
  BOOST_TEST((plan(background).empty() && !plan(all).empty()));
  c.insert(numbered(26, 0));  // the eighth part
  BOOST_TEST(plan(background).groups.size() == 1u);
  BOOST_TEST(!plan(background).merge_runs);
}

BOOST_AUTO_TEST_CASE(readers_go_on_with_what_they_have_and_refresh) {
  const FreshFolder folder;
  auto c = Files::create(folder.path(), numbered_schema(), {.retain = {.versions = 3}});
  auto held = fill(c);
  c.flush();
  const auto version = c.stats().version;
  auto reader = Collection<MMapReadPolicy>::open(folder.path());
  const auto old = held;
  c.optimize();
  BOOST_TEST(holds(Files::open(folder.path(), {.at_version = version}), old));
  for (std::uint64_t i = 0; i < 5; ++i) {
    c.insert(numbered(900 + i, held[900 + i] = i));
    c.optimize();
  }
  BOOST_TEST(holds(reader, old));
  reader.refresh();
  BOOST_TEST(holds(reader, held));
  BOOST_TEST((code_of([&] { (void)Files::open(folder.path(), {.at_version = version}); }) == Errc::not_found));
}

BOOST_AUTO_TEST_CASE(a_damaged_block_is_not_copied_under_a_new_checksum) {
  for (const std::string ending : {".scalar", ".vector_index", "idmap"}) {
    const FreshFolder folder;
    Held held;
    {
      auto c = Files::create(folder.path(), numbered_schema());
      held = fill(c);
    }
    std::filesystem::path victim;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder.path()))
      if (entry.path().string().find(ending) != std::string::npos) victim = entry.path();
    {
      std::fstream file(victim, std::ios::in | std::ios::out | std::ios::binary);
      file.seekg(130);
      const char byte = static_cast<char>(file.get() ^ 4);
      file.seekp(130);
      file.put(byte);
    }
    auto c = Files::open(folder.path());
    const auto version = c.stats().version;
    BOOST_CHECK_EXCEPTION(c.optimize(), Error, [&](const Error& e) { return e.code() == Errc::corruption && e.path() == victim && e.offset() == 0u; });
    BOOST_TEST(c.stats().version == version);
    c.insert(numbered(1000, 1));
    c.flush();
    BOOST_TEST(c.count() == held.size() + 1);
  }
}

BOOST_AUTO_TEST_CASE(long_texts_are_merged_within_the_memory_that_was_given) {
  const FreshFolder folder;
  auto c = Files::create(folder.path(), Schema{Field::string("t"), VectorField("v", 1)}, {.durability = Durability::buffered});
  for (int i = 0; i < 60; ++i) {
    c.insert(Document{"k" + std::to_string(i), {{"t", std::string(10'000, static_cast<char>('a' + i % 26))}, {"v", {1.0f}}}});
    if (i % 20 == 19) c.flush();
  }
  c.optimize({.memory = 1});
  BOOST_TEST(Segment<MMapPolicy>::open(folder.path(), c.segments()[0].id).row_groups().size() == 10u);
  for (int i = 0; i < 60; ++i) BOOST_TEST((c.fetch("k" + std::to_string(i))->get<std::string>("t") == std::string(10'000, static_cast<char>('a' + i % 26))));
}

BOOST_AUTO_TEST_CASE(in_memory_too) {
  auto c = Collection<MemoryPolicy>::create(numbered_schema());
  const auto held = fill(c);
  const auto before = c.stats().bytes.total;
  c.optimize();
  c.insert(numbered(2000, 1));
  c.flush();
  BOOST_TEST(c.stats().bytes.total < before);
  BOOST_TEST(c.erase("k2000"));
  BOOST_TEST(holds(c, held));
}

BOOST_AUTO_TEST_CASE(a_reader_cannot) {
  const FreshFolder folder;
  { auto c = Files::create(folder.path(), numbered_schema()); }
  auto reader = Files::open(folder.path(), {.mode = OpenMode::read_only});
  BOOST_TEST((code_of([&] { reader.optimize(); }) == Errc::read_only));
  BOOST_TEST((code_of([&] { reader.rollback_to(1); }) == Errc::read_only));
}

BOOST_AUTO_TEST_SUITE_END()
