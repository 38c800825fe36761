// Fuzzes the readers of JSON: any text; a line of documents.jsonl; schema.json. What is accepted must be, written again, read as the same.
#include <quiver/collection/dump_schema.hpp>
#include <quiver/formats/json_document.hpp>

#include "fuzz/accepted.hpp"

#include <cstdio>
#include <cstdlib>

namespace {

using namespace quiver;
using namespace quiver::detail;

[[noreturn]] void broken(const char* what) {
  std::fprintf(stderr, "json_fuzz: %s\n", what);
  std::abort();
}

void rewrite(JsonReader& json, std::string& to) {
  const char* before = "";
  switch (json.peek()) {
    case JsonKind::null:
      json.null();
      to += "null";
      break;
    case JsonKind::boolean:
      to += json.boolean() ? "true" : "false";
      break;
    case JsonKind::number:
      to += json.number();
      break;
    case JsonKind::string:
      append_json_string(to, json.string());
      break;
    case JsonKind::array:
      to += '[';
      json.array([&] {
        to += std::exchange(before, ",");
        rewrite(json, to);
      });
      to += ']';
      break;
    case JsonKind::object:
      to += '{';
      json.object([&](std::string_view key) {
        to += std::exchange(before, ",");
        append_json_string(to, key);
        to += ':';
        rewrite(json, to);
      });
      to += '}';
      break;
  }
}

std::string rewrite(std::string_view text, const std::filesystem::path& path) {
  JsonReader json(text, path);
  std::string out;
  rewrite(json, out);
  json.end();
  return out;
}

/// Two fields of each type would change nothing: one is enough.
const Schema& schema() {
  static const Schema one{Field::boolean("a"), Field::int32("b"),   Field::int64("c"),  Field::uint32("d"),  Field::uint64("e"),
                          Field::float32("f"), Field::float64("g"), Field::string("h"), Field::strings("i"), Field::bytes("j")};
  return one;
}

/// With its fields in the order of the schema, and null where it has none.
std::string line(const Document& document) {
  Document whole(document.key());
  for (const auto& field : schema().fields()) {
    whole.set(field.name(), nullptr);
    for (const auto& given : document.fields())
      if (given.name() == field.name()) whole.set(field.name(), given.value());
  }
  std::string out;
  append_json_document(out, schema(), whole);
  return out;
}

template <class Work>
bool accepts(std::size_t size, const std::filesystem::path& path, Work&& work) {
  try {
    work();
    return true;
  } catch (const Error& e) {
    const bool known = e.code() == Errc::corruption || e.code() == Errc::type_mismatch || e.code() == Errc::schema_mismatch ||
                       e.code() == Errc::version_mismatch || e.code() == Errc::invalid_argument;
    if (!known || e.path() != path || (e.code() != Errc::invalid_argument && !e.offset())) broken(e.what());
    if (e.offset().value_or(0) > size) broken("an offset behind the end");
    return false;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::filesystem::path path = "schema.json";
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const bool is_json = accepts(size, path, [&] {
    const auto out = rewrite(text, path);
    if (rewrite(out, path) != out) broken("a text is another when it is written and read again");
  });
  if (is_json) fuzz::accepted();
  const bool is_document = accepts(size, path, [&] {
    JsonDocumentReader reader(schema());
    JsonReader json(text, path);
    const auto out = line(reader.read(json));
    JsonReader again(out, path);
    if (line(reader.read(again)) != out) broken("a document is another when it is written and read again");
  });
  const bool is_schema = accepts(size, path, [&] {
    auto info = DumpInfoParser(text, path).run();
    info.durability = info.durability.value_or(Durability::sync);
    info.flush_bytes = info.flush_bytes.value_or(0), info.segment_rows = info.segment_rows.value_or(1);
    info.retain_versions = info.retain_versions.value_or(1), info.retain_age_seconds = info.retain_age_seconds.value_or(0);
    info.preferred_policy = info.preferred_policy.value_or("");
    if (info.files.empty())
      for (std::size_t i = 0; i <= info.schema.vectors().size(); ++i)
        info.files.push_back({i == 0 ? std::string(dump_documents_name) : dump_vectors_name(i - 1), i, i});
    const auto out = encode_dump_info(info);
    if (encode_dump_info(DumpInfoParser(out, path).run()) != out) broken("a schema.json is another when it is written and read again");
  });
  if ((is_document || is_schema) && !is_json) broken("what is no JSON was accepted");
  return 0;
}
