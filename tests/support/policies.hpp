// The policies that a collection's tests run through, and small collections to run them on.
#pragma once

#include <quiver/collection/collection.hpp>
#include <quiver/storage/checked_mmap.hpp>
#include <quiver/storage/file_read.hpp>
#include <quiver/storage/memory.hpp>
#include <quiver/storage/mmap.hpp>
#include <quiver/storage/mmap_read.hpp>

#include "support/temp_folder.hpp"

#include <filesystem>
#include <random>
#include <string>
#include <tuple>
#include <vector>

namespace quiver::test {

using AllPolicies = std::tuple<quiver::MMapPolicy, quiver::CheckedMMapPolicy, quiver::MMapReadPolicy, quiver::MemoryPolicy, quiver::FileReadPolicy>;
using WritablePolicies = std::tuple<quiver::MMapPolicy, quiver::CheckedMMapPolicy, quiver::MemoryPolicy>;

/// Paths of stores that are not there yet; removed at the end with all in them.
class FreshFolder {
 public:
  [[nodiscard]] std::filesystem::path path(const std::string& name = "c.qvr") const { return parent_ / name; }

 private:
  TempFolder parent_;
};

/// Every field type, nullable and not, and a vector field per metric.
inline quiver::Schema wide_schema() {
  using namespace quiver;
  return Schema{Field::string("title"),
                Field::boolean("flag").nullable(),
                Field::int32("year").indexed(),
                Field::int64("big").nullable(),
                Field::uint32("small"),
                Field::uint64("huge").nullable(),
                Field::float32("ratio").nullable(),
                Field::float64("rating").nullable(),
                Field::strings("genres"),
                Field::bytes("blob").nullable(),
                VectorField("l2", 7),
                VectorField("ip", 5).metric(Metric::inner_product),
                VectorField("cos", 3).metric(Metric::cosine)};
}

/// Document `i`, the same every time: nulls, empty texts, empty lists and extremes are among the first eight.
inline quiver::Document wide_document(std::uint64_t i) {
  using namespace quiver;
  std::mt19937_64 random(i + 17);
  std::uniform_real_distribution<float> real(-1.0f, 1.0f);
  const auto vector = [&](std::size_t n) {
    std::vector<float> out(n);
    for (auto& x : out) x = real(random);
    return out;
  };
  Document d("key-" + std::to_string(i));
  d.set("title", i % 8 == 1 ? std::string() : "title \xC3\xA9 " + std::to_string(i));
  d.set("year", static_cast<std::int32_t>(i % 8 == 2 ? std::numeric_limits<std::int32_t>::min() : static_cast<std::int32_t>(1900 + i % 120)));
  d.set("small", std::uint32_t{4'000'000'000u});
  d.set("genres", i % 8 == 3 ? Strings{} : Strings{"Drama", std::string(i % 5, 'x')});
  if (i % 3 != 0) {
    d.set("flag", i % 2 == 0);
    d.set("big", std::numeric_limits<std::int64_t>::min() + static_cast<std::int64_t>(i));
    d.set("huge", std::numeric_limits<std::uint64_t>::max() - i);
    d.set("ratio", 0.1f * static_cast<float>(i));
    d.set("rating", 0.1 * static_cast<double>(i));
    d.set("blob", Bytes{std::byte{0}, std::byte{255}, static_cast<std::byte>(i)});
  }
  d.set("l2", vector(7));
  d.set("ip", vector(5));
  d.set("cos", vector(3));
  return d;
}

inline std::vector<quiver::Document> wide_documents(std::uint64_t first, std::uint64_t count) {
  std::vector<quiver::Document> out;
  for (std::uint64_t i = first; i < first + count; ++i) out.push_back(wide_document(i));
  return out;
}

/// True if every field that was given came back the same, and every other one as null.
inline bool same_fields(const quiver::Schema& schema, const quiver::Document& given, const quiver::Document& found) {
  if (given.key() != found.key()) return false;
  const auto same = [&](const std::string& name, auto type) {
    using T = typename decltype(type)::type;
    const auto wanted = given.has(name) ? given.get<T>(name) : std::optional<T>();
    return found.has(name) && found.get<T>(name) == wanted;
  };
  using quiver::FieldType;
  for (const auto& field : schema.fields()) {
    const auto& n = field.name();
    bool ok = false;
    switch (field.type()) {
      case FieldType::boolean:
        ok = same(n, std::type_identity<bool>{});
        break;
      case FieldType::int32:
        ok = same(n, std::type_identity<std::int32_t>{});
        break;
      case FieldType::int64:
        ok = same(n, std::type_identity<std::int64_t>{});
        break;
      case FieldType::uint32:
        ok = same(n, std::type_identity<std::uint32_t>{});
        break;
      case FieldType::uint64:
        ok = same(n, std::type_identity<std::uint64_t>{});
        break;
      case FieldType::float32:
        ok = same(n, std::type_identity<float>{});
        break;
      case FieldType::float64:
        ok = same(n, std::type_identity<double>{});
        break;
      case FieldType::string:
        ok = same(n, std::type_identity<std::string>{});
        break;
      case FieldType::strings:
        ok = same(n, std::type_identity<quiver::Strings>{});
        break;
      case FieldType::bytes:
        ok = same(n, std::type_identity<quiver::Bytes>{});
        break;
    }
    if (!ok) return false;
  }
  for (const auto& field : schema.vectors())
    if (!same(field.name(), std::type_identity<std::vector<float>>{})) return false;
  return true;
}

/// All that can be read, as one text: any difference between two backends, or before and after a fault, shows in it.
template <class C>
std::string digest(const C& c, const quiver::Schema& schema) {
  using namespace quiver;
  std::string out = std::to_string(c.count());
  const auto bits = [](float f) { return std::to_string(std::bit_cast<std::uint32_t>(f)); };
  for (const Document& d : c.scan()) {
    out += "|" + d.key() + ":" + std::to_string(d.id().value);
    for (const auto& field : schema.fields()) {
      if (const auto text = field.type() == FieldType::string ? d.get<std::string>(field.name()) : std::nullopt) out += *text;
      if (const auto number = field.type() == FieldType::int32 ? d.get<std::int64_t>(field.name()) : std::nullopt) out += std::to_string(*number);
      if (const auto list = field.type() == FieldType::strings ? d.get<Strings>(field.name()) : std::nullopt)
        for (const auto& text : *list) out += "," + text;
      if (const auto blob = field.type() == FieldType::bytes ? d.get<Bytes>(field.name()) : std::nullopt)
        for (const auto byte : *blob) out += "." + std::to_string(std::to_integer<int>(byte));
      if (const auto real = field.type() == FieldType::float64 ? d.get<double>(field.name()) : std::nullopt)
        out += std::to_string(std::bit_cast<std::uint64_t>(*real));
    }
    for (const auto& field : schema.vectors()) {
      const auto values = d.get<std::vector<float>>(field.name());
      for (const float x : *values) out += bits(x);
    }
    const auto by_key = c.fetch(d.key(), FieldNames::none());
    out += by_key && by_key->id() == d.id() ? "" : " KEY LOST";
  }
  for (const auto& field : schema.vectors()) {
    const std::vector<float> query(field.dimension(), detail::fits_element(field.element(), 0.25f) ? 0.25f : 1.0f);
    for (const Hit& hit : c.search({.field = field.name(), .query = query, .k = 5, .fields = FieldNames::none()})) out += ";" + hit.key + bits(hit.distance);
  }
  return out;
}

}  // namespace quiver::test
