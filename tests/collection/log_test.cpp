#include <quiver/collection/collection.hpp>

#include <quiver/collection/verify_path.hpp>

#include "support/error_code.hpp"
#include "support/policies.hpp"
#include "support/sanitized.hpp"
#include "support/store_files.hpp"

#include <boost/test/unit_test.hpp>

#include <algorithm>

using namespace quiver;
using namespace quiver::test;

namespace write_ahead_log {
namespace {

constexpr WriteOptions none{Durability::none}, buffered{Durability::buffered}, synced{Durability::sync};

Schema tiny_schema() { return Schema{Field::string("s"), VectorField("v", 2)}; }
Document tiny(const std::string& key) { return Document{key, {{"s", "s-" + key}, {"v", {1.0f, 2.0f}}}}; }

template <class C>
std::string keys(const C& c) {
  std::string out;
  for (const Document& d : c.scan()) out += d.key() + " ";
  return out;
}

/// A collection that can be killed: its files go on elsewhere.
template <class P>
struct Killable {
  explicit Killable(Durability durability = Durability::sync) : c(Collection<P>::create(path, tiny_schema(), {.durability = durability})) {}
  /// What a process that was killed now leaves.
  std::filesystem::path kill() {
    const auto left = folder.path("killed-" + std::to_string(++kills));
    copy_store(path, left);
    return left;
  }
  std::string left() { return keys(Collection<P>::open(kill(), {.mode = OpenMode::read_only})); }

  FreshFolder folder;
  std::filesystem::path path = folder.path();
  Collection<P> c;
  int kills = 0;
};

std::string newest_log(const std::filesystem::path& store) { return names_with(store, "wal-").back(); }

}  // namespace
}  // namespace write_ahead_log

BOOST_AUTO_TEST_SUITE(write_ahead_log)

BOOST_AUTO_TEST_CASE_TEMPLATE(what_a_kill_leaves_is_a_prefix_that_ends_no_earlier_than_the_last_strong_write, P, WritablePolicies) {
  Killable<P> k;
  k.c.insert(tiny("a"));
  BOOST_TEST(k.left() == "a ");
  k.c.insert(tiny("b"), buffered);
  BOOST_TEST(k.left() == "a b ");
  k.c.insert(tiny("c"), none);
  k.c.erase("a", none);
  BOOST_TEST(keys(k.c) == "b c ");
  const auto left = k.left();
  BOOST_TEST((left == "a b " || left == "a b c " || left == "b c "));
  k.c.upsert(tiny("d"), buffered);  // brings along what waited before it
  BOOST_TEST(k.left() == "b c d ");
  k.c.insert(tiny("e"), none);
  k.c.flush();
  BOOST_TEST(k.left() == "b c d e ");
  k.c.erase("b", none);
  k.c.erase("c", synced);
  BOOST_TEST(k.left() == "d e ");
  k.c.insert(tiny("f"), none);
  BOOST_TEST(!k.c.erase("nobody", none));
  BOOST_TEST(k.left() == "d e ");
  BOOST_TEST(!k.c.erase("nobody", buffered));  // a batch of nothing brings them along as well
  BOOST_TEST(k.left() == "d e f ");
  k.c.insert(tiny("g"), none);
  k.c.insert(std::vector<Document>(), synced);
  BOOST_TEST(k.left() == "d e f g ");
  k.c.insert(tiny("h"), none);
  k.c.close();
  BOOST_TEST(k.left() == "d e f g h ");
}

BOOST_AUTO_TEST_CASE(writes_without_durability_reach_the_system_before_they_are_too_many) {
  Killable<MMapPolicy> k(Durability::none);
  auto large = tiny("large");
  large.set("s", std::string(std::size_t{2} << 20, 'x'));
  k.c.insert(tiny("a"));
  k.c.insert(large);
  BOOST_TEST(k.left() == "a large ");
}

BOOST_AUTO_TEST_CASE(the_durability_of_a_collection_is_kept_and_an_open_may_ask_for_another) {
  Killable<MMapPolicy> k(Durability::none);
  k.c.insert(tiny("a"));
  BOOST_TEST(k.left() == "");
  k.c.close();
  k.c = Collection<MMapPolicy>::open(k.path);
  k.c.insert(tiny("b"));
  BOOST_TEST(k.left() == "a ");
  k.c.close();
  k.c = Collection<MMapPolicy>::open(k.path, {.durability = Durability::buffered});
  k.c.insert(tiny("c"));
  BOOST_TEST(k.left() == "a b c ");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(opening_again_and_again_changes_nothing_and_no_open_writes_on_in_the_log_of_another, P, WritablePolicies) {
  Killable<P> k;
  k.c.insert({tiny("a"), tiny("b"), tiny("c")});
  k.c.flush();
  k.c.insert(tiny("d"));
  k.c.erase({"a", "d"});
  k.c.upsert(tiny("b"));
  auto store = k.kill();
  const auto expected = digest(k.c, tiny_schema());
  auto log = read_store(store).at(newest_log(store));
  for (int i = 0; i < 4; ++i) {
    const auto name = newest_log(store);
    auto c = Collection<P>::open(store);
    BOOST_TEST(digest(c, tiny_schema()) == expected);
    BOOST_TEST(c.stats().deleted == 3u);
    BOOST_TEST(newest_log(store) > name);
    BOOST_TEST((read_store(store).at(name) == log));
    BOOST_TEST(c.verify().ok());
    const auto next = k.folder.path("again-" + std::to_string(i));
    copy_store(store, next);
    store = next;
    log = read_store(store).at(newest_log(store));
  }
  auto c = Collection<P>::open(store);
  c.upsert(tiny("e"));
  c.close();
  c = Collection<P>::open(store);
  BOOST_TEST(keys(c) == "c b e ");
  const auto closed = newest_log(store);
  const auto bytes = read_store(store).at(closed);
  c.insert(tiny("f"));
  BOOST_TEST(newest_log(store) > closed);
  BOOST_TEST((read_store(store).at(closed) == bytes));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_reader_shows_what_is_in_the_log_and_writes_nothing, P, AllPolicies) {
  Killable<MMapPolicy> k;
  k.c.insert({tiny("a"), tiny("b")});
  k.c.flush();
  k.c.upsert({tiny("a"), tiny("c")});
  k.c.erase("b");
  const auto files = read_store(k.path);
  {
    const auto reader = Collection<P>::open(k.path, {.mode = OpenMode::read_only});
    BOOST_TEST(digest(reader, tiny_schema()) == digest(k.c, tiny_schema()));
    BOOST_TEST(reader.stats().deleted == 2u);
    BOOST_TEST(reader.stats().memtable_documents == 2u);
    const auto older = Collection<P>::open(k.path, {.mode = OpenMode::read_only, .at_version = 2});
    BOOST_TEST(keys(older) == "a b ");
    BOOST_TEST(older.stats().deleted == 0u);
    k.c.insert(tiny("later"));
    BOOST_TEST(keys(reader) == "a c ");
    BOOST_TEST(keys(Collection<P>::open(k.path, {.mode = OpenMode::read_only})) == "a c later ");
  }
  auto now = read_store(k.path);
  const auto log = newest_log(k.path);
  now[log] = files.at(log);
  BOOST_TEST((now == files));
}

BOOST_AUTO_TEST_CASE(the_log_of_the_version_before_is_kept_and_older_ones_are_removed) {
  Killable<MMapPolicy> k;
  const auto logs = [&] { return names_with(k.path, "wal-"); };
  BOOST_TEST(logs().size() == 1u);
  std::string previous = newest_log(k.path);
  for (int i = 0; i < 4; ++i) {
    k.c.upsert(tiny("a"));
    k.c.flush();
    BOOST_TEST_REQUIRE(logs().size() == 2u);
    BOOST_TEST(logs()[0] == previous);
    previous = logs()[1];
    std::uint64_t bytes = 0;
    for (const auto& [name, content] : read_store(k.path))
      if (name.starts_with("wal-")) bytes += content.size();
    BOOST_TEST(k.c.stats().bytes.wal == bytes);
  }
  k.c.upsert(tiny("b"));
  const auto store = k.kill();
  { const auto c = Collection<MMapPolicy>::open(store); }
  const auto c = Collection<MMapPolicy>::open(store);
  BOOST_TEST(names_with(store, "wal-").size() == 2u);
}

BOOST_AUTO_TEST_CASE(a_log_that_erases_alone_make_long_is_flushed_and_begun_anew) {
  constexpr int documents = 6000;
  constexpr std::size_t most = 1 << 16;  // a log is flushed at twice this
  const FreshFolder folder;
  {
    auto c = Collection<MMapPolicy>::create(folder.path(), tiny_schema(), {.durability = Durability::buffered, .flush_bytes = most});
    std::vector<Document> all;
    for (int i = 0; i < documents; ++i) all.push_back(tiny("k" + std::to_string(i)));
    c.insert(all);
    c.flush();
    const auto before = c.stats();
    std::uint64_t longest = 0;
    for (int i = 0; i + 1 < documents; ++i) {
      BOOST_TEST_REQUIRE(c.erase("k" + std::to_string(i)));
      if (i % 100 == 0) longest = std::max<std::uint64_t>(longest, std::filesystem::file_size(folder.path() / newest_log(folder.path())));
    }
    const auto after = c.stats();
    BOOST_TEST(after.version >= before.version + 2);
    BOOST_TEST(longest >= most);
    BOOST_TEST(longest < 4 * most);
    BOOST_TEST(after.bytes.wal < 8 * most);  // with the log of the version before
    BOOST_TEST(after.bytes.deletes > 0u);
    BOOST_TEST(c.count() == 1u);
    copy_store(folder.path(), folder.path("killed"));
  }
  for (const auto& path : {folder.path("killed"), folder.path()}) {
    const auto c = Collection<MMapPolicy>::open(path);
    BOOST_TEST(keys(c) == "k" + std::to_string(documents - 1) + " ");
    BOOST_TEST(c.verify().ok());
  }
}

BOOST_AUTO_TEST_SUITE_END()

namespace damaged_log {
using namespace ::write_ahead_log;

namespace {

/// A store with several synced batches in its log, the states that they led through, and what may be seen of it after damage.
struct LogSample {
  LogSample() {
    Killable<MMapPolicy> k;
    k.c.insert({tiny("a"), tiny("b")});
    k.c.flush();
    const auto state = [&] { return states.push_back(digest(k.c, tiny_schema())); };
    state();
    k.c.insert(tiny("c")), state();
    k.c.upsert({tiny("a"), tiny("d")}), state();
    k.c.erase("b"), state();
    k.c.update("d", {{"s", "new"}}), state();
    copy_store(k.path, path);
    log = newest_log(path);
    bytes = read_store(path).at(log);
    // Zeros that were allocated lie behind the last record; a few of them are enough.
    bytes.resize(std::min(bytes.size(), (bytes.find_last_not_of('\0') / 8 + 4) * 8));
    put_log(bytes);
  }
  void put_log(const std::string& content) const { put_file(path / log, content); }
  template <class P>
  std::string open_reading() const {
    return digest(Collection<P>::open(path, {.mode = OpenMode::read_only}), tiny_schema());
  }
  /// The number of the state that is shown; -1: corruption that names the log, with all it must say; -2: anything else.
  template <class P>
  int shown() const {
    try {
      const auto at = std::find(states.begin(), states.end(), open_reading<P>());
      return at == states.end() ? -2 : static_cast<int>(at - states.begin());
    } catch (const Error& e) {
      if (e.code() == Errc::version_mismatch && e.path().filename() == log) return -1;
      return e.code() == Errc::corruption && e.path().filename() == log ? -1 : -2;
    }
  }

  FreshFolder folder;
  std::filesystem::path path = folder.path("sample");
  std::vector<std::string> states;
  std::string log, bytes;
};

}  // namespace
}  // namespace damaged_log

BOOST_AUTO_TEST_SUITE(damaged_log)

BOOST_AUTO_TEST_CASE(every_flipped_bit_of_a_log_is_reported_or_does_not_matter) {
  const LogSample sample;
  const int last = static_cast<int>(sample.states.size()) - 1;
  BOOST_TEST_REQUIRE(sample.shown<MMapPolicy>() == last);
  std::size_t reported = 0, wrong = 0, cut = 0;
  for (std::size_t bit = 0; bit < sample.bytes.size() * 8; bit += slow ? 7 : 1) {
    auto damaged = sample.bytes;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    sample.put_log(damaged);
    const auto shown = sample.shown<MMapReadPolicy>();
    reported += shown == -1 ? 1 : 0;
    // Every batch is behind a sync mark, but the mark of the last may itself be what is damaged: then nothing is lost.
    wrong += shown != -1 && shown != last ? 1 : 0;
    cut += shown >= 0 && shown != last ? 1 : 0;
    if (shown != -1 && shown != last) BOOST_TEST_MESSAGE("bit " << bit << " shows " << shown);
  }
  BOOST_TEST(wrong == 0u);
  BOOST_TEST(cut == 0u);
  BOOST_TEST(reported > sample.bytes.size() * 8 / (slow ? 14 : 2));
}

BOOST_AUTO_TEST_CASE(a_log_cut_anywhere_shows_a_prefix_or_is_reported_and_never_anything_else) {
  const LogSample sample;
  int before = -1;
  std::vector<std::size_t> counts(sample.states.size());
  for (std::size_t length = 0; length <= sample.bytes.size(); length += slow ? 3 : 1) {
    sample.put_log(sample.bytes.substr(0, length));
    const auto shown = sample.shown<MMapPolicy>();
    BOOST_TEST_REQUIRE(shown >= -1, "cut to " << length);
    BOOST_TEST_REQUIRE(shown >= before, "cut to " << length << " shows less than a shorter log");
    if (length < detail::wal_header_size) BOOST_TEST(shown == -1);
    before = shown;
    if (shown >= 0) ++counts[static_cast<std::size_t>(shown)];
  }
  for (const auto count : counts) BOOST_TEST(count > 0u);
}

BOOST_AUTO_TEST_CASE(an_unsynced_tail_may_be_torn_and_the_writer_goes_on_without_it) {
  Killable<MMapPolicy> k;
  k.c.insert(tiny("a"));
  const auto store = k.kill();
  const auto log = newest_log(store);
  auto bytes = read_store(store).at(log);
  k.c.insert(tiny("b"), buffered);
  const auto more = read_store(k.kill()).at(log);
  std::size_t end = more.size();
  while (end > 0 && more[end - 1] == '\0') --end;
  for (std::size_t length = bytes.find_last_not_of('\0') + 1; length < end; length += 5) {
    put_file(store / log, more.substr(0, length));
    BOOST_TEST(keys(Collection<MMapPolicy>::open(store, {.mode = OpenMode::read_only})) == "a ");
  }
  auto c = Collection<MMapPolicy>::open(store);
  c.insert(tiny("c"));
  c.close();
  c = Collection<MMapPolicy>::open(store);
  BOOST_TEST(keys(c) == "a c ");
  BOOST_TEST(c.verify().ok());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_log_that_is_missing_or_another_is_corruption_and_nothing_is_changed, P, AllPolicies) {
  const LogSample sample, other;
  const auto refuse = [&](const std::string& what) {
    const auto files = read_store(sample.path);
    BOOST_TEST(sample.template shown<P>() == -1, what);
    const auto error = error_of([&] { (void)Collection<MMapPolicy>::open(sample.path); });
    BOOST_TEST((error && error->code() == Errc::corruption && error->path().filename() == sample.log), what);
    BOOST_TEST(!verify(sample.path).ok());
    auto now = read_store(sample.path);
    now.erase("LOCK");
    auto before = files;
    before.erase("LOCK");
    BOOST_TEST((now == before), what);
  };
  std::filesystem::remove(sample.path / sample.log);
  refuse("missing");
  sample.put_log(other.bytes);
  refuse("of another store");
  const auto first = names_with(sample.path, "wal-").front();
  BOOST_TEST_REQUIRE(first != sample.log);
  sample.put_log(read_store(sample.path).at(first));
  refuse("the one before");
  sample.put_log("");
  refuse("empty");
  sample.put_log(std::string(4096, '\0'));
  refuse("zeros");
  sample.put_log(sample.bytes);
  BOOST_TEST(sample.template open_reading<P>() == sample.states.back());
}

BOOST_AUTO_TEST_CASE(records_of_an_older_log_in_the_room_of_the_newest_are_not_its_own) {
  Killable<MMapPolicy> k;
  for (const auto* key : {"a", "b", "c"}) k.c.insert(tiny(key));
  const auto older = read_store(k.path).at(newest_log(k.path));
  k.c.flush();
  const auto store = k.kill();
  const auto log = newest_log(store);
  auto bytes = read_store(store).at(log);
  // A device may hold in fresh room what it held before.
  const auto end = bytes.find_last_not_of('\0') / 8 * 8 + 8;
  BOOST_TEST_REQUIRE(end < older.find_last_not_of('\0'));
  put_file(store / log, bytes.substr(0, end) + older.substr(end));
  BOOST_TEST(keys(Collection<MMapPolicy>::open(store, {.mode = OpenMode::read_only})) == "a b c ");
  auto c = Collection<MMapPolicy>::open(store);
  c.insert(tiny("d"));
  BOOST_TEST(keys(c) == "a b c d ");
}

BOOST_AUTO_TEST_CASE(a_log_of_the_same_number_from_a_twin_of_the_store_is_corruption) {
  const LogSample sample;
  const auto twin = sample.folder.path("twin"), left = sample.folder.path("left");
  copy_store(sample.path, twin);
  auto c = Collection<MMapPolicy>::open(sample.path);
  auto d = Collection<MMapPolicy>::open(twin);
  copy_store(sample.path, left);
  const auto log = newest_log(left);
  BOOST_TEST_REQUIRE(newest_log(twin) == log);
  BOOST_TEST(keys(Collection<MMapPolicy>::open(left, {.mode = OpenMode::read_only})) == keys(c));
  put_file(left / log, read_store(twin).at(log));
  const auto error = error_of([&] { (void)Collection<MMapPolicy>::open(left, {.mode = OpenMode::read_only}); });
  BOOST_TEST((error && error->code() == Errc::corruption && error->path().filename() == log));
}

BOOST_AUTO_TEST_SUITE_END()
