// What the tests of dump() and load() share: documents with every value that is hard to carry over, and a folder with a dump in it.
#pragma once

#include <quiver/collection/collection.hpp>
#include <quiver/collection/dump.hpp>
#include <quiver/storage/memory.hpp>
#include <quiver/storage/mmap.hpp>

#include "support/error_code.hpp"
#include "support/faulty_file_system.hpp"
#include "support/policies.hpp"

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <bit>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>
#include <vector>

namespace quiver::test::dumps {

using namespace std::string_literals;

namespace fs = std::filesystem;

using Disk = Collection<MMapPolicy>;
using Ram = Collection<MemoryPolicy>;
using Faulty = quiver::test::FaultyFileSystem<PosixFileSystem>;
using FaultyMMap = BasicMMapPolicy<Faulty>;

inline std::string slurp(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}
/// In place where there is a file: some file systems wait for the disk when one is cut to nothing and written again.
inline void spill(const fs::path& path, const std::string& bytes) {
  const auto mode = std::ios::binary | std::ios::out;
  std::fstream(path, fs::exists(path) ? mode | std::ios::in : mode) << bytes;
  fs::resize_file(path, bytes.size());
}

/// Equal in type and bits, so that NaN equals itself and 0 is not -0.
inline bool same(const Value& a, const Value& b) {
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

inline bool same(const Document& a, const Document& b) {
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

inline bool same(const std::vector<Document>& a, const std::vector<Document>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& x, const auto& y) { return same(x, y); });
}

inline const std::string odd_name = "na/me \"\\ \xC3\xA9..";

inline Schema every_schema() {
  std::vector<Field> fields{Field::string(odd_name).nullable().indexed()};
  for (auto type = FieldType::boolean; type <= FieldType::bytes; type = static_cast<FieldType>(static_cast<int>(type) + 1)) {
    fields.emplace_back(std::string(to_string(type)), type, false, type == FieldType::int32);
    fields.emplace_back("maybe " + std::string(to_string(type)), type, true, false);
  }
  return Schema(std::move(fields),
                {VectorField("../vector", 3), VectorField("direction", 2, Metric::cosine), VectorField("product", 1, Metric::inner_product)});
}

/// Texts, numbers and bytes as hard as they come; `i` picks among them.
inline std::string hard_text(std::size_t i) {
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

inline Document hard_document(std::size_t i) {
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

inline const Schema tiny_schema{Field::int32("n").nullable(), Field::float32("x").nullable(), VectorField("v", 2)};

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

inline bool says(const Error& error, const std::string& words) { return std::string(error.what()).find(words) != std::string::npos; }

}  // namespace quiver::test::dumps
