#include <quiver/manifest/codec.hpp>

#include <boost/test/unit_test.hpp>

#include "support/raw_manifest.hpp"
#include "support/versions.hpp"

#include <functional>
#include <random>

using namespace quiver;
using namespace quiver::detail;
using test::raw_manifest;
using test::reframed;

namespace {

const std::filesystem::path path = "store/MANIFEST_00000000000003";

struct Outcome {
  Errc code = Errc::none;
  bool has_path = false;
  bool has_offset = false;
};

Outcome outcome(ByteSpan bytes, const std::filesystem::path& where = path) {
  try {
    static_cast<void>(decode_version(bytes, where));
    return {};
  } catch (const Error& e) {
    return {e.code(), e.path() == where, e.offset().has_value()};
  }
}

void expect(ByteSpan bytes, Errc code, const std::string& what) {
  const auto found = outcome(bytes);
  BOOST_TEST(to_string(found.code) == to_string(code), what);
  BOOST_TEST(found.has_path, what);
  BOOST_TEST(found.has_offset, what);
}

void expect_refused(const std::string& what, const std::function<void(Version&)>& spoil) {
  auto version = test::large_logged_version();
  version.number = 3;  // as in the path
  version.parent = 2;
  version.retained = {{1, 0, 100, false}, {2, 0, 100, true}};
  BOOST_REQUIRE(find_fault(version).empty());
  spoil(version);
  BOOST_TEST(!find_fault(version).empty(), what);
  expect(raw_manifest(version), Errc::corruption, what);
  BOOST_CHECK_EXCEPTION(static_cast<void>(encode_version(version)), Error, [](const Error& e) { return e.code() == Errc::invalid_argument; });
}

}  // namespace

BOOST_AUTO_TEST_SUITE(codec)

BOOST_AUTO_TEST_CASE(a_version_comes_back_as_it_was) {
  Version empty;
  empty.store_id = {1, 0};
  for (const auto& version : {empty, test::small_version(), test::large_version(), test::small_logged_version(), test::large_logged_version(),
                              test::indexed_version(), test::quantized_version()}) {
    const auto bytes = encode_version(version);
    BOOST_TEST((raw_manifest(version) == bytes));
    const auto back = decode_version(bytes, {});
    BOOST_TEST((version == back));
    BOOST_TEST((encode_version(back) == bytes));
  }
}

BOOST_AUTO_TEST_CASE(each_field_of_formats_2_to_4_comes_back_by_itself) {
  const auto comes_back = [](const std::string& what, const std::function<void(Version&)>& change) {
    auto base = test::small_version();
    base.number = 5;
    base.retained = {{1, 0, 0, false}, {2, 0, 0, false}, {4, 0, 0, false}};
    auto version = base;
    change(version);
    BOOST_TEST((version != base), what);
    BOOST_REQUIRE_MESSAGE(find_fault(version).empty(), what << ": " << find_fault(version));
    const auto bytes = encode_version(version);
    BOOST_TEST((bytes != encode_version(base)), what);
    BOOST_TEST((decode_version(bytes, {}) == version), what);
  };
  comes_back("a log", [](Version& v) { v.log = {7, {8, 9}}; });
  comes_back("a log whose id has a low half only", [](Version& v) { v.log = {~std::uint64_t{0}, {8, 0}}; });
  comes_back("a log whose id has a high half only", [](Version& v) { v.log = {1, {0, 9}}; });
  comes_back("the last sequence", [](Version& v) { v.last_sequence = ~std::uint64_t{0}; });
  comes_back("buffered", [](Version& v) { v.durability = Durability::buffered; });
  comes_back("no durability", [](Version& v) { v.durability = Durability::none; });
  comes_back("continues", [](Version& v) { v.continues = true; });
  comes_back("a retained version that continues", [](Version& v) { v.retained[1].continues = true; });
  comes_back("all retained versions but the first continue", [](Version& v) { v.retained = {{2, 0, 0, true}, {3, 0, 0, true}, {4, 0, 0, true}}; });
  comes_back("deletes", [](Version& v) {
    v.deletes = {test::file_ref("deletes-000005", 77, 88), 2};
    v.next_deletes = 6;
    v.documents = 1;
  });
  comes_back("all documents deleted", [](Version& v) {
    v.deletes = {test::file_ref("deletes-000000", 77, 88), 3};
    v.documents = 0;
  });
  comes_back("deletes of no document", [](Version& v) { v.deletes = {test::file_ref("deletes-000000", 77, 88), 0}; });
  comes_back("the next number of deletes", [](Version& v) { v.next_deletes = 0; });
  const auto indexed = [](const Hnsw& index) {
    return [index](Version& v) { v.schema = Schema(v.schema.fields(), {VectorField("v", 4).metric(Metric::cosine).index(index)}); };
  };
  comes_back("an index", indexed({}));
  comes_back("its m", indexed({.m = 99}));
  comes_back("its ef_construction", indexed({.ef_construction = 12'345}));
  comes_back("its ef", indexed({.ef = 54'321}));
  comes_back("a graph", [](Version& v) {
    v.segments[0].blocks[1].graph = test::file_ref("seg-000000/blk-000002.vector_graph", 99, 4096);
    v.next_block = 3;
  });
  comes_back("codes", [](Version& v) {
    v.segments[0].blocks[1].codes = test::file_ref("seg-000000/blk-000002.vector_quant", 99, 4096);
    v.next_block = 3;
  });
  comes_back("a quantizer",
             [](Version& v) { v.schema = Schema(v.schema.fields(), {VectorField("v", 4).metric(Metric::cosine).index(Hnsw{}).quantizer(Sq8{})}); });
}

BOOST_AUTO_TEST_CASE(a_version_is_written_in_the_oldest_format_that_has_room_for_it) {
  const auto format = [](const Version& version) { return load<std::uint32_t>(&encode_version(version)[8]); };
  BOOST_TEST(format(test::large_logged_version()) == 2u);
  BOOST_TEST(format(test::indexed_version()) == 3u);
  auto version = test::quantized_version();
  BOOST_TEST(format(version) == 4u);
  const auto schema = version.schema;
  version.schema = test::indexed_version().schema;
  BOOST_TEST(format(version) == 4u);  // codes, and no quantizer any more
  for (auto& segment : version.segments)
    for (auto& block : segment.blocks) block.codes = {};
  BOOST_TEST(format(version) == 3u);
  version.schema = schema;
  BOOST_TEST(format(version) == 4u);  // a quantizer, and no codes yet
  for (auto& segment : version.segments)
    for (auto& block : segment.blocks) block.graph = {};
  BOOST_TEST(format(version) == 4u);
}

BOOST_AUTO_TEST_CASE(every_truncation_is_corruption_with_path_and_offset) {
  const auto bytes = encode_version(test::small_logged_version());
  for (std::size_t length = 0; length < bytes.size(); ++length) expect(ByteSpan(bytes).first(length), Errc::corruption, "length " + std::to_string(length));
  BOOST_TEST((outcome(bytes).code == Errc::none));
}

BOOST_AUTO_TEST_CASE(every_truncation_under_a_valid_checksum_is_corruption) {
  const auto bytes = encode_version(test::small_logged_version());
  for (std::size_t length = manifest_frame_size; length < bytes.size(); ++length)
    expect(reframed(Bytes(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(length))), Errc::corruption, "length " + std::to_string(length));
}

BOOST_AUTO_TEST_CASE(every_flipped_bit_is_corruption) {
  auto bytes = encode_version(test::small_logged_version());
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    bytes[bit / 8] ^= std::byte{1} << (bit % 8);
    expect(bytes, Errc::corruption, "bit " + std::to_string(bit));
    bytes[bit / 8] ^= std::byte{1} << (bit % 8);
  }
}

BOOST_AUTO_TEST_CASE(a_flipped_bit_under_a_valid_checksum_is_read_or_refused_with_a_type) {
  const auto bytes = encode_version(test::small_logged_version());
  std::size_t read = 0;
  for (std::size_t bit = manifest_frame_size * 8; bit < bytes.size() * 8; ++bit) {
    auto damaged = bytes;
    damaged[bit / 8] ^= std::byte{1} << (bit % 8);
    damaged = reframed(std::move(damaged));
    const auto found = outcome(damaged);
    BOOST_TEST((found.code == Errc::none || found.code == Errc::corruption), "bit " << bit << ": " << to_string(found.code));
    if (found.code != Errc::none) continue;
    // What is read is a version that can be written again, to the same bytes.
    ++read;
    BOOST_TEST((encode_version(decode_version(damaged, path)) == damaged), "bit " << bit);
  }
  BOOST_TEST(read > 0u);  // a time, an option: many bits mean something else and nothing wrong
}

BOOST_AUTO_TEST_CASE(bytes_behind_the_end_are_corruption) {
  auto bytes = encode_version(test::small_logged_version());
  bytes.push_back(std::byte{0});
  expect(bytes, Errc::corruption, "a byte behind the file's end");
  expect(reframed(bytes), Errc::corruption, "a byte behind the payload's end");
}

BOOST_AUTO_TEST_CASE(an_empty_file_and_zeros_are_corruption) {
  expect({}, Errc::corruption, "empty");
  expect(Bytes(4096), Errc::corruption, "zeros");
}

BOOST_AUTO_TEST_CASE(a_newer_format_is_a_version_mismatch) {
  auto bytes = encode_version(test::small_logged_version());
  store<std::uint32_t>(&bytes[8], manifest_format_version + 1);
  expect(reframed(bytes), Errc::version_mismatch, "a newer format version");
  // The payload of a newer format need not make sense to us.
  bytes.resize(manifest_frame_size + 3);
  expect(reframed(bytes), Errc::version_mismatch, "a newer format version with another payload");
  store<std::uint32_t>(&bytes[8], 0);
  expect(reframed(bytes), Errc::corruption, "format version 0");
}

BOOST_AUTO_TEST_CASE(each_feature_mask_has_its_own_answer_to_an_unknown_bit) {
  const auto bytes = encode_version(test::small_logged_version());
  for (int bit = 0; bit < 32; ++bit) {
    auto changed = bytes;
    store<std::uint32_t>(&changed[20], std::uint32_t{1} << bit);
    changed = reframed(std::move(changed));
    expect(changed, Errc::version_mismatch, "incompat");
    BOOST_CHECK_EXCEPTION(static_cast<void>(decode_version(changed, path)), Error,
                          [bit](const Error& e) { return std::string(e.what()).find("bit " + std::to_string(bit) + " ") != std::string::npos; });

    changed = bytes;
    store<std::uint32_t>(&changed[16], std::uint32_t{1} << bit);
    changed = reframed(std::move(changed));
    const auto read_only = decode_version(changed, path);
    BOOST_TEST(!read_only.writable());
    BOOST_TEST((encode_version(read_only) == changed));

    changed = bytes;
    store<std::uint32_t>(&changed[12], std::uint32_t{1} << bit);
    const auto ignored = decode_version(reframed(std::move(changed)), path);
    BOOST_TEST(ignored.writable());
    BOOST_TEST((ignored.features.compat == std::uint32_t{1} << bit));
  }
}

BOOST_AUTO_TEST_CASE(a_manifest_under_another_number_is_corruption) {
  const auto bytes = encode_version(test::small_logged_version());
  BOOST_TEST((outcome(bytes, "store/MANIFEST_00000000000004").code == Errc::corruption));
  BOOST_TEST((outcome(bytes, "store/MANIFEST_00000000000003.tmp").code == Errc::none));
  BOOST_TEST((outcome(bytes, {}).code == Errc::none));
}

BOOST_AUTO_TEST_CASE(what_cannot_be_true_is_refused_under_a_valid_checksum_and_never_written) {
  expect_refused("number 0", [](Version& v) { v.number = v.parent = 0; });
  expect_refused("its own parent", [](Version& v) { v.parent = v.number; });
  expect_refused("no store id", [](Version& v) { v.store_id = {}; });
  expect_refused("segments of no rows", [](Version& v) { v.segment_rows = 0; });
  expect_refused("no version to keep", [](Version& v) { v.retain_versions = 0; });
  expect_refused("one that continues and retains nothing", [](Version& v) { v.continues = true, v.retained.clear(); });
  expect_refused("one that continues and retains only such", [](Version& v) {
    v.continues = true;
    for (auto& kept : v.retained) kept.continues = true;
  });
  expect_refused("a negative age", [](Version& v) { v.retain_age_seconds = -1; });
  expect_refused("a long policy", [](Version& v) { v.preferred_policy.assign(257, 'x'); });
  expect_refused("a long library version", [](Version& v) { v.library_version.assign(257, 'x'); });
  expect_refused("retains itself", [](Version& v) { v.retained.push_back({v.number, 0, 0}); });
  expect_refused("retained twice", [](Version& v) { v.retained.push_back(v.retained.back()); });
  expect_refused("documents", [](Version& v) { ++v.documents; });

  for (const char* name : {"", "/etc/passwd", "../seg-000003/blk-000000.scalar", "seg-000003/../seg-000003/blk-000000.scalar", "seg-000008/blk-000000.scalar",
                           "seg-000003/blk-000000.vector_index", "seg-000003/blk-000000.scalar.tmp", "LOCK", "MANIFEST_00000000000002"})
    expect_refused(name, [name](Version& v) { v.segments[0].blocks[0].file.name = name; });
  for (const char* name : {"", "/idmap-000000", "../idmap-000000", "idmap-000000.tmp", "idmap-0"})
    expect_refused(name, [name](Version& v) { v.id_runs[0].name = name; });
  expect_refused("a block number of the future", [](Version& v) { v.next_block = 8; });
  expect_refused("a run number of the future", [](Version& v) { v.next_run = 2; });
  expect_refused("a segment number of the future", [](Version& v) { v.next_segment = 8; });
  expect_refused("a document of the future", [](Version& v) { v.next_doc_id = 151; });
  expect_refused("a file without an id", [](Version& v) { v.segments[0].blocks[1].file.identity.id = {}; });
  expect_refused("a short file", [](Version& v) { v.segments[0].blocks[1].file.identity.length = trailer_size + tail_frame_size - 1; });
  expect_refused("a short run", [](Version& v) { v.id_runs[1].identity.length = 0; });
  expect_refused("a shared file id", [](Version& v) { v.id_runs[1].identity.id = v.segments[0].blocks[1].file.identity.id; });
  expect_refused("a shared name", [](Version& v) { v.segments[0].blocks[3].file.name = v.segments[0].blocks[0].file.name; });

  expect_refused("no blocks", [](Version& v) {
    v.segments[1].blocks.clear();
    --v.documents;
  });
  expect_refused("a missing vector block", [](Version& v) { v.segments[0].blocks.pop_back(); });
  expect_refused("vector blocks in another order", [](Version& v) { std::swap(v.segments[0].blocks[1], v.segments[0].blocks[2]); });
  expect_refused("a vector block first", [](Version& v) { std::swap(v.segments[0].blocks[0], v.segments[0].blocks[1]); });
  expect_refused("an unknown field", [](Version& v) { v.segments[0].blocks[1].field = "other"; });
  expect_refused("a field on the scalars", [](Version& v) { v.segments[0].blocks[0].field = "small"; });
  expect_refused("rows that differ", [](Version& v) { --v.segments[0].blocks[2].rows; });
  expect_refused("ids that differ", [](Version& v) { ++v.segments[0].blocks[2].first.value; });
  const auto of_flush = [](auto change) {
    return [change](Version& v) {
      for (std::size_t i = 3; i < 6; ++i) change(v.segments[0].blocks[i]);
    };
  };
  expect_refused("no rows", of_flush([](BlockRef& b) { b.rows = 0; }));
  expect_refused("more rows than ids", of_flush([](BlockRef& b) { b.rows = 51; }));
  expect_refused("rows beyond counting", of_flush([](BlockRef& b) { b.rows = ~std::uint64_t{0}; }));
  expect_refused("ids in the wrong order", of_flush([](BlockRef& b) { std::swap(b.first, b.last); }));
  expect_refused("ids that overlap", of_flush([](BlockRef& b) { b.first.value = 100; }));
  expect_refused("segments in the wrong order", [](Version& v) { std::swap(v.segments[0], v.segments[1]); });
  expect_refused("a segment twice", [](Version& v) { v.segments[1].id = v.segments[0].id; });
  expect_refused("a segment that was torn in two", [](Version& v) {
    v.segments[0].blocks.resize(3);
    v.documents -= 50;
    auto& blocks = v.segments[1].blocks;
    v.segments[1].id = v.segments[0].id;
    for (auto& block : blocks) block.file.name = block_name({v.segments[0].id, v.next_block++, block.type});
  });
  expect_refused("an unsealed segment before the last", [](Version& v) { v.segments[0].sealed = false; });
}

BOOST_AUTO_TEST_CASE(a_fault_shows_sixty_four_characters_of_a_name_and_no_control_characters) {
  const auto fault = [](const std::string& name) {
    auto version = test::small_version();
    version.id_runs[0].name = name;
    return find_fault(version);
  };
  BOOST_TEST(fault(std::string(64, 'x')) == "'" + std::string(64, 'x') + "' is no name for a run of the id map");
  BOOST_TEST(fault(std::string(65, 'x')) == "'" + std::string(64, 'x') + "...' is no name for a run of the id map");
  BOOST_TEST(fault("a\x1B\n\x7F\xFF~") == "'a????~' is no name for a run of the id map");
}

BOOST_AUTO_TEST_CASE(a_log_that_cannot_be_is_refused) {
  expect_refused("a log without an id", [](Version& v) { v.log.id = {}; });
  expect_refused("a log without a number", [](Version& v) { v.log.number = 0; });
  expect_refused("an unknown durability", [](Version& v) { v.durability = static_cast<Durability>(3); });
  expect_refused("the last number of a durability", [](Version& v) { v.durability = static_cast<Durability>(255); });
  expect_refused("a first version that continues", [](Version& v) {
    v.parent = 0;
    v.retained.clear();
  });
  expect_refused("a retained first version that continues", [](Version& v) { v.retained[0].continues = true, v.retained[1].continues = false; });
}

BOOST_AUTO_TEST_CASE(deletes_that_cannot_be_are_refused) {
  for (const char* name : {"", "/etc/passwd", "deletes-31", "deletes-00003x", "../deletes-000031", "deletes-000031.tmp", "idmap-000031", "wal-000031", "LOCK"})
    expect_refused("deletes named " + std::string(name), [name](Version& v) { v.deletes.file.name = name; });
  expect_refused("deletes of the future", [](Version& v) { v.next_deletes = 1'000'031; });
  expect_refused("deletes without an id", [](Version& v) { v.deletes.file.identity.id = {}; });
  expect_refused("short deletes", [](Version& v) { v.deletes.file.identity.length = trailer_size + tail_frame_size - 1; });
  expect_refused("the file id of a block", [](Version& v) { v.deletes.file.identity.id = v.segments[0].blocks[1].file.identity.id; });
  expect_refused("a name and nothing else", [](Version& v) {
    v.deletes.file.identity = {};
    v.documents += std::exchange(v.deletes.count, 0);
  });
  expect_refused("everything but a name", [](Version& v) {
    v.deletes.file.name.clear();
    v.documents += std::exchange(v.deletes.count, 0);
  });
  expect_refused("deleted documents and no file", [](Version& v) { v.deletes.file = {}; });
  expect_refused("one deleted too few", [](Version& v) { --v.deletes.count; });
  expect_refused("one deleted too many", [](Version& v) { ++v.deletes.count; });
  expect_refused("one document too many", [](Version& v) { ++v.documents; });
  expect_refused("more deleted than there are", [](Version& v) {
    v.deletes.count = 152;
    v.documents = ~std::uint64_t{0};  // modulo 2^64 they add up
  });
}

BOOST_AUTO_TEST_CASE(a_payload_of_one_format_under_the_number_of_the_other_is_corruption) {
  for (const auto& version : {test::small_logged_version(), test::large_logged_version()})
    for (const std::uint32_t format : {1u, 2u}) {
      auto bytes = raw_manifest(version, format);
      store<std::uint32_t>(&bytes[8], 3 - format);
      BOOST_TEST((outcome(reframed(std::move(bytes)), {}).code == Errc::corruption));
    }
  for (const auto& version : {test::indexed_version(), test::quantized_version()})
    for (const std::uint32_t format : {1u, 2u, 3u, 4u}) {
      auto bytes = raw_manifest(version);
      if (format == load<std::uint32_t>(&bytes[8])) continue;
      store<std::uint32_t>(&bytes[8], format);
      BOOST_TEST((outcome(reframed(std::move(bytes)), {}).code == Errc::corruption));
    }
}

BOOST_AUTO_TEST_CASE(a_schema_that_cannot_be_is_refused) {
  const auto with = [](std::vector<FieldRecord> fields, std::vector<VectorRecord> vectors) {
    Version v;
    v.number = 3;
    v.store_id = {1, 1};
    return raw_manifest(v, {std::move(fields), std::move(vectors), {}, {}, {}, {}, {}, {}});
  };
  BOOST_TEST((outcome(with({{"a", FieldType::bytes, false, false}}, {{"v", 65536, Metric::cosine}})).code == Errc::none));
  expect(with({{"a", FieldType::bytes, false, false}, {"a", FieldType::bytes, false, false}}, {}), Errc::corruption, "twice");
  expect(with({{"a", FieldType::bytes, false, false}}, {{"a", 1, Metric::l2}}), Errc::corruption, "twice, of two kinds");
  expect(with({{"", FieldType::bytes, false, false}}, {}), Errc::corruption, "no name");
  expect(with({{"_key", FieldType::string, false, false}}, {}), Errc::corruption, "reserved");
  expect(with({{"\xFF", FieldType::string, false, false}}, {}), Errc::corruption, "not UTF-8");
  expect(with({}, {{"v", 0, Metric::l2}}), Errc::corruption, "dimension 0");
  expect(with({}, {{"v", 65537, Metric::l2}}), Errc::corruption, "dimension 65,537");
  expect(with({{"a", static_cast<FieldType>(10), false, false}}, {}), Errc::corruption, "field type");
  expect(with({}, {{"v", 1, static_cast<Metric>(3)}}), Errc::corruption, "metric");
}

BOOST_AUTO_TEST_CASE(random_bytes_in_a_valid_frame_are_corruption) {
  std::mt19937_64 random(20240817);
  for (int round = 0; round < 2000; ++round) {
    auto bytes = encode_version(test::small_logged_version());
    bytes.resize(manifest_frame_size + random() % 300);
    for (std::size_t i = manifest_frame_size; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(random() % 4 == 0 ? random() : 0);
    expect(reframed(std::move(bytes)), Errc::corruption, "round " + std::to_string(round));
  }
}

BOOST_AUTO_TEST_SUITE_END()
