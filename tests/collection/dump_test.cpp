#include "support/dumps.hpp"

#include <boost/test/unit_test.hpp>

#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <thread>

using namespace quiver;
using namespace quiver::test;
using namespace std::string_literals;

BOOST_AUTO_TEST_SUITE(collection_dump)

using namespace quiver::test::dumps;

namespace {

/// Writes down in which order files become visible and their names durable.
class OrderedFileSystem : public PosixFileSystem {
 public:
  static inline std::vector<std::string> order{};
  static IoResult rename_new(const Folder& in, const std::string& from, const std::string& to) {
    order.push_back(to);
    return PosixFileSystem::rename_new(in, from, to);
  }
  static IoResult sync_folder(const Folder& in, SyncSite site) {
    if (site == SyncSite::published_name) order.push_back("sync");
    return PosixFileSystem::sync_folder(in, site);
  }
};

}  // namespace

BOOST_AUTO_TEST_CASE(every_value_comes_back_bit_for_bit_under_every_backend) {
  const Folder folder;
  auto c = Disk::create(folder.at / "c.qvr", every_schema(), {.durability = Durability::none, .segment_rows = 10});
  for (std::size_t i = 0; i < 42; ++i) {
    c.insert(hard_document(i));
    if (i == 17 || i == 30) c.flush();
  }
  const auto given = all(c);
  BOOST_TEST_REQUIRE(given.size() == 42u);
  // What was given is what is there, so that the round trip below means something.
  for (std::size_t i = 0; i < given.size(); ++i) {
    const auto wanted = hard_document(i);
    for (const auto& field : wanted.fields())
      if (field.name().starts_with("maybe float")) BOOST_TEST(same(field.value(), c.fetch(wanted.key())->fields()[c.schema().position(field.name())].value()));
  }
  c.dump(folder.at / "1");
  auto ram = Ram::load(folder.at / "1");
  BOOST_TEST((ram.schema() == c.schema()));
  BOOST_TEST(same(all(ram), given));
  for (const auto& document : given) BOOST_TEST(same(ram.fetch(document.key()).value(), document));
  ram.dump(folder.at / "2");
  auto disk = Disk::load(folder.at / "2", folder.target);
  BOOST_TEST(same(all(disk), given));
  disk.dump(folder.at / "3");
  for (const auto& entry : fs::directory_iterator(folder.at / "1")) {
    BOOST_TEST(slurp(entry.path()) == slurp(folder.at / "2" / entry.path().filename()));
    BOOST_TEST(slurp(entry.path()) == slurp(folder.at / "3" / entry.path().filename()));
  }
  disk.insert(Document(hard_document(42)));  // it is a collection like any other
  disk.close();
  BOOST_TEST(Disk::open(folder.target).count() == 43u);
  BOOST_TEST(Disk::open(folder.target).verify().ok());
}

BOOST_AUTO_TEST_CASE(the_lines_are_those_of_the_format) {
  const Folder folder;
  folder.dump_tiny();
  BOOST_TEST(slurp(folder.dump / "documents.jsonl") ==
             "{\"_key\":\"a\",\"n\":1,\"x\":-0.0}\n"
             "{\"_key\":\"b\\n\",\"n\":null,\"x\":{\"$float32\":\"7f800000\"}}\n"
             "{\"_key\":\"c\",\"n\":-7,\"x\":null}\n");
  BOOST_TEST(slurp(folder.dump / "vectors-000.npy").size() == 128 + 3 * 2 * 4u);
}

BOOST_AUTO_TEST_CASE(the_example_of_the_readme_is_a_schema_file_as_it_is_written) {
  const Folder folder;
  auto c = Ram::create(Schema{Field::string("title"), VectorField("embedding", 3).metric(Metric::cosine)});
  c.insert({Document{"tt0111161", {{"title", "The Shawshank Redemption"}, {"embedding", {0.5f, 0.25f, 0.0f}}}},
            Document{"tt0133093", {{"title", "The Matrix"}, {"embedding", {0.0f, 0.25f, 1.0f}}}}});
  c.dump(folder.dump);
  const auto written = slurp(folder.dump / "schema.json");
  BOOST_TEST(slurp(fs::path(QUIVER_SOURCE_DIR) / "include/quiver/formats/README.md").find(written) != std::string::npos, written);
}

BOOST_AUTO_TEST_CASE(deleted_documents_stay_out_and_updated_ones_are_dumped_as_they_are_now) {
  const Folder folder;
  auto c = Disk::create(folder.at / "c.qvr", tiny_schema);
  for (int i = 0; i < 8; ++i) c.insert(Document{"k" + std::to_string(i), {{"n", i}, {"v", {1.0f, static_cast<float>(i)}}}});
  c.flush();
  c.erase("k0");
  for (int n = 100; n < 104; ++n) c.update("k1", {{"n", n}});
  c.flush();
  c.update("k1", {{"n", 104}});
  c.upsert(Document{"k2", {{"v", {9.0f, 9.0f}}}});
  c.insert(Document{"k9", {{"n", 9}, {"v", {0.0f, 0.0f}}}});
  c.erase("k9");
  c.erase("k3");
  c.insert(Document{"k3", {{"n", 33}, {"v", {3.0f, 3.0f}}}});
  const auto wanted = all(c);
  c.dump(folder.dump);
  c.update("k4", {{"n", -1}});  // too late
  auto loaded = Disk::load(folder.dump, folder.target);
  BOOST_TEST(same(all(loaded), wanted));
  BOOST_TEST(loaded.count() == 7u);
  BOOST_TEST(loaded.stats().deleted == 0u);
  BOOST_TEST(loaded.fetch("k1")->get<int>("n").value() == 104);
  BOOST_TEST(!loaded.fetch("k0").has_value());
  std::uint64_t id = 0;
  for (const auto& document : all(loaded)) BOOST_TEST(document.id().value == ++id);
}

BOOST_AUTO_TEST_CASE(schema_and_options_come_along_unless_others_are_given) {
  const Folder folder;
  CreateOptions<MMapPolicy> options{
      .durability = Durability::buffered, .flush_bytes = 12345, .segment_rows = 77, .retain = {.versions = 5, .age = std::chrono::seconds(60)}};
  options.preferred_policy = "memory";
  auto c = Disk::create(folder.at / "c.qvr", every_schema(), options);
  c.dump(folder.dump);
  const auto version_of = [](const fs::path& path) {
    return detail::open_newest<MMapPolicy>(std::make_shared<MMapPolicy::Store>(MMapPolicy::open_store(path, {}, OpenMode::read_only)))->manifest;
  };
  {
    const auto loaded = Disk::load(folder.dump, folder.target);
    BOOST_TEST((loaded.schema() == every_schema()));
  }
  auto version = version_of(folder.target);
  BOOST_TEST((version.durability == Durability::buffered));
  BOOST_TEST(version.flush_bytes == 12345u);
  BOOST_TEST(version.segment_rows == 77u);
  BOOST_TEST(version.retain_versions == 5u);
  BOOST_TEST(version.retain_age_seconds == 60);
  BOOST_TEST(version.preferred_policy == "memory");
  (void)Disk::load(folder.dump, folder.at / "other.qvr",
                   {.durability = Durability::none, .flush_bytes = 1, .segment_rows = 2, .retain = Retain{.versions = 3}, .preferred_policy = "mmap"});
  version = version_of(folder.at / "other.qvr");
  BOOST_TEST((version.durability == Durability::none));
  BOOST_TEST(version.flush_bytes == 1u);
  BOOST_TEST(version.segment_rows == 2u);
  BOOST_TEST(version.retain_versions == 3u);
  BOOST_TEST(version.retain_age_seconds == 0);
  BOOST_TEST(version.preferred_policy == "mmap");
}

BOOST_AUTO_TEST_CASE(no_documents_no_vector_fields_and_no_fields_at_all_are_dumped_too) {
  const Folder folder;
  std::size_t n = 0;
  for (const auto& schema : {Schema{}, Schema{Field::string("s")}, Schema{VectorField("v", 5)}, every_schema()}) {
    const auto name = std::to_string(++n);
    auto c = Ram::create(schema);
    c.dump(folder.at / name);
    const auto loaded = Disk::load(folder.at / name, folder.at / (name + ".qvr"));
    BOOST_TEST(loaded.count() == 0u);
    BOOST_TEST((loaded.schema() == schema));
  }
  auto c = Ram::create(Schema{});
  c.insert({Document("a"), Document("b")});
  c.dump(folder.dump);
  BOOST_TEST(same(all(Disk::load(folder.dump, folder.target)), all(c)));
}

BOOST_AUTO_TEST_CASE(a_collection_of_more_than_one_batch_keeps_its_order_and_tells_the_line_of_an_error) {
  const Folder folder;
  std::string lines;
  for (int i = 0; i < 2500; ++i) lines += "{\"n\":" + std::to_string(i) + ",\"_key\":\"k" + std::to_string(i) + "\"}\r\n";
  folder.write_by_hand(lines, 2500);
  {
    const auto loaded = Disk::load(folder.dump, folder.target);
    int n = 0;
    for (const auto& document : loaded.scan()) BOOST_TEST(document.get<int>("n").value() == n++);
    BOOST_TEST(n == 2500);
  }
  fs::remove_all(folder.target);
  const auto last = lines.size();
  folder.write_by_hand(lines + "{\"n\":1,\"_key\":\"k1700\"}", 2501);
  const auto error = folder.refused();
  BOOST_TEST(error.code() == Errc::duplicate_key);
  BOOST_TEST(error.path() == folder.dump / "documents.jsonl");
  BOOST_TEST(error.offset().value() == last);
  BOOST_TEST(says(error, "line 2501"));
}

BOOST_AUTO_TEST_CASE(a_dump_of_many_megabytes_comes_back_as_it_was) {
  const Folder folder;
  constexpr std::size_t dimension = 600;
  const Schema schema{Field::string("text"), VectorField("v", dimension)};
  const auto document = [&](int i) {
    std::vector<float> v(dimension);
    for (std::size_t at = 0; at < dimension; ++at) v[at] = static_cast<float>(i) + static_cast<float>(at) / 7;
    return Document{"k" + std::to_string(i), {{"text", std::string(static_cast<std::size_t>(i % 700), static_cast<char>('a' + i % 26))}, {"v", std::move(v)}}};
  };
  constexpr int documents = 2500;
  auto c = Ram::create(schema);
  for (int i = 0; i < documents; ++i) c.insert(document(i));
  c.dump(folder.dump);
  BOOST_TEST(fs::file_size(folder.dump / "documents.jsonl") > 3u * 256 * 1024);
  const auto back = Disk::load(folder.dump, folder.target);
  int seen = 0;
  bool all_same = true;
  for (const auto& found : back.scan()) all_same = all_same && same(found, document(seen++));
  BOOST_TEST(all_same);
  BOOST_TEST(seen == documents);
}

BOOST_AUTO_TEST_CASE(a_dump_goes_into_a_new_or_empty_folder_only) {
  const Folder folder;
  auto c = Ram::create(tiny_schema);
  c.dump(folder.at / "a" / "b" / "c");
  BOOST_TEST(code_of([&] { c.dump(folder.at / "a" / "b" / "c"); }) == Errc::already_exists);
  BOOST_TEST(code_of([&] { c.dump(folder.at / "a"); }) == Errc::already_exists);
  for (const std::string name : {"LOCK", "wal-000001", "schema.json.tmp", "notes"}) {
    fs::create_directory(folder.at / "d");
    spill(folder.at / "d" / name, "mine");
    BOOST_TEST(code_of([&] { c.dump(folder.at / "d"); }) == Errc::already_exists);
    BOOST_TEST(slurp(folder.at / "d" / name) == "mine");
    fs::remove_all(folder.at / "d");
  }
  fs::create_directory(folder.at / "empty");
  c.dump(folder.at / "empty");
  spill(folder.at / "file", "mine");
  BOOST_TEST(code_of([&] { c.dump(folder.at / "file"); }) == Errc::already_exists);
  BOOST_TEST(code_of([&] { c.dump(""); }) == Errc::invalid_argument);
  c.close();
  BOOST_TEST(code_of([&] { c.dump(folder.at / "late"); }) == Errc::closed);
  BOOST_TEST(!fs::exists(folder.at / "late"));
}

BOOST_AUTO_TEST_CASE(a_load_goes_where_nothing_is_only) {
  const Folder folder;
  BOOST_TEST(folder.refused().code() == Errc::not_found);
  folder.dump_tiny();
  BOOST_TEST(code_of([&] { (void)Disk::load(folder.dump, ""); }) == Errc::invalid_argument);
  fs::create_directory(folder.target);
  BOOST_TEST(Disk::load(folder.dump, folder.target).count() == 3u);  // into an empty folder
  BOOST_TEST(code_of([&] { (void)Disk::load(folder.dump, folder.target); }) == Errc::already_exists);
  BOOST_TEST(Disk::open(folder.target).count() == 3u);
  BOOST_TEST(Ram::load(folder.dump, folder.at / "x" / "y.qvr/").count() == 3u);
  BOOST_TEST(Disk::open(folder.at / "x" / "y.qvr").count() == 3u);
  spill(folder.at / "file", "mine");
  BOOST_TEST(code_of([&] { (void)Disk::load(folder.dump, folder.at / "file"); }) == Errc::already_exists);
  BOOST_TEST(slurp(folder.at / "file") == "mine");
  fs::create_directory(folder.at / "z.qvr.loading");
  spill(folder.at / "z.qvr.loading" / "left", "mine");
  BOOST_TEST(code_of([&] { (void)Disk::load(folder.dump, folder.at / "z.qvr"); }) == Errc::already_exists);
  BOOST_TEST(slurp(folder.at / "z.qvr.loading" / "left") == "mine");
  fs::remove(folder.dump / "schema.json");  // as a crash leaves it
  fs::remove_all(folder.target);
  BOOST_TEST(folder.refused().code() == Errc::not_found);
}

BOOST_AUTO_TEST_CASE(a_dump_is_of_one_moment_while_others_write) {
  const Folder folder;
  auto c = Disk::create(folder.at / "c.qvr", Schema{Field::int64("turn"), VectorField("v", 1)}, {.durability = Durability::none, .flush_bytes = 200'000});
  constexpr int count = 50;
  const auto turn = [&](std::int64_t number) {
    std::vector<Document> batch;
    for (int i = 0; i < count; ++i) batch.push_back(Document{"k" + std::to_string(i), {{"turn", number}, {"v", {static_cast<float>(number)}}}});
    c.upsert(batch);
  };
  turn(0);
  std::atomic<bool> done{false};
  std::thread writer([&] {
    for (std::int64_t number = 1; !done.load(); ++number) {
      turn(number);
      if (number % 20 == 0) c.flush();
      if (number % 100 == 0) c.optimize();
    }
  });
  struct Join {
    std::atomic<bool>& done;
    std::thread& writer;
    ~Join() {
      done = true;
      writer.join();
    }
  } join{done, writer};
  std::set<std::int64_t> turns;
  for (int i = 0; i < 15; ++i) {
    const auto to = folder.at / std::to_string(i);
    c.dump(to);
    const auto documents = all(Ram::load(to));
    BOOST_TEST(documents.size() == static_cast<std::size_t>(count));
    const auto first = documents.front().get<std::int64_t>("turn").value();
    turns.insert(first);
    for (const auto& document : documents) {
      if (document.get<std::int64_t>("turn") != first) BOOST_ERROR("a dump of two moments");
      if (document.get<std::vector<float>>("v")->front() != static_cast<float>(first)) BOOST_ERROR("a vector of another document");
    }
  }
  BOOST_TEST(turns.size() > 1u);
}

BOOST_AUTO_TEST_CASE(readers_dump_what_they_see) {
  const Folder folder;
  {
    auto c = Disk::create(folder.at / "c.qvr", tiny_schema);
    c.insert(Document{"a", {{"v", {1.0f, 2.0f}}}});
    c.flush();
    c.insert(Document{"b", {{"v", {1.0f, 2.0f}}}});
  }
  Collection<MMapReadPolicy>::open(folder.at / "c.qvr").dump(folder.at / "now");
  BOOST_TEST(Ram::load(folder.at / "now").count() == 2u);
  const auto version = Disk::open(folder.at / "c.qvr").versions().front().number;
  Collection<MMapReadPolicy>::open(folder.at / "c.qvr", {.at_version = version}).dump(folder.at / "then");
  BOOST_TEST(Ram::load(folder.at / "then").count() < 2u);
}

BOOST_AUTO_TEST_CASE(the_file_without_which_it_is_no_dump_is_visible_last) {
  const Folder folder;
  {
    auto c = Disk::create(folder.at / "c.qvr", Schema{Field::int32("n"), VectorField("v", 2), VectorField("w", 2)});
    c.insert(Document{"a", {{"n", 1}, {"v", {1.0f, 2.0f}}, {"w", {3.0f, 4.0f}}}});
  }
  const auto view =
      detail::recover<MMapPolicy>(std::make_shared<MMapPolicy::Store>(MMapPolicy::open_store(folder.at / "c.qvr", {}, OpenMode::read_only))).view();
  OrderedFileSystem::order.clear();
  detail::write_dump<OrderedFileSystem>(view, folder.dump);
  const std::vector<std::string> expected{"documents.jsonl", "vectors-000.npy", "vectors-001.npy", "sync", "schema.json", "sync"};
  BOOST_TEST(OrderedFileSystem::order == expected, boost::test_tools::per_element());
  BOOST_TEST(Ram::load(folder.dump).count() == 1u);
}

BOOST_AUTO_TEST_CASE(a_call_that_fails_leaves_nothing_of_a_dump) {
  const Folder folder;
  {
    auto c = Disk::create(folder.at / "c.qvr", tiny_schema);
    c.insert(Document{"a", {{"v", {1.0f, 2.0f}}}});
  }
  const auto view =
      detail::recover<MMapPolicy>(std::make_shared<MMapPolicy::Store>(MMapPolicy::open_store(folder.at / "c.qvr", {}, OpenMode::read_only))).view();
  std::size_t faults = 0;
  for (const int error : {EIO, ENOSPC}) {
    for (std::size_t at = 1;; ++at) {
      Faulty::plan({.at = at, .error = error});
      const auto failure = error_of([&] { detail::write_dump<Faulty>(view, folder.dump); });
      const bool fired = Faulty::fired() != 0;
      Faulty::clear();
      if (failure) {
        if (failure->path().empty()) BOOST_ERROR("no path in " << failure->what());
        if (fs::exists(folder.dump) && !fs::is_empty(folder.dump)) BOOST_ERROR("call " << at << " left something: " << failure->what());
        ++faults;
      } else {
        BOOST_TEST(Ram::load(folder.dump).count() == 1u);
      }
      fs::remove_all(folder.dump);
      if (!fired) break;
    }
  }
  BOOST_TEST(faults > 20u);
}

BOOST_AUTO_TEST_CASE(a_call_that_fails_leaves_no_half_collection) {
  const Folder folder;
  folder.dump_tiny();
  std::size_t faults = 0;
  for (std::size_t at = 1;; at += 2) {
    Faulty::plan({.at = at, .error = EIO});
    std::optional<Error> failure;
    try {
      (void)Collection<FaultyMMap>::load(folder.dump, folder.target);
    } catch (const Error& e) {
      failure = e;
    }
    const bool fired = Faulty::fired() != 0;
    Faulty::clear();
    if (failure) ++faults;
    if (fs::exists(folder.target.string() + ".loading")) BOOST_ERROR("call " << at << " left a folder");
    if (fs::exists(folder.target)) {
      // The whole, and nothing else, under its name.
      BOOST_TEST(Disk::open(folder.target).count() == 3u);
      fs::remove_all(folder.target);
    } else {
      BOOST_TEST(failure.has_value());
    }
    if (!fired) break;
  }
  BOOST_TEST(faults > 20u);
}

BOOST_AUTO_TEST_CASE(numpy_and_json_of_python_read_a_dump) {
  if (std::system("python3 -c 'import numpy' > /dev/null 2>&1") != 0) return;  // not installed
  const Folder folder;
  folder.dump_tiny();
  const auto script = folder.at / "read.py";
  spill(script,
        "import json, math, sys, numpy\n"
        "v = numpy.load(sys.argv[1] + '/vectors-000.npy')\n"
        "assert v.dtype == numpy.dtype('<f4') and v.tolist() == [[1, 2], [3, 4], [5, 6]]\n"
        "d = [json.loads(line) for line in open(sys.argv[1] + '/documents.jsonl', encoding='utf-8')]\n"
        "assert [x['_key'] for x in d] == ['a', 'b\\n', 'c'] and [x['n'] for x in d] == [1, None, -7] and math.copysign(1, d[0]['x']) == -1\n"
        "s = json.load(open(sys.argv[1] + '/schema.json', encoding='utf-8'))\n"
        "assert s['vectors'][0]['file'] == 'vectors-000.npy' and s['documents'] == 3\n");
  BOOST_TEST(std::system(("python3 '" + script.string() + "' '" + folder.dump.string() + "'").c_str()) == 0);
}

BOOST_AUTO_TEST_SUITE_END()
