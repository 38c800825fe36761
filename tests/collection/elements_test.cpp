// Collections whose vectors are stored as float16, int8 or uint8: every way in, every way out, every backend.
#include <quiver/collection/repair.hpp>
#include <quiver/collection/verify_path.hpp>
#include <quiver/formats/npy.hpp>

#include "support/element_rows.hpp"
#include "support/error_code.hpp"
#include "support/policies.hpp"
#include "support/sanitized.hpp"

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <tuple>
#include <vector>

using namespace quiver;
using namespace quiver::test;

namespace elements {
namespace {

constexpr Metric every_metric[] = {Metric::l2, Metric::inner_product, Metric::cosine};
using Files = Collection<MMapPolicy>;

[[nodiscard]] std::string key(std::size_t i) { return "k" + std::to_string(i); }
[[nodiscard]] Schema schema_of(Element element, Metric metric, std::size_t dimension) {
  return Schema{Field::int32("n"), VectorField("v", dimension).metric(metric).element(element)};
}
[[nodiscard]] std::vector<float> vector_of(const ElementRows& data, std::size_t i) { return {data.row(i).begin(), data.row(i).end()}; }

/// Rows [first, last) of the data in one batch.
template <class C>
void insert(C& to, const ElementRows& data, std::size_t first, std::size_t last, Durability durability = Durability::sync) {
  std::vector<Document> batch;
  for (auto i = first; i < last; ++i) batch.push_back(Document{key(i), {{"n", static_cast<std::int32_t>(i)}, {"v", data.row(i)}}});
  to.insert(batch, {durability});
}

/// Rows in two blocks, the log and the memtable, some of them deleted in each: which are left.
template <class C>
std::vector<std::size_t> fill(C& c, const ElementRows& data) {
  const auto third = data.count() / 3;
  insert(c, data, 0, third);
  c.flush();
  insert(c, data, third, 2 * third);
  c.erase(key(5));
  c.flush();
  insert(c, data, 2 * third, data.count());
  c.erase({key(third + 1), key(data.count() - 2)});
  std::vector<std::size_t> left;
  for (std::size_t i = 0; i < data.count(); ++i)
    if (i != 5 && i != third + 1 && i != data.count() - 2) left.push_back(i);
  return left;
}

/// What a search must find: (distance, row) of the nearest, whole numbers exactly.
[[nodiscard]] std::vector<std::pair<double, std::size_t>> nearest(const ElementRows& data, Metric metric, std::span<const float> query,
                                                                  const std::vector<std::size_t>& among) {
  std::vector<std::pair<double, std::size_t>> all;
  for (const auto i : among) all.emplace_back(detail::oracle_distance(metric, query, data.row(i)), i);
  std::sort(all.begin(), all.end());
  return all;
}

template <class C>
void check_answers(const C& c, const ElementRows& data, const ElementRows& asked, Metric metric, const std::vector<std::size_t>& left) {
  constexpr std::size_t k = 7;
  const auto batch = c.search_batch({.field = "v", .queries = asked.numbers, .k = k, .fields = {"v"}, .threads = 2});
  BOOST_REQUIRE(batch.size() == asked.count());
  for (std::size_t q = 0; q < asked.count(); ++q) {
    const auto found = c.search({.field = "v", .query = asked.row(q), .k = k, .fields = {"v"}});
    const auto right = nearest(data, metric, asked.row(q), left);
    BOOST_REQUIRE(found.size() == k);
    for (std::size_t i = 0; i < k; ++i) {
      const auto row = static_cast<std::size_t>(std::stoul(found[i].key.substr(1)));
      const double exact = detail::oracle_distance(metric, asked.row(q), data.row(row));
      const double allowed = detail::distance_error(metric, asked.row(q), data.row(row));
      BOOST_TEST(std::abs(static_cast<double>(found[i].distance) - exact) <= allowed);
      BOOST_TEST(exact <= right[i].first + 2 * allowed);
      if (metric == Metric::l2 && data.element != Element::float16) BOOST_TEST(static_cast<double>(found[i].distance) == right[i].first);
      BOOST_TEST((found[i].document.template get<std::vector<float>>("v") == vector_of(data, row)));
      BOOST_TEST((batch[q][i].key == found[i].key && batch[q][i].distance == found[i].distance));
    }
  }
}
template <class C>
void check_documents(const C& c, const ElementRows& data, const std::vector<std::size_t>& left) {
  BOOST_TEST(c.count() == left.size());
  std::size_t wrong = 0, at = 0;
  for (const Document& document : c.scan()) wrong += at >= left.size() || document.get<std::vector<float>>("v") != vector_of(data, left[at++]);
  BOOST_TEST((wrong == 0 && at == left.size()));
  for (const auto i : {left.front(), left[left.size() / 2], left.back()}) {
    const auto one = c.fetch(key(i));
    BOOST_REQUIRE(one.has_value());
    BOOST_TEST((one->template get<std::vector<float>>("v") == vector_of(data, i)));
    std::vector<float> back;
    const auto widen = [&](const auto& narrow) { back = detail::to_floats(*narrow); };
    if (data.element == Element::float32) widen(one->template get<std::vector<float>>("v"));
    if (data.element == Element::float16) widen(one->template get<std::vector<Half>>("v"));
    if (data.element == Element::int8) widen(one->template get<std::vector<std::int8_t>>("v"));
    if (data.element == Element::uint8) widen(one->template get<std::vector<std::uint8_t>>("v"));
    BOOST_TEST((back == vector_of(data, i)));
  }
}
template <class C>
std::string error_text(C&& call) {
  try {
    call();
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}
[[nodiscard]] std::uintmax_t bytes_of(const std::filesystem::path& store, std::string_view ending) {
  std::uintmax_t sum = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(store))
    if (entry.path().extension() == ending) sum += entry.file_size();
  return sum;
}

}  // namespace
}  // namespace elements

BOOST_AUTO_TEST_SUITE(elements)

BOOST_AUTO_TEST_CASE(every_backend_finds_and_gives_back_what_was_inserted) {
  for (const auto element : narrow_elements)
    for (const auto metric : every_metric) {
      const std::size_t dimension = metric == Metric::l2 ? 37 : 19;
      const ElementRows data(element, 240, dimension, 1), asked(element, 40, dimension, 2);
      const auto schema = schema_of(element, metric, dimension);
      const FreshFolder folder;
      std::vector<std::size_t> left;
      const auto with_writer = [&]<class P>(std::type_identity<P>) {
        BOOST_TEST_CONTEXT(P::name << ", " << to_string(element) << ", " << to_string(metric)) {
          auto c = [&] {
            if constexpr (std::same_as<P, MemoryPolicy>)
              return Collection<P>::create(schema);
            else
              return Collection<P>::create(folder.path(std::string(P::name)), schema);
          }();
          left = fill(c, data);
          check_documents(c, data, left);
          check_answers(c, data, asked, metric, left);
          if constexpr (!std::same_as<P, MemoryPolicy>) {
            // A reader takes from the log what is not in a block.
            const auto reader = Collection<MMapReadPolicy>::open(folder.path(std::string(P::name)));
            BOOST_TEST((reader.schema() == schema));
            check_documents(reader, data, left);
            check_answers(reader, data, asked, metric, left);
          }
          BOOST_TEST(c.verify().ok());
        }
      };
      std::apply([&]<class... P>(P...) { (with_writer(std::type_identity<P>{}), ...); }, WritablePolicies{});
      const auto reopened = [&]<class P>(std::type_identity<P>) {
        BOOST_TEST_CONTEXT(P::name << ", " << to_string(element) << ", " << to_string(metric)) {
          const auto c = Collection<P>::open(folder.path(std::string(MMapPolicy::name)), {.mode = OpenMode::read_only});
          BOOST_TEST((c.schema() == schema));
          check_documents(c, data, left);
          check_answers(c, data, asked, metric, left);
        }
      };
      std::apply([&]<class... P>(P...) { (reopened(std::type_identity<P>{}), ...); }, AllPolicies{});
    }
}

BOOST_AUTO_TEST_CASE(vectors_and_queries_are_taken_as_every_type_that_the_field_holds) {
  auto c = Collection<MemoryPolicy>::create(
      Schema{VectorField("h", 2).element(Element::float16), VectorField("i", 2).element(Element::int8), VectorField("u", 2).element(Element::uint8)});
  const std::vector<Half> halves{Half{0x3C00}, Half{0x0001}};
  const std::vector<std::int8_t> bytes{-128, 127};
  const std::vector<std::uint8_t> unsigned_bytes{0, 255};
  c.insert(Document{"same", {{"h", halves}, {"i", bytes}, {"u", unsigned_bytes}}});
  c.insert(Document{"others", {{"h", {0.1f, 65519.0f}}, {"i", std::vector<std::uint8_t>{0, 127}}, {"u", std::vector<std::int8_t>{0, 1}}}});
  c.insert(Document{"floats", {{"h", std::vector<std::int8_t>{-7, 7}}, {"i", {-1.0f, 1.0f}}, {"u", std::vector<float>{3, 4}}}});
  c.flush();
  BOOST_TEST((c.fetch("same")->get<std::vector<Half>>("h") == std::vector<Half>{Half{0x3C00}, Half{0x0001}}));
  BOOST_TEST((c.fetch("same")->get<std::vector<std::int8_t>>("i") == bytes));
  BOOST_TEST((c.fetch("same")->get<std::vector<std::uint8_t>>("u") == unsigned_bytes));
  BOOST_TEST((c.fetch("others")->get<std::vector<float>>("h") == std::vector<float>{0.0999755859375f, 65504.0f}));
  BOOST_TEST(c.search({.field = "i", .query = bytes, .k = 1})[0].key == "same");
  BOOST_TEST(c.search({.field = "u", .query = unsigned_bytes, .k = 1})[0].distance == 0.0f);
  BOOST_TEST(c.search({.field = "u", .query = std::vector<std::int8_t>{3, 4}, .k = 1})[0].key == "floats");
  BOOST_TEST(c.search({.field = "h", .query = {-7.25f, 6.75f}, .k = 1})[0].key == "floats");
  BOOST_TEST(c.search({.field = "h", .query = {-7.25f, 6.75f}, .k = 1})[0].distance == 0.125f);
}

BOOST_AUTO_TEST_CASE(what_a_field_cannot_hold_changes_nothing_and_is_told) {
  for (const auto element : narrow_elements) {
    const ElementRows data(element, 20, 3, 3);
    auto c = Collection<MemoryPolicy>::create(schema_of(element, Metric::cosine, 3));
    insert(c, data, 0, 20);
    const float wrong = element == Element::float16 ? 70000.0f : element == Element::int8 ? 1.5f : -1.0f;
    const std::vector<Document> batch{Document{"new", {{"n", 1}, {"v", {1.f, 2.f, 3.f}}}}, Document{"bad", {{"n", 1}, {"v", {1.f, 2.f, wrong}}}}};
    BOOST_TEST((code_of([&] { c.insert(batch); }) == Errc::type_mismatch));
    BOOST_TEST((code_of([&] { c.upsert(batch); }) == Errc::type_mismatch));
    BOOST_TEST((code_of([&] { c.update(key(3), {{"v", {1.f, wrong, 3.f}}}); }) == Errc::type_mismatch));
    const auto text = error_text([&] { c.insert(batch); });
    for (const auto& part : {std::string("bad"), std::string("\"v\""), std::string("element 2"), std::string(to_string(element))})
      BOOST_TEST(text.find(part) != std::string::npos, text);
    BOOST_TEST((code_of([&] { c.insert(Document{"z", {{"n", 1}, {"v", {0.f, 0.f, 0.f}}}}); }) == Errc::invalid_vector));
    if (element == Element::float16) BOOST_TEST((code_of([&] { c.insert(Document{"z", {{"n", 1}, {"v", {1e-9f, 0.f, 0.f}}}}); }) == Errc::invalid_vector));
    std::vector<std::size_t> left;
    for (std::size_t i = 0; i < 20; ++i) left.push_back(i);
    check_documents(c, data, left);
    const auto ask = [&](std::vector<float> query) { return code_of([&] { static_cast<void>(c.search({.field = "v", .query = query, .k = 1})); }); };
    const auto ask_many = [&](std::vector<float> queries) {
      return code_of([&] { static_cast<void>(c.search_batch({.field = "v", .queries = queries, .k = 1})); });
    };
    const auto expected = element == Element::float16 ? Errc::none : Errc::type_mismatch;
    BOOST_TEST((ask({1, 2, wrong}) == expected));
    BOOST_TEST((ask_many({1, 2, 3, 1, 2, wrong}) == expected));
    BOOST_TEST((ask({1, 2}) == Errc::dimension_mismatch));
    BOOST_TEST((ask({0, 0, 0}) == Errc::invalid_vector));
    BOOST_TEST((ask({1, std::nanf(""), 0}) == Errc::invalid_vector));
  }
}

BOOST_AUTO_TEST_CASE(bytes_are_counted_as_they_are) {
  for (const auto element : all_elements)
    for (const auto metric : {Metric::l2, Metric::cosine}) {
      constexpr std::size_t rows = 500, dimension = 100;
      const ElementRows data(element, rows, dimension, 4);
      const FreshFolder folder;
      auto c = Files::create(folder.path(), schema_of(element, metric, dimension));
      const auto row_bytes = dimension * detail::element_bytes(element) + (metric == Metric::cosine ? 4 : 0);
      const auto read = [&] { return c.search({.field = "v", .query = data.row(1), .k = 3, .fields = FieldNames::none()}).stats().bytes_read; };
      insert(c, data, 0, rows);
      BOOST_TEST(read() == rows * row_bytes);
      // A document in the log: its numbers and at most 100 bytes besides.
      const auto log = c.stats().bytes.wal;
      BOOST_TEST((log >= rows * dimension * detail::element_bytes(element)));
      BOOST_TEST((log <= rows * (dimension * detail::element_bytes(element) + 100) + 4096));
      c.flush();
      BOOST_TEST(read() == rows * row_bytes);
      BOOST_TEST(c.stats().bytes.vector_index == bytes_of(folder.path(), ".vector_index"));
      BOOST_TEST((c.stats().bytes.vector_index >= rows * row_bytes && c.stats().bytes.vector_index < rows * row_bytes + 4096));
    }
}

BOOST_AUTO_TEST_CASE(what_only_the_log_has_is_there_after_a_crash) {
  for (const auto element : narrow_elements) {
    const ElementRows data(element, 90, 21, 5), asked(element, 9, 21, 6);
    const FreshFolder folder;
    auto c = Files::create(folder.path(), schema_of(element, Metric::cosine, 21));
    const auto left = fill(c, data);
    std::filesystem::copy(folder.path(), folder.path("crashed"), std::filesystem::copy_options::recursive);
    auto again = Files::open(folder.path("crashed"));
    BOOST_TEST(again.stats().memtable_documents > 0u);
    check_documents(again, data, left);
    check_answers(again, data, asked, Metric::cosine, left);
    again.close();
    BOOST_TEST(verify(folder.path("crashed"), VerifyLevel::full).ok());
    check_documents(Files::open(folder.path("crashed")), data, left);
  }
}

BOOST_AUTO_TEST_CASE(a_dump_holds_the_numbers_as_they_are_stored) {
  for (const auto element : all_elements) {
    const ElementRows data(element, 60, 5, 7);
    const FreshFolder folder;
    auto c = Files::create(folder.path(), schema_of(element, Metric::inner_product, 5));
    const auto left = fill(c, data);
    c.dump(folder.path("dump"));
    std::ifstream in(folder.path("dump") / "vectors-000.npy", std::ios::binary);
    const std::string npy{std::istreambuf_iterator<char>(in), {}};
    BOOST_TEST(npy.size() == 128 + left.size() * 5 * detail::element_bytes(element));
    BOOST_TEST((npy.find("'descr': '" + std::string(detail::npy_type_of(element)) + "'") != std::string::npos), npy.substr(10, 60));
    std::vector<float> numbers;
    for (const auto i : left) numbers.insert(numbers.end(), data.row(i).begin(), data.row(i).end());
    BOOST_TEST((npy.substr(128) == detail::as_text(stored_as(element, numbers))));
    const auto ram = Collection<MemoryPolicy>::load(folder.path("dump"));
    BOOST_TEST((ram.schema() == c.schema()));
    check_documents(ram, data, left);
    ram.dump(folder.path("again"));
    for (const auto& entry : std::filesystem::directory_iterator(folder.path("dump"))) {
      std::ifstream one(entry.path(), std::ios::binary), other(folder.path("again") / entry.path().filename(), std::ios::binary);
      BOOST_TEST((std::string(std::istreambuf_iterator<char>(one), {}) == std::string(std::istreambuf_iterator<char>(other), {})), entry.path());
    }
    // The same file under a schema that tells of other numbers.
    const auto text = [&] {
      std::ifstream schema(folder.path("dump") / "schema.json");
      return std::string(std::istreambuf_iterator<char>(schema), {});
    }();
    BOOST_TEST((text.find("\"element\"") == std::string::npos) == (element == Element::float32));
    for (const auto told : all_elements) {
      if (told == element) continue;
      std::ofstream(folder.path("dump") / "schema.json")
          << R"({"format": "quiver-dump", "version": 1, "documents": )" << left.size()
          << R"(, "fields": [{"name": "n", "type": "int32"}], "vectors": [{"name": "v", "dimension": 5, "metric": "l2", "element": ")" << to_string(told)
          << "\"}]}";
      BOOST_TEST((code_of([&] { static_cast<void>(Collection<MemoryPolicy>::load(folder.path("dump"))); }) == Errc::corruption));
    }
    std::ofstream(folder.path("dump") / "schema.json") << R"({"format": "quiver-dump", "version": 1, "documents": 1, "fields": [], "vectors": [{"name": "v", )"
                                                       << R"("dimension": 5, "metric": "l2", "element": "float64"}]})";
    BOOST_TEST((code_of([&] { static_cast<void>(Collection<MemoryPolicy>::load(folder.path("dump"))); }) == Errc::corruption));
  }
}

BOOST_AUTO_TEST_CASE(copies_backups_compaction_and_older_versions_keep_the_numbers) {
  const Schema schema{Field::int32("n"), VectorField("v", 11).metric(Metric::cosine).element(Element::int8), VectorField("h", 3).element(Element::float16),
                      VectorField("f", 2)};
  const FreshFolder folder;
  auto c = Files::create(folder.path(), schema, {.segment_rows = 70, .retain = {.versions = 9}});
  const auto data = numbers_of(Element::int8, 200, 11, 8), halves = numbers_of(Element::float16, 200, 3, 9);
  const auto document = [&](std::size_t i) {
    return Document{
        key(i),
        {{"n", static_cast<std::int32_t>(i)}, {"v", std::span(data).subspan(i * 11, 11)}, {"h", std::span(halves).subspan(i * 3, 3)}, {"f", {0.1f, 0.2f}}}};
  };
  for (std::size_t i = 0; i < 200; ++i) {
    c.insert(document(i), {Durability::none});
    if (i % 30 == 29) c.flush();
  }
  for (std::size_t i = 0; i < 200; i += 3) c.erase(key(i));
  BOOST_TEST(c.update(key(1), {{"h", {9.f, 9.f, 0.3f}}}));
  c.flush();
  const auto now = digest(c, schema);
  const auto version = c.stats().version;
  c.backup(folder.path("backup"));
  BOOST_TEST(digest(Collection<FileReadPolicy>::open(folder.path("backup")), schema) == now);
  BOOST_TEST(digest(c.copy_to<MemoryPolicy>(), schema) == now);
  BOOST_TEST(digest(c.copy_to<CheckedMMapPolicy>(folder.path("copy")), schema) == now);
  auto reader = Files::open(folder.path(), {.mode = OpenMode::read_only});
  c.optimize();
  BOOST_TEST(c.segments().front().deleted == 0u);
  BOOST_TEST(digest(c, schema) == now);
  c.insert(document(0));
  reader.refresh();
  BOOST_TEST(reader.count() == c.count());
  BOOST_TEST(digest(reader, schema) == digest(c, schema));
  BOOST_TEST(digest(Files::open(folder.path(), {.mode = OpenMode::read_only, .at_version = version}), schema) == now);
  c.rollback_to(version);
  BOOST_TEST(digest(c, schema) == now);
  BOOST_TEST(c.verify().ok());
  c.close();
  BOOST_TEST(repair(folder.path()).problems.empty());
  // A manifest that is lost takes the documents of its version along; the one before is found, with what its fields store.
  std::filesystem::path newest;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path()))
    if (entry.path().filename().string().starts_with("MANIFEST_")) newest = std::max(newest, entry.path());
  std::filesystem::resize_file(newest, 100);
  BOOST_TEST((code_of([&] { static_cast<void>(Files::open(folder.path())); }) == Errc::corruption));
  BOOST_TEST(repair(folder.path(), {.dry_run = false}).possible);
  const auto repaired = Files::open(folder.path());
  BOOST_TEST((repaired.schema() == schema));
  BOOST_TEST(repaired.count() > 0u);
  BOOST_TEST(verify(folder.path(), VerifyLevel::full).ok());
  BOOST_TEST((repaired.fetch(key(100))->get<std::vector<std::int8_t>>("v").has_value()));
}

BOOST_AUTO_TEST_CASE(manifests_of_floats_alone_stay_as_they_were) {
  const auto format = [](const Schema& schema) {
    const FreshFolder folder;
    Files::create(folder.path(), schema).close();
    std::uint32_t out = 0;
    for (const auto& entry : std::filesystem::directory_iterator(folder.path()))
      if (entry.path().filename().string().starts_with("MANIFEST_")) {
        std::ifstream in(entry.path(), std::ios::binary);
        char frame[12] = {};
        in.read(frame, 12);
        out = std::max(out, detail::load<std::uint32_t>(reinterpret_cast<const std::byte*>(frame) + 8));
      }
    return out;
  };
  BOOST_TEST(format(Schema{VectorField("v", 3).element(Element::float32)}) == 2u);
  BOOST_TEST(format(Schema{VectorField("v", 3).index(Hnsw{})}) == 3u);
  BOOST_TEST(format(Schema{VectorField("v", 3).element(Element::uint8)}) == 5u);
}

BOOST_AUTO_TEST_SUITE_END()
