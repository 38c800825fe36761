// Writes a SCALAR block with every field type, and what is in it as JSON, for check_with_pyarrow.py.
// usage: write_arrow_sample <folder>: makes sample.arrow and expected.json there
#include <quiver/columns/writer.hpp>

#include "support/every_type.hpp"

#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>

namespace {

using namespace quiver;
using namespace quiver::detail;

// Text, bytes and the bits of numbers with a fraction go as hexadecimal digits: no escapes, no rounding.
std::string hex(std::string_view text) {
  std::string digits;
  for (const char letter : text)
    for (const int half : {4, 0}) digits += "0123456789abcdef"[(static_cast<unsigned char>(letter) >> half) & 15];
  return '"' + digits + '"';
}
template <class T>
std::string bits(T value) {
  std::byte bytes[sizeof(T)];
  store(bytes, value);
  return hex(as_text(bytes));
}

struct Json {
  std::string operator()(std::monostate) const { return "null"; }
  std::string operator()(bool value) const { return value ? "true" : "false"; }
  std::string operator()(std::int64_t value) const { return std::to_string(value); }
  std::string operator()(std::uint64_t value) const { return std::to_string(value); }
  std::string operator()(float value) const { return bits(value); }
  std::string operator()(double value) const { return bits(value); }
  std::string operator()(std::string_view value) const { return hex(value); }
  std::string operator()(const std::vector<std::string_view>& list) const {
    std::string all = "[";
    for (const auto element : list) all += (all.size() == 1 ? "" : ", ") + hex(element);
    return all + ']';
  }
};

void write(const std::filesystem::path& path, std::string_view text) {
  std::ofstream out(path, std::ios::binary);
  out.write(text.data(), static_cast<std::streamsize>(text.size()));
  out.close();
  if (!out) throw std::runtime_error("cannot write " + path.string());
}

}  // namespace

int main(int count, char** arguments) try {
  if (count != 2) {
    std::fprintf(stderr, "usage: %s <folder>\n", arguments[0]);
    return 2;
  }
  const std::filesystem::path folder = arguments[1];
  constexpr std::uint64_t group_rows = 100;
  const auto schema = test::every_type_schema();
  const test::EveryTypeRows source(437);
  write(folder / "sample.arrow", as_text(test::scalar_block(schema, source, group_rows).first));

  std::string json = "{\n\"columns\": [\n";
  for (const auto& column : physical_columns(schema)) {
    json += json.back() == '}' ? ",\n" : "";
    json += R"({"name": ")" + column.name + R"(", "type": ")" + std::string(to_string(column.type)) + R"(", "nullable": )" +
            (column.nullable ? "true" : "false") + R"(, "indexed": )" + (column.indexed ? "true" : "false") + '}';
  }
  json += "],\n\"group_rows\": " + std::to_string(group_rows) + ",\n\"rows\": [\n";
  for (std::uint64_t row = 0; row < source.rows(); ++row) {
    json += (row == 0 ? "[" : ",\n[") + hex(source.key(row)) + ", " + std::to_string(source.doc_id(row).value);
    for (std::size_t column = 0; column < schema.fields().size(); ++column) json += ", " + std::visit(Json{}, source.cell(column, row));
    json += ']';
  }
  write(folder / "expected.json", json + "\n]\n}\n");
  return 0;
} catch (const std::exception& e) {
  std::fprintf(stderr, "%s\n", e.what());
  return 1;
}
