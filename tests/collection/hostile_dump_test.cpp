// Dumps that are damaged, or written by hand, and load().
#include "support/dumps.hpp"

#include <boost/test/unit_test.hpp>

#include <fstream>

using namespace quiver;
using namespace quiver::test;
using namespace std::string_literals;

BOOST_AUTO_TEST_SUITE(hostile_dump)

using namespace quiver::test::dumps;

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
  BOOST_TEST(code(empty + R"(,"options":{"retain_versions":0})") == Errc::corruption);
  BOOST_TEST(code(empty + R"(,"options":{"preferred_policy":")" + std::string(257, 'p') + R"("})") == Errc::corruption);
  BOOST_TEST(code(empty + R"(,"checksum":"0000000000000000","library":"0.1.0")") == Errc::corruption);
  BOOST_TEST(code(empty + R"(,"options":{"durability":"always"})") == Errc::corruption);
  BOOST_TEST(code(R"("fields":[{"name":"a"}],"vectors":[])") == Errc::corruption);
  BOOST_TEST(code(R"("fields":[{"name":"_key","type":"int32"}],"vectors":[])") == Errc::invalid_argument);
  BOOST_TEST(code(R"("fields":[],"vectors":[{"name":"a","dimension":99999999,"metric":"l2"}])") == Errc::invalid_argument);
  BOOST_TEST(code(R"("fields":[],"vectors":[{"name":"a","dimension":1,"metric":"l2","file":"../vectors-000.npy"}])") == Errc::corruption);
  for (const std::string quantizer : {"\"sq5\"", "\"none\"", "\"SQ8\"", "\"\"", "8", "null"})
    BOOST_TEST(code(R"("fields":[],"vectors":[{"name":"a","dimension":1,"metric":"l2","index":{"m":8,"ef_construction":9,"ef":9},"quantizer":)" + quantizer +
                    "}]") == Errc::corruption);
  BOOST_TEST(code(R"("fields":[],"vectors":[{"name":"a","dimension":1,"metric":"l2","quantizer":"sq4"}])") == Errc::invalid_argument);  // without an index
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

BOOST_AUTO_TEST_CASE(nothing_follows_the_checksum_of_a_schema_file) {
  const Folder folder;
  const std::string schema = R"("fields":[{"name":"n","type":"int32"}],"vectors":[],)";
  folder.write_by_hand("", 0, schema);
  auto text = slurp(folder.dump / "schema.json");
  text.pop_back();
  std::string checked = schema + R"("checksum":")";
  detail::append_hex(checked, detail::checksum(detail::as_bytes(text), 0));
  folder.write_by_hand("", 0, checked + "\"");
  BOOST_TEST(Ram::load(folder.dump).count() == 0u);
  // A member that is allowed before it.
  folder.write_by_hand("", 0, checked + R"(","library":"0.1.0")");
  const auto error = folder.refused();
  BOOST_TEST(error.code() == Errc::corruption);
  BOOST_TEST(says(error, "must come last"));
}

BOOST_AUTO_TEST_CASE(a_folder_in_the_place_of_a_file_of_a_dump_is_not_said_to_be_missing) {
  for (const std::string name : {"schema.json", "documents.jsonl", "vectors-000.npy"}) {
    const Folder folder;
    folder.dump_tiny();
    fs::remove(folder.dump / name);
    BOOST_TEST(says(folder.refused(), "missing"), name);
    fs::create_directory(folder.dump / name);
    const auto error = folder.refused();
    BOOST_TEST(error.code() != Errc::not_found);
    BOOST_TEST(error.path() == folder.dump / name);
    BOOST_TEST(!says(error, "missing"), error.what());
  }
}

BOOST_AUTO_TEST_CASE(a_file_of_a_dump_that_ends_within_a_row_is_corruption) {
  const Folder folder;
  fs::create_directories(folder.dump);
  spill(folder.dump / "x", "0123456789");
  const auto directory = detail::Directory<PosixFileSystem>::open(folder.dump, OpenMode::read_only);
  detail::DumpReader<PosixFileSystem> file(*directory, "x");
  Bytes row(4);
  for (int i = 0; i < 2; ++i) file.read(row);
  BOOST_TEST(detail::as_text(row) == "4567");
  const auto error = error_of([&] { file.read(row); });
  BOOST_TEST_REQUIRE(error.has_value());
  BOOST_TEST(error->code() == Errc::corruption);
  BOOST_TEST(error->path() == folder.dump / "x");
  BOOST_TEST(error->offset().value() == 8u);
}

BOOST_AUTO_TEST_CASE(files_of_vectors_are_named_by_numbers_of_three_digits_or_more) {
  BOOST_TEST(detail::dump_vectors_name(0) == "vectors-000.npy");
  BOOST_TEST(detail::dump_vectors_name(99) == "vectors-099.npy");
  BOOST_TEST(detail::dump_vectors_name(100) == "vectors-100.npy");
  BOOST_TEST(detail::dump_vectors_name(1000) == "vectors-1000.npy");
}

/// A dump of documents k0, k1, ... with vectors of `dimension`.
void write_many(const Folder& folder, std::size_t documents, std::size_t dimension) {
  std::string lines;
  for (std::size_t i = 0; i < documents; ++i) lines += "{\"_key\":\"k" + std::to_string(i) + "\"}\n";
  folder.write_by_hand(lines, documents, R"("fields":[],"vectors":[{"name":"v","dimension":)" + std::to_string(dimension) + R"(,"metric":"l2"}])");
  write_npy(folder.dump / "vectors-000.npy", Matrix<float>{documents, dimension, std::vector<float>(documents * dimension, 1.0f)});
}

BOOST_AUTO_TEST_CASE(a_batch_of_a_load_is_bounded_in_documents_and_in_bytes) {
  const auto sizes = [](std::size_t documents, std::size_t dimension) {
    const Folder folder;
    write_many(folder, documents, dimension);
    std::vector<std::size_t> out;
    detail::DumpLoader<PosixFileSystem>(folder.dump).run([&](std::span<const Document> batch) { out.push_back(batch.size()); });
    return out;
  };
  BOOST_TEST((sizes(2500, 1) == std::vector<std::size_t>{1000, 1000, 500}));
  BOOST_TEST((sizes(40, 65'536) == std::vector<std::size_t>{16, 16, 8}));  // 4 MiB
}

BOOST_AUTO_TEST_CASE(what_an_insert_says_of_a_document_names_its_line_and_all_else_passes_as_it_is) {
  const Folder folder;
  write_many(folder, 5, 1);
  // `all` is the error of a batch of several documents, `one` that of k3 alone; none: it is taken.
  const auto thrown = [&](Errc all, Errc one) {
    return error_of([&] {
             detail::DumpLoader<PosixFileSystem>(folder.dump).run([&](std::span<const Document> batch) {
               const auto code = batch.size() > 1 ? all : batch[0].key() == "k3" ? one : Errc::none;
               if (code != Errc::none) detail::fail(code, "where", 7, "the reason");
             });
           })
        .value();
  };
  for (const auto of_a_document :
       {Errc::duplicate_key, Errc::schema_mismatch, Errc::type_mismatch, Errc::dimension_mismatch, Errc::invalid_vector, Errc::invalid_argument}) {
    const auto error = thrown(of_a_document, of_a_document);
    BOOST_TEST(error.code() == of_a_document);
    BOOST_TEST(error.path() == folder.dump / "documents.jsonl");
    BOOST_TEST(error.offset().value() == 42u);
    BOOST_TEST((says(error, "line 4: ") && says(error, "the reason")), error.what());
    // Documents that are wrong together and not one by one.
    BOOST_TEST(thrown(of_a_document, Errc::none).path() == "where");
    BOOST_TEST(thrown(of_a_document, Errc::no_space).code() == Errc::no_space);
    BOOST_TEST(thrown(of_a_document, Errc::no_space).path() == "where");
  }
  for (const auto other : {Errc::io_error, Errc::no_space, Errc::corruption}) {
    BOOST_TEST(thrown(other, Errc::duplicate_key).code() == other);
    BOOST_TEST(thrown(other, Errc::duplicate_key).path() == "where");
  }
}

BOOST_AUTO_TEST_SUITE_END()
