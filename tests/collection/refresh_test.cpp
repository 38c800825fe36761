// A reader that follows a writer: refresh() reads on where it stopped.
#include <quiver/collection/collection.hpp>

#include "support/error_code.hpp"
#include "support/policies.hpp"
#include "support/store_files.hpp"

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <fstream>
#include <map>
#include <random>
#include <string>
#include <vector>

using namespace quiver;
using namespace quiver::test;

namespace refreshing {
namespace {

Schema tiny_schema() { return Schema{Field::int64("n"), VectorField("v", 2)}; }
Document tiny(const std::string& key, std::int64_t n) { return Document{key, {{"n", n}, {"v", {1.0f, static_cast<float>(n)}}}}; }

/// "key=n" of each document, by key, and what fetch() says of each of them.
template <class C>
std::string contents(const C& c) {
  std::map<std::string, std::int64_t> all;
  for (const Document& d : c.scan()) all[d.key()] = d.get<std::int64_t>("n").value();
  std::string out;
  for (const auto& [key, n] : all) {
    out += key + "=" + std::to_string(n) + " ";
    const auto one = c.fetch(key);
    if (!one || one->template get<std::int64_t>("n") != n) out += "(not by key) ";
  }
  if (c.count() != all.size()) out += "(count " + std::to_string(c.count()) + ")";
  return out;
}

/// Changes a bit of a file.
void flip(const std::filesystem::path& path, std::size_t at) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(static_cast<std::streamoff>(at));
  const char byte = static_cast<char>(file.get() ^ 1);
  file.seekp(static_cast<std::streamoff>(at));
  file.put(byte);
}

}  // namespace
}  // namespace refreshing

BOOST_AUTO_TEST_SUITE(refreshing)

BOOST_AUTO_TEST_CASE_TEMPLATE(a_reader_sees_each_moment_of_the_writer_and_keeps_those_before, P, AllPolicies) {
  const FreshFolder folder;
  const auto path = folder.path();
  auto writer = Collection<MMapPolicy>::create(path, tiny_schema(), {.durability = Durability::buffered});
  auto reader = Collection<P>::open(path, {.mode = OpenMode::read_only});
  std::mt19937 random(7);
  std::string before;
  for (int step = 0; step < 300; ++step) {
    const auto snapshot = reader.snapshot();
    const auto key = "k" + std::to_string(random() % 20);
    switch (random() % (step % 50 == 49 ? 7 : 5)) {
      case 0:
      case 1:
        writer.upsert(tiny(key, step));
        break;
      case 2:
        writer.erase(key);
        break;
      case 3:
        writer.update(key, {{"n", step}});
        break;
      case 4:
        writer.upsert({tiny(key, step), tiny("twice", step), tiny("twice", -step)});
        writer.erase({key, "twice"});
        break;
      case 5:
        writer.flush();
        break;
      default:
        writer.optimize();
    }
    if (random() % 3 == 0) continue;
    reader.refresh();
    const auto now = contents(writer);
    BOOST_TEST(contents(reader) == now, "step " << step);
    BOOST_TEST(contents(snapshot) == before, "step " << step);
    before = now;
  }
}

BOOST_AUTO_TEST_CASE(what_was_read_of_a_log_is_not_read_again) {
  const FreshFolder folder;
  const auto path = folder.path();
  auto writer = Collection<MMapPolicy>::create(path, tiny_schema());
  writer.insert(tiny("a", 1));
  auto reader = Collection<MMapReadPolicy>::open(path);
  const auto log = path / names_with(path, "wal-").back();
  // In the record of "a", behind the header and the first sync mark.
  flip(log, 72 + 40 + 50);
  writer.insert(tiny("b", 2));
  reader.refresh();
  BOOST_TEST(contents(reader) == "a=1 b=2 ");
  BOOST_TEST(code_of([&] { (void)Collection<MMapReadPolicy>::open(path); }) == Errc::corruption);
}

BOOST_AUTO_TEST_CASE(damage_behind_what_was_read_is_an_error_and_the_moment_stays) {
  const FreshFolder folder;
  const auto path = folder.path(), copy = folder.path("copy");
  auto writer = Collection<MMapPolicy>::create(path, tiny_schema());
  writer.insert(tiny("a", 1));
  copy_store(path, copy);
  const auto name = names_with(path, "wal-").back();
  const auto before = read_store(path)[name];
  writer.insert(tiny("b", 2));
  writer.erase("a");
  const auto after = read_store(path)[name];
  BOOST_TEST_REQUIRE(before.size() == after.size());
  std::size_t refused = 0;
  for (std::size_t at = 0; at < after.size(); ++at) {
    if (before[at] == after[at]) continue;
    put_file(copy / name, before);
    auto reader = Collection<MMapReadPolicy>::open(copy);
    auto damaged = after;
    damaged[at] = static_cast<char>(damaged[at] ^ 1);
    put_file(copy / name, damaged);
    if (const auto code = code_of([&] { reader.refresh(); }); code != Errc::none) {
      BOOST_TEST(code == Errc::corruption);
      BOOST_TEST(contents(reader) == "a=1 ", "byte " << at);
      ++refused;
    } else {
      // The last record may have been torn by a crash, and a mark holds no batch.
      const auto now = contents(reader);
      BOOST_TEST((now == "a=1 b=2 " || now == "b=2 "), "byte " << at << ": " << now);
    }
    put_file(copy / name, after);
    reader.refresh();
    BOOST_TEST(contents(reader) == "b=2 ", "byte " << at);
  }
  BOOST_TEST(refused > 50u);
}

BOOST_AUTO_TEST_CASE(a_long_batch_that_became_zeros_is_damage_and_no_end) {
  const FreshFolder folder;
  const auto path = folder.path();
  auto writer = Collection<MMapPolicy>::create(path, tiny_schema());
  writer.insert(tiny("a", 1));
  auto reader = Collection<MMapReadPolicy>::open(path);
  const auto name = names_with(path, "wal-").back();
  const auto before = read_store(path)[name];
  std::vector<Document> many;
  for (int i = 0; i < 5000; ++i) many.push_back(tiny("k" + std::to_string(i), i));
  writer.insert(many);
  const auto with_batch = read_store(path)[name];
  writer.insert(tiny("b", 2));
  auto damaged = read_store(path)[name];
  const auto begin = static_cast<std::size_t>(std::mismatch(before.begin(), before.end(), with_batch.begin()).first - before.begin());
  const auto end = with_batch.find_last_not_of(char{0}) / 8 * 8 - 40;  // the mark behind the batch stays
  BOOST_TEST_REQUIRE(end > begin + 2 * 64 * 1024);
  std::fill(damaged.begin() + static_cast<std::ptrdiff_t>(begin), damaged.begin() + static_cast<std::ptrdiff_t>(end), char{0});
  put_file(path / name, damaged);
  BOOST_TEST(code_of([&] { reader.refresh(); }) == Errc::corruption);
  BOOST_TEST(contents(reader) == "a=1 ");
}

BOOST_AUTO_TEST_SUITE_END()
