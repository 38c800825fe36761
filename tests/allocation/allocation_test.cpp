// Every call of the library with its first allocation failing, then its second, until none fails any more.
#include <quiver/quiver.hpp>

#include "support/error_code.hpp"
#include "support/policies.hpp"
#include "support/sanitized.hpp"
#include "support/soon.hpp"
#include "support/store_files.hpp"

#include <boost/test/unit_test.hpp>

#include <atomic>
#include <cstdlib>
#include <fstream>
#include <new>
#include <utility>

#include <unistd.h>

using namespace quiver;
using namespace quiver::test;

namespace {

// Of this thread: how many allocations from now on succeed; negative: all.
thread_local long left = -1;
thread_local bool fired = false;
// Of this thread: what the next allocation of so many bytes or more removes first.
thread_local const char* removed = nullptr;
thread_local std::size_t removed_at = 0;

// Of all threads but the one that set it: whether allocations fail, and how many succeed before.
std::atomic<bool> fails_elsewhere{false};
std::atomic<long> left_elsewhere{0};
thread_local bool set_it = false;

void* allocate(std::size_t bytes, std::size_t alignment = 0) {
  if (!set_it && fails_elsewhere && left_elsewhere-- <= 0) throw std::bad_alloc();
  if (removed != nullptr && bytes >= removed_at) ::unlink(std::exchange(removed, nullptr));
  if (left == 0) {
    fired = true;
    left = -1;  // what the failure sets going gets memory again
    throw std::bad_alloc();
  }
  if (left > 0) --left;
  void* const memory = alignment == 0 ? std::malloc(bytes + (bytes == 0)) : std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

[[gnu::noinline]] void* operator new(std::size_t bytes) { return allocate(bytes); }
[[gnu::noinline]] void* operator new(std::size_t bytes, std::align_val_t alignment) { return allocate(bytes, static_cast<std::size_t>(alignment)); }
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }

namespace {

using Files = Collection<MMapPolicy>;

Schema small_schema() { return Schema{Field::string("t").nullable(), Field::strings("l"), Field::int32("n"), VectorField("v", 3).metric(Metric::cosine)}; }
Document small_document(int i, int value) {
  return Document{
      "k" + std::to_string(i),
      {{"t", std::string(static_cast<std::size_t>(i % 7) * 9, 't')}, {"l", {"a", "b"}}, {"n", value}, {"v", {static_cast<float>(value), 1.0f, 2.0f}}}};
}

/// All that can be read.
template <class C>
std::string contents(const C& c) {
  return digest(c, small_schema());
}

/// A store with two segments' worth of flushes, some deletes, and a log that is not empty.
std::filesystem::path make_sample(const std::filesystem::path& path) {
  const auto living = path.string() + ".living";
  auto c = Files::create(living, small_schema(), {.durability = Durability::buffered, .segment_rows = 6, .retain = {.versions = 5}});
  for (int i = 0; i < 12; ++i) {
    c.insert(small_document(i, i));
    if (i % 4 == 3) c.flush();
  }
  c.erase("k1");
  c.erase("k5");
  c.flush();
  c.insert(small_document(20, 20));
  c.upsert(small_document(2, 200));
  copy_store(living, path);  // as a kill leaves it
  return path;
}

struct Call {
  std::string name;
  std::function<void(Files&)> run;
  bool writes = true;
};

const std::vector<Call>& calls() {
  static const std::vector<Call> all{
      {"insert",
       [](Files& c) {
         c.insert({small_document(30, 1), small_document(31, 2)});
       }},
      {"upsert",
       [](Files& c) {
         c.upsert({small_document(3, 9), small_document(33, 2), small_document(3, 10)});
       }},
      {"update",
       [](Files& c) {
         c.update("k4", {{"n", 77}});
       }},
      {"erase",
       [](Files& c) {
         c.erase({"k0", "k7", "k20", "nobody"});
       }},
      {"synced insert", [](Files& c) { c.insert(small_document(30, 1), {Durability::sync}); }},
      {"insert that nobody saves", [](Files& c) { c.insert(small_document(30, 1), {Durability::none}); }},
      {"flush", [](Files& c) { c.flush(); }},
      {"optimize", [](Files& c) { c.optimize(); }},
      {"rollback_to", [](Files& c) { c.rollback_to(c.versions().front().number + 1); }},
      {"close", [](Files& c) { c.close(); }},
      {"fetch", [](Files& c) { (void)c.fetch("k3"); }, false},
      {"scan",
       [](Files& c) {
         for (const auto& d : c.scan()) (void)d.key();
       },
       false},
      {"search",
       [](Files& c) {
         (void)c.search({.field = "v", .query = {1.0f, 2.0f, 3.0f}, .k = 5});
       },
       false},
      {"search_batch",
       [](Files& c) {
         (void)c.search_batch({.field = "v", .queries = {1.0f, 2.0f, 3.0f, 3.0f, 2.0f, 1.0f}, .k = 5});
       },
       false},
      {"stats",
       [](Files& c) {
         (void)c.stats();
         (void)c.versions();
         (void)c.segments();
       },
       false},
      {"snapshot", [](Files& c) { (void)c.snapshot().count(); }, false},
      {"verify", [](Files& c) { (void)c.verify(); }, false},
  };
  return all;
}

/// Runs `call` with its n-th allocation failing. What comes out is bad_alloc or a typed error; true: it failed.
template <class Run>
bool failed_at(long n, Run&& run) {
  bool failed = false;
  fired = false;
  left = n;
  try {
    run();
  } catch (const std::bad_alloc&) {
    failed = true;
  } catch (const Error&) {
    failed = true;
  }
  left = -1;
  return failed;
}

/// Every so many-th allocation fails; all of them take minutes: QUIVER_ALLOCATIONS=1.
long stride() {
  const char* asked = std::getenv("QUIVER_ALLOCATIONS");
  return asked != nullptr ? std::stol(asked) : slow ? 61 : 11;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(allocation)

BOOST_AUTO_TEST_CASE(a_call_that_gets_no_memory_has_happened_or_not_and_nothing_is_lost) {
  const FreshFolder folder;
  const auto sample = make_sample(folder.path("sample"));
  const auto before = contents(Collection<MMapReadPolicy>::open(sample));
  std::size_t injections = 0;
  int number = 0;
  for (const auto& call : calls()) {
    std::string after;
    {
      const auto path = folder.path("after-" + std::to_string(++number));
      copy_store(sample, path);
      auto c = Files::open(path);
      call.run(c);
      after = call.name == "close" ? before : contents(c);
    }
    for (long n = 0;; n += stride()) {
      const auto path = folder.path("run");
      std::filesystem::remove_all(path);
      copy_store(sample, path);
      const auto what = call.name + ", allocation " + std::to_string(n);
      bool failed = false;
      {
        auto c = Files::open(path, {.durability = Durability::buffered});
        failed = failed_at(n, [&] { call.run(c); });
        if (!fired) {
          BOOST_TEST(!failed, what);
          break;
        }
        ++injections;
        if (call.name != "close") {
          const auto now = contents(c);
          BOOST_TEST((now == before || now == after), "after " << what);
          // Something else can be written, or the writer says that it has ended.
          try {
            c.insert(small_document(99, 99));
            BOOST_TEST(c.erase("k99"));
          } catch (const Error& e) {
            BOOST_TEST((e.code() == Errc::io_error), what << ": " << e.what());
          }
        }
      }
      BOOST_TEST((verify(path).ok()), "after " << what);
      const auto again = contents(Files::open(path));
      BOOST_TEST((again == before || again == after), "opened after " << what);
    }
  }
  BOOST_TEST_MESSAGE(injections << " allocations failed");
  BOOST_TEST(injections > (slow ? 100u : 500u));
}

// Where the memtable takes memory for its columns and keys: at its first row, and where a piece of one of them is full.
BOOST_AUTO_TEST_CASE(an_insert_that_gets_no_memory_can_be_made_again_whatever_the_memtable_lacks) {
  std::size_t injections = 0;
  for (const int rows : {0, 2047, 8191}) {
    std::vector<Document> filling;
    for (int i = 0; i < rows; ++i) filling.push_back(small_document(i, i));
    const std::vector<Document> batch{small_document(rows, 1), small_document(rows + 1, 2)};
    for (long n = 0;; ++n) {
      auto c = Collection<MemoryPolicy>::create(small_schema());
      c.insert(filling);
      const bool failed = failed_at(n, [&] { c.insert(batch); });
      const auto what = "at row " + std::to_string(rows) + ", allocation " + std::to_string(n);
      if (!fired) {
        BOOST_TEST(!failed, what);
        break;
      }
      ++injections;
      BOOST_TEST(c.count() == filling.size() + (failed ? 0 : 2), what);
      if (failed) c.insert(batch);
      for (const auto& document : batch) BOOST_TEST((c.fetch(document.key(), {"n"})->get<std::int32_t>("n") == document.get<std::int32_t>("n")), what);
    }
  }
  BOOST_TEST_MESSAGE(injections << " allocations failed");
  BOOST_TEST(injections > 30u);
}

// The queue of batches takes memory once in sixteen or so: where the log has the batch already, and it can be neither shown nor taken back.
BOOST_AUTO_TEST_CASE(of_forty_inserts_any_that_gets_no_memory_ends_the_writing_if_it_is_in_the_log_and_else_nothing) {
  const FreshFolder folder;
  const auto path = folder.path(), copy = folder.path("copy");
  constexpr int inserts = 40;
  const int step = slow ? 5 : 1;
  std::size_t injections = 0, ended = 0;
  for (const auto durability : {Durability::buffered, Durability::sync}) {
    for (int i = 0; i < inserts; i += durability == Durability::sync ? 5 : step) {
      for (long n = 0;; ++n) {
        std::filesystem::remove_all(path);
        std::filesystem::remove_all(copy);
        auto c = Files::create(path, small_schema(), {.durability = Durability::buffered});
        for (int j = 0; j < i; ++j) c.insert(small_document(j, j));
        const auto before = contents(c);
        const auto files = read_store(path);
        const bool failed = failed_at(n, [&] { c.insert(small_document(i, i), {durability}); });
        if (!fired) {
          BOOST_TEST(!failed);
          break;
        }
        ++injections;
        BOOST_TEST_CONTEXT("insert " << i << ", allocation " << n) {
          const bool logged = read_store(path) != files;
          if (failed) BOOST_TEST((contents(c) == before));
          int acknowledged = failed ? i : i + 1;
          const auto code = code_of([&] {
            for (; acknowledged < i + 3; ++acknowledged) c.insert(small_document(acknowledged, acknowledged));
          });
          if (code != Errc::none) {
            ++ended;
            BOOST_TEST(code == Errc::io_error);
            BOOST_TEST(logged);
            BOOST_TEST(failed);
            BOOST_TEST(code_of([&] { c.flush(); }) == Errc::io_error);
          }
          BOOST_TEST(c.count() == static_cast<std::size_t>(acknowledged));
          copy_store(path, copy);  // as a kill leaves it
          const auto again = Files::open(copy, {.mode = OpenMode::read_only});
          // What was acknowledged, and perhaps the one that is in the log.
          BOOST_TEST(again.count() >= static_cast<std::size_t>(acknowledged));
          BOOST_TEST(again.count() <= static_cast<std::size_t>(acknowledged + (failed && logged)));
          int next = 0;
          for (const Document& d : again.scan()) BOOST_TEST(d.key() == "k" + std::to_string(next++));
          BOOST_TEST(again.verify().ok());
        }
      }
    }
  }
  BOOST_TEST_MESSAGE(injections << " allocations failed, " << ended << " of them ended the writing");
  BOOST_TEST(injections > (slow ? 40u : 200u));
  if (!slow) BOOST_TEST(ended > 0u);
}

BOOST_AUTO_TEST_CASE(opening_copying_and_dumping_without_memory_harm_nothing) {
  const FreshFolder folder;
  const auto sample = make_sample(folder.path("sample"));
  const auto before = contents(Collection<MMapReadPolicy>::open(sample));
  const auto target = folder.path("target"), path = folder.path("run"), dumped = folder.path("dumped");
  const auto segment = Collection<MMapReadPolicy>::open(sample).segments().front().id;
  Collection<MMapReadPolicy>::open(sample).dump(dumped);
  const std::vector<std::pair<std::string, std::function<void()>>> all{
      {"create", [&] { (void)Files::create(target, small_schema()); }},
      {"open", [&] { (void)Files::open(path); }},
      {"open to read", [&] { (void)Collection<MMapReadPolicy>::open(path); }},
      {"open in memory", [&] { (void)Collection<MemoryPolicy>::open(path); }},
      {"refresh", [&] { Collection<MMapReadPolicy>::open(path).refresh(); }},
      {"backup", [&] { Files::open(path, {.mode = OpenMode::read_only}).backup(target); }},
      {"copy_to", [&] { Collection<MMapReadPolicy>::open(path).copy_to<MemoryPolicy>(); }},
      {"dump", [&] { Collection<MMapReadPolicy>::open(path).dump(target); }},
      {"repair", [&] { (void)repair(path); }},
      {"verify", [&] { (void)verify(path); }},
      {"stats", [&] { (void)stats(path); }},
      {"a segment", [&] { (void)Segment<MMapReadPolicy>::open(path, segment); }},
      {"load", [&] { (void)Files::load(dumped, target); }},
      {"load into memory", [&] { (void)Collection<MemoryPolicy>::load(dumped); }},
  };
  std::size_t injections = 0;
  for (const auto& [name, run] : all) {
    for (long n = 0;; n += stride() * 3) {
      std::filesystem::remove_all(target);
      std::filesystem::remove_all(path);
      copy_store(sample, path);
      const bool failed = failed_at(n, run);
      if (!fired) {
        BOOST_TEST(!failed, name);
        break;
      }
      ++injections;
      // A load leaves all or nothing under its name, and what it may leave beside it the next one clears.
      if (name == "load") {
        if (!std::filesystem::exists(target)) (void)Files::load(dumped, target);
        BOOST_TEST(Files::open(target).count() == 11u, name << ", allocation " << n);
        BOOST_TEST(!std::filesystem::exists(target.string() + ".loading"), name << ", allocation " << n);
      }
      BOOST_TEST((contents(Files::open(path)) == before), name << ", allocation " << n);
      BOOST_TEST(verify(path).ok(), name << ", allocation " << n);
    }
  }
  BOOST_TEST_MESSAGE(injections << " allocations failed");
  BOOST_TEST(injections > (slow ? 40u : 250u));
}

BOOST_AUTO_TEST_CASE(a_repair_that_gets_no_memory_can_be_made_again) {
  const FreshFolder folder;
  const auto sample = make_sample(folder.path("sample")), path = folder.path("run");
  const auto repairs = [&] { return repair(path, {.dry_run = false}); };
  std::size_t injections = 0;
  for (const std::string prefix : {"idmap-", "MANIFEST_", "deletes-"}) {
    std::string gone;  // the newest of the kind
    for (const auto& entry : std::filesystem::directory_iterator(sample))
      if (const auto name = entry.path().filename().string(); name.starts_with(prefix)) gone = std::max(gone, name);
    BOOST_REQUIRE(!gone.empty());
    const auto damaged = [&] {
      std::filesystem::remove_all(path);
      copy_store(sample, path);
      std::filesystem::remove(path / gone);
    };
    damaged();
    BOOST_TEST(!verify(path).ok(), gone);
    BOOST_REQUIRE(repairs().possible);
    const auto repaired = contents(Files::open(path));
    for (long n = 0;; n += stride()) {
      damaged();
      const bool failed = failed_at(n, repairs);
      if (!fired) {
        BOOST_TEST(!failed, gone);
        break;
      }
      ++injections;
      BOOST_TEST(repairs().possible, gone << ", allocation " << n);
      BOOST_TEST((contents(Files::open(path)) == repaired), gone << ", allocation " << n);
      BOOST_TEST(verify(path).ok(), gone << ", allocation " << n);
    }
  }
  BOOST_TEST_MESSAGE(injections << " allocations failed");
  BOOST_TEST(injections > (slow ? 20u : 100u));
}

BOOST_AUTO_TEST_CASE(a_refresh_that_gets_no_memory_can_be_made_again) {
  const FreshFolder folder;
  const auto path = folder.path();
  copy_store(make_sample(folder.path("sample")), path);
  auto writer = Files::open(path, {.durability = Durability::buffered});
  auto reader = Collection<MMapReadPolicy>::open(path);
  std::size_t injections = 0;
  for (int n = 0;; ++n) {
    const auto before = contents(reader);
    for (int i = 0; i < 40; ++i) writer.upsert(small_document(1000 + i + n * 10, n));
    writer.erase("k" + std::to_string(1003 + n * 10));
    const bool failed = failed_at(n, [&] { reader.refresh(); });
    if (!fired) {
      BOOST_TEST(!failed);
      break;
    }
    ++injections;
    const auto now = contents(reader);
    BOOST_TEST((now == before || now == contents(writer)), "after allocation " << n);
    reader.refresh();
    BOOST_TEST((contents(reader) == contents(writer)), "after allocation " << n);
  }
  BOOST_TEST_MESSAGE(injections << " allocations failed");
  BOOST_TEST(injections > 10u);
}

BOOST_AUTO_TEST_CASE(rows_are_found_and_linked_later_where_the_thread_that_links_them_gets_no_memory) {
  constexpr int rows = 1'100;  // past the first 1,024, for which the graph has room
  std::vector<Document> batch;
  for (int i = 0; i < rows; ++i) batch.push_back(Document{"k" + std::to_string(i), {{"v", {static_cast<float>(i), static_cast<float>(i * 7 % 31)}}}});
  const Schema schema{VectorField("v", 2).index(Hnsw{.m = 4, .ef_construction = 12, .ef = 12})};
  set_it = true;
  std::size_t injections = 0;
  for (long n = 0;; n += slow ? 5 : 1) {
    left_elsewhere = n;
    fails_elsewhere = true;
    auto c = Collection<MemoryPolicy>::create(schema);
    c.insert(batch);
    const auto linked = [&] { return c.stats().memtable_linked == rows && c.stats().background_error.empty(); };
    bool told = false;
    const bool one_or_other = soon([&] {
      told = !c.stats().background_error.empty();
      for (const auto& hit : c.search({.field = "v", .query = {500.0f, 12.0f}, .k = 3, .ef = Hnsw::max_ef})) BOOST_TEST(hit.distance < 600.0f);
      return told || linked();
    });
    fails_elsewhere = false;
    BOOST_TEST_CONTEXT("allocation " << n) {
      BOOST_TEST(one_or_other);
      BOOST_TEST(soon(linked));
      std::size_t found = 0;
      for (int i = 0; i < rows; i += 50) {
        const auto& v = batch[static_cast<std::size_t>(i)];
        found += c.search({.field = "v", .query = v.get<std::vector<float>>("v").value(), .k = 1})[0].key == v.key() ? 1u : 0u;
      }
      BOOST_TEST(found >= 21u);
      c.flush();
      BOOST_TEST(c.verify().ok());
    }
    if (!told) break;
    ++injections;
  }
  set_it = false;
  BOOST_TEST_MESSAGE(injections << " allocations failed");
  BOOST_TEST(injections > (slow ? 3u : 10u));
}

// Between reading a name and asking what it is, a listing copies the name, which takes memory if it is long: the moment for the file to go.
BOOST_AUTO_TEST_CASE(a_file_that_goes_while_its_folder_is_listed_counts_and_a_link_that_goes_does_not) {
  const TempFolder temp;
  const std::string name(200, 'n');
  const auto path = temp / name;
  PosixFileSystem::Folder folder;
  BOOST_REQUIRE(PosixFileSystem::open_folder(temp.path(), folder));
  for (const bool link : {false, true}) {
    if (link)
      std::filesystem::create_symlink("/", path);
    else
      std::ofstream(path) << "bytes";
    std::vector<FolderEntry> entries;
    removed_at = name.size();
    removed = path.c_str();
    BOOST_TEST(PosixFileSystem::list(folder, entries).error == 0);
    BOOST_REQUIRE(removed == nullptr);
    BOOST_TEST(!std::filesystem::exists(std::filesystem::symlink_status(path)));
    BOOST_REQUIRE(entries.size() == (link ? 0u : 1u));
    if (!link) BOOST_TEST((entries[0].name == name && entries[0].kind == EntryKind::file && entries[0].size == 0));
  }
}

BOOST_AUTO_TEST_SUITE_END()
