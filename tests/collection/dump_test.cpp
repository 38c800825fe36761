#include <quiver/collection/dump.hpp>

#include <quiver/collection/collection.hpp>
#include <quiver/storage/memory.hpp>
#include <quiver/storage/mmap.hpp>

#include "support/error_code.hpp"
#include "support/faulty_file_system.hpp"
#include "support/policies.hpp"

#include <boost/test/unit_test.hpp>

#include <bit>
#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <thread>

using namespace quiver;
using namespace quiver::test;
using namespace std::string_literals;

namespace collection_dump {
namespace {

namespace fs = std::filesystem;

using Disk = Collection<MMapPolicy>;
using Ram = Collection<MemoryPolicy>;
using Faulty = quiver::test::FaultyFileSystem<PosixFileSystem>;
using FaultyMMap = BasicMMapPolicy<Faulty>;

std::string slurp(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}
/// In place where there is a file: some file systems wait for the disk when one is cut to nothing and written again.
void spill(const fs::path& path, const std::string& bytes) {
  const auto mode = std::ios::binary | std::ios::out;
  std::fstream(path, fs::exists(path) ? mode | std::ios::in : mode) << bytes;
  fs::resize_file(path, bytes.size());
}

/// Equal in type and bits, so that NaN equals itself and 0 is not -0.
bool same(const Value& a, const Value& b) {
  const auto floats = [](const Value& value) -> std::vector<float> {
    if (const auto* one = std::get_if<float>(&value.storage())) return {*one};
    if (const auto* many = std::get_if<std::vector<float>>(&value.storage())) return *many;
    return {};
  };
  if (a.storage().index() != b.storage().index()) return false;
  if (const auto* x = std::get_if<double>(&a.storage())) return std::bit_cast<std::uint64_t>(*x) == std::bit_cast<std::uint64_t>(std::get<double>(b.storage()));
  const auto x = floats(a), y = floats(b);
  if (!x.empty()) return x.size() == y.size() && std::memcmp(x.data(), y.data(), x.size() * sizeof(float)) == 0;
  return a == b;
}

bool same(const Document& a, const Document& b) {
  if (a.key() != b.key() || a.fields().size() != b.fields().size()) return false;
  for (std::size_t i = 0; i < a.fields().size(); ++i)
    if (a.fields()[i].name() != b.fields()[i].name() || !same(a.fields()[i].value(), b.fields()[i].value())) return false;
  return true;
}

template <class C>
std::vector<Document> all(const C& c) {
  std::vector<Document> out;
  for (const auto& document : c.scan()) out.push_back(document);
  return out;
}

bool same(const std::vector<Document>& a, const std::vector<Document>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& x, const auto& y) { return same(x, y); });
}

const std::string odd_name = "na/me \"\\ \xC3\xA9..";

Schema every_schema() {
  std::vector<Field> fields{Field::string(odd_name).nullable().indexed()};
  for (auto type = FieldType::boolean; type <= FieldType::bytes; type = static_cast<FieldType>(static_cast<int>(type) + 1)) {
    fields.emplace_back(std::string(to_string(type)), type, false, type == FieldType::int32);
    fields.emplace_back("maybe " + std::string(to_string(type)), type, true, false);
  }
  return Schema(std::move(fields),
                {VectorField("../vector", 3), VectorField("direction", 2, Metric::cosine), VectorField("product", 1, Metric::inner_product)});
}

/// Texts, numbers and bytes as hard as they come; `i` picks among them.
std::string hard_text(std::size_t i) {
  const std::vector<std::string> texts{"",
                                       "plain",
                                       "\"quoted\" \\ back/slash",
                                       "nul\0 inside"s,
                                       "\x01\x02\b\t\n\v\f\r\x1b\x1f\x7f",
                                       "gr\xC3\xBC\xC3\x9F \xE2\x9C\x93 \xF0\x9F\x8E\xAC \xE2\x80\xA8 \xEF\xBF\xBF \xF4\x8F\xBF\xBF",
                                       "{\"$bytes\":\"AA==\"}",
                                       std::string(5000, 'x')};
  return texts[i % texts.size()];
}

template <class T, class Bits>
T hard_float(std::size_t i) {
  using Limits = std::numeric_limits<T>;
  constexpr Bits exponent = std::bit_cast<Bits>(Limits::infinity());
  const std::vector<T> numbers{T(0),
                               -T(0),
                               T(1),
                               T(0.1),
                               T(1) / 3,
                               Limits::min(),
                               Limits::max(),
                               Limits::lowest(),
                               Limits::denorm_min(),
                               -Limits::denorm_min(),
                               std::nextafter(Limits::min(), T(0)),
                               std::nextafter(T(1), T(2)),
                               T(16777216),
                               T(1e-10),
                               T(1e20),
                               Limits::infinity(),
                               -Limits::infinity(),
                               Limits::quiet_NaN(),
                               std::bit_cast<T>(static_cast<Bits>(exponent | 1)),  // signalling, smallest payload
                               std::bit_cast<T>(static_cast<Bits>(exponent | Bits{0x123456789ABCDEFull & (~exponent & (~Bits{0} >> 1))})),
                               std::bit_cast<T>(static_cast<Bits>(~Bits{0}))};
  return numbers[i % numbers.size()];
}

template <class T>
T hard_integer(std::size_t i) {
  const std::vector<T> numbers{T{0}, T{1}, std::numeric_limits<T>::min(), std::numeric_limits<T>::max(), static_cast<T>(std::numeric_limits<T>::max() - 1),
                               T(-1)};
  return numbers[i % numbers.size()];
}

Document hard_document(std::size_t i) {
  const auto key = i == 0 ? std::string(1024, 'k') : i == 1 ? std::string(1, '\0') : "key " + std::to_string(i) + " " + hard_text(i % 7);
  Document d(key);
  const auto set = [&](const std::string& name, const Value& value) {
    d.set(name, value);
    if (i % 3 != 1) d.set("maybe " + name, value);
  };
  if (i % 2 == 0) d.set(odd_name, hard_text(i));
  set("boolean", i % 2 == 0);
  set("int32", hard_integer<std::int32_t>(i));
  set("int64", hard_integer<std::int64_t>(i));
  set("uint32", hard_integer<std::uint32_t>(i));
  set("uint64", hard_integer<std::uint64_t>(i));
  set("float32", hard_float<float, std::uint32_t>(i));
  set("float64", hard_float<double, std::uint64_t>(i));
  set("string", hard_text(i));
  Strings list;
  for (std::size_t n = 0; n < i % 4; ++n) list.push_back(hard_text(i + n));
  set("strings", list);
  Bytes bytes;
  for (std::size_t n = 0; n < i % 7; ++n) bytes.push_back(static_cast<std::byte>(251 * i + 85 * n));
  set("bytes", bytes);
  d.set("../vector", std::vector<float>{-0.0f, std::numeric_limits<float>::denorm_min(), static_cast<float>(i) / 3});
  d.set("direction", std::vector<float>{std::numeric_limits<float>::max(), -static_cast<float>(i)});
  d.set("product", std::vector<float>{static_cast<float>(i)});
  return d;
}

const Schema tiny_schema{Field::int32("n").nullable(), Field::float32("x").nullable(), VectorField("v", 2)};

/// A folder of its own, and a dump of three documents of tiny_schema in it.
struct Folder {
  TempFolder at;
  fs::path dump = at / "dump", target = at / "new.qvr";

  void dump_tiny() const {
    auto c = Ram::create(tiny_schema);
    c.insert({Document{"a", {{"n", 1}, {"x", -0.0f}, {"v", {1.0f, 2.0f}}}},
              Document{"b\n", {{"x", std::numeric_limits<float>::infinity()}, {"v", {3.0f, 4.0f}}}}, Document{"c", {{"n", -7}, {"v", {5.0f, 6.0f}}}}});
    c.dump(dump);
  }
  /// A dump as a person would write it: no options, no checksums.
  void write_by_hand(const std::string& lines, std::uint64_t documents, const std::string& schema = R"("fields":[{"name":"n","type":"int32"}],"vectors":[])",
                     const std::string& version = "1") const {
    fs::create_directories(dump);
    spill(dump / "schema.json", R"({"format":"quiver-dump","version":)" + version + R"(,"documents":)" + std::to_string(documents) + "," + schema + "}");
    spill(dump / "documents.jsonl", lines);
  }
  /// Loads with an error, which leaves nothing behind.
  Error refused() const {
    const auto error = error_of([&] { (void)Disk::load(dump, target); });
    BOOST_TEST_REQUIRE(error.has_value());
    BOOST_TEST(!fs::exists(target));
    BOOST_TEST(!fs::exists(target.string() + ".loading"));
    BOOST_TEST(code_of([&] { (void)Ram::load(dump); }) == error->code());
    return *error;
  }
};

bool says(const Error& error, const std::string& words) { return std::string(error.what()).find(words) != std::string::npos; }

}  // namespace
}  // namespace collection_dump

BOOST_AUTO_TEST_SUITE(collection_dump)

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

BOOST_AUTO_TEST_CASE(every_byte_changed_and_every_truncation_is_an_error_or_changes_nothing) {
  const Folder folder;
  folder.dump_tiny();
  const auto wanted = all(Ram::load(folder.dump));
  std::size_t refused = 0, taken = 0;
  const auto look = [&](const fs::path& file, std::size_t at, int what) {
    try {
      const auto loaded = Ram::load(folder.dump);
      ++taken;
      if (!(loaded.schema() == tiny_schema) || !same(all(loaded), wanted)) BOOST_ERROR(file << " at " << at << ", " << what << ": loaded as something else");
    } catch (const Error& e) {
      ++refused;
      if (e.path().empty()) BOOST_ERROR(file << " at " << at << ", " << what << ": no path in " << e.what());
    }
  };
  for (const std::string name : {"schema.json", "documents.jsonl", "vectors-000.npy"}) {
    const auto path = folder.dump / name;
    const auto whole = slurp(path);
    for (std::size_t at = 0; at < whole.size(); ++at) {
      for (const int what : {whole[at] ^ 1, whole[at] ^ 0x80, int{' '}, int{'9'}}) {
        auto changed = whole;
        changed[at] = static_cast<char>(what);
        if (changed == whole) continue;
        spill(path, changed);
        look(path, at, what);
      }
      spill(path, whole.substr(0, at));
      look(path, at, -1);
    }
    spill(path, whole + "\n");
    look(path, whole.size(), -2);
    spill(path, whole);
  }
  BOOST_TEST(same(all(Ram::load(folder.dump)), wanted));
  BOOST_TEST(taken < 20u);  // blanks behind the checksum of schema.json
  BOOST_TEST(refused > 3000u);
  // A file of the same length from another dump.
  auto vectors = slurp(folder.dump / "vectors-000.npy");
  vectors[vectors.size() - 1] = static_cast<char>(vectors.back() ^ 1);
  spill(folder.dump / "vectors-000.npy", vectors);
  const auto error = folder.refused();
  BOOST_TEST(error.code() == Errc::corruption);
  BOOST_TEST(error.path() == folder.dump / "vectors-000.npy");
}

BOOST_AUTO_TEST_CASE(a_dump_that_a_person_wrote_is_loaded_or_refused_with_file_and_offset) {
  const Folder folder;
  const auto check = [&](const std::string& lines, Errc code, std::uint64_t offset, std::uint64_t documents = 1) {
    folder.write_by_hand(lines, documents);
    BOOST_TEST_CONTEXT(lines) {
      const auto error = folder.refused();
      BOOST_TEST(error.code() == code);
      BOOST_TEST(error.path() == folder.dump / "documents.jsonl");
      BOOST_TEST(error.offset().value_or(9999) == offset);
      BOOST_TEST_MESSAGE(error.what());
    }
  };
  folder.write_by_hand("{ \"_key\" : \"\\u00e9\\ud83c\\udfac\\u0000\", \"n\" : -5 } ", 1);
  auto loaded = Ram::load(folder.dump);
  BOOST_TEST(loaded.fetch("\xC3\xA9\xF0\x9F\x8E\xAC\0"s)->get<int>("n").value() == -5);

  check("", Errc::corruption, 0);
  check("\n", Errc::corruption, 0);
  check("{\"_key\":\"a\",\"n\":1}\n{\"_key\":\"b\",\"n\":1}\n", Errc::corruption, 19);
  check("{\"_key\":\"a\",\"n\":1}\n", Errc::corruption, 19, 2);
  check("{\"_key\":\"a\",\"n\":1} x", Errc::corruption, 19);
  check("{\"_key\":\"a\",\"n\":1,\"n\":1}", Errc::corruption, 22);
  check("{\"_key\":\"a\",\"n\":1,\"_key\":\"b\"}", Errc::corruption, 25);
  check("{\"n\":1}", Errc::corruption, 7);
  check("[1]", Errc::corruption, 0);
  check("{\"_key\":\"\xFF\",\"n\":1}", Errc::corruption, 9);
  check("{\"_key\":\"a\",\"n\":1", Errc::corruption, 17);
  check("{\"_key\":\"a\",\"n\":\"1\"}", Errc::type_mismatch, 16);
  check("{\"_key\":\"a\",\"n\":1.5}", Errc::type_mismatch, 19);
  check("{\"_key\":\"a\",\"n\":2147483648}", Errc::type_mismatch, 26);
  check("{\"_key\":\"a\",\"n\":null}", Errc::schema_mismatch, 0);
  check("{\"_key\":\"a\"}", Errc::schema_mismatch, 0);
  check("{\"_key\":\"a\",\"n\":1,\"m\":1}", Errc::schema_mismatch, 22);
  check("{\"_key\":\"\",\"n\":1}", Errc::invalid_argument, 0);
  check("{\"_key\":\"" + std::string(1025, 'k') + "\",\"n\":1}", Errc::invalid_argument, 0);
  check("{\"_key\":\"a\",\"n\":1}\n{\"_key\":\"a\",\"n\":1}\n", Errc::duplicate_key, 19, 2);
  check("{\"_key\":\"a\",\"n\":1}\n", Errc::corruption, 19, std::numeric_limits<std::uint64_t>::max());
}

BOOST_AUTO_TEST_CASE(values_of_another_type_or_spelling_are_refused) {
  const Folder folder;
  const auto code = [&](const std::string& type, const std::string& value) {
    folder.write_by_hand("{\"_key\":\"a\",\"n\":" + value + "}", 1, R"("fields":[{"name":"n","type":")" + type + R"("}],"vectors":[])");
    return code_of([&] { (void)Ram::load(folder.dump); });
  };
  BOOST_TEST(code("float32", "1") == Errc::none);
  BOOST_TEST(code("float32", "1e39") == Errc::type_mismatch);
  BOOST_TEST(code("float64", "1e39") == Errc::none);
  BOOST_TEST(code("float64", "-1e309") == Errc::type_mismatch);
  BOOST_TEST(code("float64", "NaN") == Errc::corruption);
  BOOST_TEST(code("float64", "\"1\"") == Errc::type_mismatch);
  BOOST_TEST(code("float64", "{\"$float32\":\"7f800000\"}") == Errc::type_mismatch);
  BOOST_TEST(code("float64", "{\"$float64\":\"7ff000000000000\"}") == Errc::corruption);
  BOOST_TEST(code("float64", "{\"$float64\":\"7FF0000000000000\"}") == Errc::corruption);
  BOOST_TEST(code("float64", "{\"$float64\":\"7ff0000000000000\",\"$float64\":\"7ff0000000000000\"}") == Errc::type_mismatch);
  BOOST_TEST(code("float64", "{}") == Errc::type_mismatch);
  BOOST_TEST(code("int64", "-9223372036854775808") == Errc::none);
  BOOST_TEST(code("int64", "9223372036854775808") == Errc::type_mismatch);
  BOOST_TEST(code("uint64", "18446744073709551615") == Errc::none);
  BOOST_TEST(code("uint64", "18446744073709551616") == Errc::type_mismatch);
  BOOST_TEST(code("uint64", "-1") == Errc::type_mismatch);
  BOOST_TEST(code("uint32", "1e3") == Errc::type_mismatch);
  BOOST_TEST(code("boolean", "1") == Errc::type_mismatch);
  BOOST_TEST(code("string", "[\"a\"]") == Errc::type_mismatch);
  BOOST_TEST(code("strings", "\"a\"") == Errc::type_mismatch);
  BOOST_TEST(code("strings", "[1]") == Errc::corruption);
  BOOST_TEST(code("strings", "[[\"a\"]]") == Errc::corruption);
  BOOST_TEST(code("bytes", "\"AA==\"") == Errc::type_mismatch);
  BOOST_TEST(code("bytes", "{\"$bytes\":\"AA=\"}") == Errc::corruption);
  BOOST_TEST(code("bytes", "{\"$bytes\":\"AA==\"}") == Errc::none);
  BOOST_TEST(code("integer", "1") == Errc::corruption);
}

BOOST_AUTO_TEST_CASE(a_schema_file_that_is_none_is_refused) {
  const Folder folder;
  const auto code = [&](const std::string& schema, const std::string& version = "1") {
    folder.write_by_hand("", 0, schema, version);
    const auto error = folder.refused();
    BOOST_TEST(error.path() == folder.dump / "schema.json");
    return error.code();
  };
  const std::string empty = R"("fields":[],"vectors":[])";
  BOOST_TEST(code(empty, "2") == Errc::version_mismatch);
  BOOST_TEST(code(empty, "0") == Errc::corruption);
  BOOST_TEST(code(empty, "1.0") == Errc::corruption);
  BOOST_TEST(code(R"("fields":[])") == Errc::corruption);
  BOOST_TEST(code(R"("vectors":[])") == Errc::corruption);
  BOOST_TEST(code(empty + R"(,"more":1)") == Errc::corruption);
  BOOST_TEST(code(empty + R"(,"fields":[])") == Errc::corruption);
  BOOST_TEST(code(empty + R"(,"files":[])") == Errc::corruption);
  BOOST_TEST(code(empty + R"(,"files":[{"name":"../documents.jsonl","bytes":0,"xxh3_64":"0000000000000000"}])") == Errc::corruption);
  BOOST_TEST(code(empty + R"(,"checksum":"0000000000000000")") == Errc::corruption);
  BOOST_TEST(code(empty + R"(,"options":{"segment_rows":0})") == Errc::corruption);
  BOOST_TEST(code(empty + R"(,"options":{"retain_age_seconds":-1})") == Errc::corruption);
  BOOST_TEST(code(empty + R"(,"options":{"durability":"always"})") == Errc::corruption);
  BOOST_TEST(code(R"("fields":[{"name":"a"}],"vectors":[])") == Errc::corruption);
  BOOST_TEST(code(R"("fields":[{"name":"_key","type":"int32"}],"vectors":[])") == Errc::invalid_argument);
  BOOST_TEST(code(R"("fields":[],"vectors":[{"name":"a","dimension":99999999,"metric":"l2"}])") == Errc::invalid_argument);
  BOOST_TEST(code(R"("fields":[],"vectors":[{"name":"a","dimension":1,"metric":"l2","file":"../vectors-000.npy"}])") == Errc::corruption);
  BOOST_TEST(code(R"("fields":[{"name":"a","type":"int32"},{"name":"a","type":"int32"}],"vectors":[])") == Errc::invalid_argument);
  BOOST_TEST(code(std::string("\"fields\":") + std::string(100000, '[')) == Errc::corruption);
}

BOOST_AUTO_TEST_CASE(vectors_that_are_missing_of_another_shape_or_not_allowed_are_refused) {
  const Folder folder;
  const std::string schema = R"("fields":[],"vectors":[{"name":"v","dimension":2,"metric":"cosine"}])";
  const std::string lines = "{\"_key\":\"a\"}\n{\"_key\":\"b\"}\n";
  const auto file = folder.dump / "vectors-000.npy";
  folder.write_by_hand(lines, 2, schema);
  const auto missing = folder.refused();
  BOOST_TEST(missing.code() == Errc::corruption);
  BOOST_TEST(missing.path() == file);
  const auto code = [&](const Matrix<float>& matrix) {
    write_npy(file, matrix);
    return folder.refused().code();
  };
  BOOST_TEST(code({1, 2, {1, 2}}) == Errc::corruption);
  BOOST_TEST(code({3, 2, {1, 2, 3, 4, 5, 6}}) == Errc::corruption);
  BOOST_TEST(code({2, 1, {1, 2}}) == Errc::corruption);
  BOOST_TEST(code({2, 2, {1, 2, 0, 0}}) == Errc::invalid_vector);
  BOOST_TEST(code({2, 2, {1, 2, 0, std::numeric_limits<float>::quiet_NaN()}}) == Errc::invalid_vector);
  write_npy(file, Matrix<std::int32_t>{2, 2, {1, 2, 3, 4}});
  BOOST_TEST(folder.refused().code() == Errc::corruption);
  write_npy(file, Matrix<float>{2, 2, {1, 2, 3, 4}});
  BOOST_TEST(Ram::load(folder.dump).fetch("b")->get<std::vector<float>>("v").value() == (std::vector<float>{3, 4}));
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
