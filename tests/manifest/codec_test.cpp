#include <quiver/manifest/codec.hpp>

#include <boost/test/unit_test.hpp>

#include "support/versions.hpp"

#include <functional>
#include <random>

using namespace quiver;
using namespace quiver::detail;

namespace {

const std::filesystem::path path = "store/MANIFEST_00000000000002";

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

// Length and checksum as they would be if a writer had meant these bytes.
Bytes reframed(Bytes bytes) {
  store<std::uint64_t>(&bytes[24], bytes.size() - manifest_frame_size);
  store(&bytes[32], manifest_checksum(bytes));
  return bytes;
}

// The manifest of a version that encode_version would refuse: the fault is put in between the check and the bytes.
Bytes encode_unchecked(const Version& version) {
  std::vector<FieldRecord> fields;
  for (const auto& f : version.schema.fields()) fields.push_back({f.name(), f.type(), f.is_nullable(), f.is_indexed()});
  std::vector<VectorRecord> vectors;
  for (const auto& f : version.schema.vectors()) vectors.push_back({f.name(), static_cast<std::uint32_t>(f.dimension()), f.metric()});
  ByteOutputArchive out;
  transfer(out, version, fields, vectors);
  auto bytes = encode_version(test::small_version());
  bytes.resize(manifest_frame_size);
  append(bytes, ByteSpan(out.take()));
  return reframed(std::move(bytes));
}

void expect_refused(const std::string& what, const std::function<void(Version&)>& spoil) {
  auto version = test::large_version();
  version.number = 2;  // as in the path
  version.parent = 1;
  version.retained = {{1, 0, 100}};
  BOOST_REQUIRE(find_fault(version).empty());
  spoil(version);
  BOOST_TEST(!find_fault(version).empty(), what);
  expect(encode_unchecked(version), Errc::corruption, what);
  BOOST_CHECK_EXCEPTION(static_cast<void>(encode_version(version)), Error, [](const Error& e) { return e.code() == Errc::invalid_argument; });
}

bool same(const Version& a, const Version& b) {
  return a.number == b.number && a.parent == b.parent && a.store_id == b.store_id && a.time == b.time && a.schema == b.schema && a.segments == b.segments &&
         a.id_runs == b.id_runs && a.next_doc_id == b.next_doc_id && a.next_segment == b.next_segment && a.next_block == b.next_block &&
         a.next_run == b.next_run && a.documents == b.documents && a.flush_bytes == b.flush_bytes && a.segment_rows == b.segment_rows &&
         a.retain_versions == b.retain_versions && a.retain_age_seconds == b.retain_age_seconds && a.preferred_policy == b.preferred_policy &&
         a.library_version == b.library_version && a.retained == b.retained && a.features == b.features;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(codec)

BOOST_AUTO_TEST_CASE(a_version_comes_back_as_it_was) {
  Version empty;
  empty.store_id = {1, 0};
  for (const auto& version : {empty, test::small_version(), test::large_version()}) {
    const auto bytes = encode_version(version);
    const auto back = decode_version(bytes, {});
    BOOST_TEST(same(version, back));
    BOOST_TEST((encode_version(back) == bytes));
  }
}

BOOST_AUTO_TEST_CASE(every_truncation_is_corruption_with_path_and_offset) {
  const auto bytes = encode_version(test::small_version());
  for (std::size_t length = 0; length < bytes.size(); ++length) expect(ByteSpan(bytes).first(length), Errc::corruption, "length " + std::to_string(length));
  BOOST_TEST((outcome(bytes).code == Errc::none));
}

BOOST_AUTO_TEST_CASE(every_truncation_under_a_valid_checksum_is_corruption) {
  const auto bytes = encode_version(test::small_version());
  for (std::size_t length = manifest_frame_size; length < bytes.size(); ++length)
    expect(reframed(Bytes(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(length))), Errc::corruption, "length " + std::to_string(length));
}

BOOST_AUTO_TEST_CASE(every_flipped_bit_is_corruption) {
  auto bytes = encode_version(test::small_version());
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    bytes[bit / 8] ^= std::byte{1} << (bit % 8);
    expect(bytes, Errc::corruption, "bit " + std::to_string(bit));
    bytes[bit / 8] ^= std::byte{1} << (bit % 8);
  }
}

BOOST_AUTO_TEST_CASE(a_flipped_bit_under_a_valid_checksum_is_read_or_refused_with_a_type) {
  const auto bytes = encode_version(test::small_version());
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
  auto bytes = encode_version(test::small_version());
  bytes.push_back(std::byte{0});
  expect(bytes, Errc::corruption, "a byte behind the file's end");
  expect(reframed(bytes), Errc::corruption, "a byte behind the payload's end");
}

BOOST_AUTO_TEST_CASE(an_empty_file_and_zeros_are_corruption) {
  expect({}, Errc::corruption, "empty");
  expect(Bytes(4096), Errc::corruption, "zeros");
}

BOOST_AUTO_TEST_CASE(a_newer_format_is_a_version_mismatch) {
  auto bytes = encode_version(test::small_version());
  store<std::uint32_t>(&bytes[8], manifest_format_version + 1);
  expect(reframed(bytes), Errc::version_mismatch, "format version 2");
  // The payload of a newer format need not make sense to us.
  bytes.resize(manifest_frame_size + 3);
  expect(reframed(bytes), Errc::version_mismatch, "format version 2 with another payload");
  store<std::uint32_t>(&bytes[8], 0);
  expect(reframed(bytes), Errc::corruption, "format version 0");
}

BOOST_AUTO_TEST_CASE(each_feature_mask_has_its_own_answer_to_an_unknown_bit) {
  const auto bytes = encode_version(test::small_version());
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
  const auto bytes = encode_version(test::small_version());
  BOOST_TEST((outcome(bytes, "store/MANIFEST_00000000000003").code == Errc::corruption));
  BOOST_TEST((outcome(bytes, "store/MANIFEST_00000000000002.tmp").code == Errc::none));
  BOOST_TEST((outcome(bytes, {}).code == Errc::none));
}

BOOST_AUTO_TEST_CASE(what_cannot_be_true_is_refused_under_a_valid_checksum_and_never_written) {
  expect_refused("number 0", [](Version& v) { v.number = v.parent = 0; });
  expect_refused("its own parent", [](Version& v) { v.parent = v.number; });
  expect_refused("no store id", [](Version& v) { v.store_id = {}; });
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
  expect_refused("an unsealed segment before the last", [](Version& v) { v.segments[0].sealed = false; });
}

BOOST_AUTO_TEST_CASE(a_schema_that_cannot_be_is_refused) {
  const auto with = [](std::vector<FieldRecord> fields, std::vector<VectorRecord> vectors) {
    Version v;
    v.number = 2;
    v.store_id = {1, 1};
    ByteOutputArchive out;
    transfer(out, v, fields, vectors);
    auto bytes = encode_version(test::small_version());
    bytes.resize(manifest_frame_size);
    append(bytes, ByteSpan(out.take()));
    return reframed(std::move(bytes));
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
    auto bytes = encode_version(test::small_version());
    bytes.resize(manifest_frame_size + random() % 300);
    for (std::size_t i = manifest_frame_size; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(random() % 4 == 0 ? random() : 0);
    expect(reframed(std::move(bytes)), Errc::corruption, "round " + std::to_string(round));
  }
}

BOOST_AUTO_TEST_SUITE_END()
