#include <quiver/manifest/names.hpp>

#include <boost/test/unit_test.hpp>

#include <limits>

using namespace quiver;
using namespace quiver::detail;

BOOST_AUTO_TEST_SUITE(names)

BOOST_AUTO_TEST_CASE(names_are_padded_and_parse_back) {
  BOOST_TEST(manifest_name(42) == "MANIFEST_00000000000042");
  BOOST_TEST(run_name(9) == "idmap-000009");
  BOOST_TEST(deletes_name(31) == "deletes-000031");
  BOOST_TEST(log_name(12) == "wal-000012");
  BOOST_TEST(segment_folder(SegmentId{7}) == "seg-000007");
  BOOST_TEST(block_name({SegmentId{7}, 3, BlockType::scalar}) == "seg-000007/blk-000003.scalar");
  BOOST_TEST(block_name({SegmentId{7}, 3, BlockType::vector_index}) == "seg-000007/blk-000003.vector_index");
  BOOST_TEST(block_name({SegmentId{7}, 3, BlockType::vector_graph}) == "seg-000007/blk-000003.vector_graph");
  BOOST_TEST(block_name({SegmentId{7}, 3, BlockType::vector_quant}) == "seg-000007/blk-000003.vector_quant");
  for (const std::uint64_t n : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{999'999}, std::uint64_t{1'000'000}, std::uint64_t{100'000'000'000'000},
                                std::numeric_limits<std::uint64_t>::max()}) {
    BOOST_TEST((parse_manifest_name(manifest_name(n)) == n));
    BOOST_TEST((parse_run_name(run_name(n)) == n));
    BOOST_TEST((parse_deletes_name(deletes_name(n)) == n));
    BOOST_TEST((parse_log_name(log_name(n)) == n));
    BOOST_TEST((parse_segment_folder(segment_folder(SegmentId{n})) == SegmentId{n}));
    for (const auto type : {BlockType::scalar, BlockType::vector_index, BlockType::vector_graph, BlockType::vector_quant}) {
      const BlockName name{SegmentId{n}, n, type};
      BOOST_TEST((parse_block_name(block_name(name)) == name));
    }
  }
}

BOOST_AUTO_TEST_CASE(what_is_not_exactly_our_pattern_is_not_ours) {
  for (const char* name : {"", "MANIFEST_", "MANIFEST_42", "MANIFEST_0000000000004", "MANIFEST_000000000000042", "MANIFEST_0000000000004x",
                           "MANIFEST_-0000000000042", "MANIFEST_+0000000000042", "MANIFEST_ 0000000000042", "manifest_00000000000042",
                           "MANIFEST_00000000000042 ", "MANIFEST_99999999999999999999", "a/MANIFEST_00000000000042", "MANIFEST_00000000000042/"})
    BOOST_TEST(!parse_manifest_name(name), name);
  for (const char* name : {"idmap-", "idmap-9", "idmap-0000009", "idmap-00000a", "idmap-000009.tmp", "/idmap-000009", "../idmap-000009"})
    BOOST_TEST(!parse_run_name(name), name);
  for (const char* name :
       {"", "deletes-", "deletes-31", "deletes-0000031", "deletes-00003a", "deletes-000031.tmp", "/deletes-000031", "../deletes-000031", "Deletes-000031",
        "deletes_000031", "deletes-000031 ", "delete-000031", "wal-000031", "idmap-000031", "deletes-99999999999999999999"})
    BOOST_TEST(!parse_deletes_name(name), name);
  for (const char* name : {"", "wal-", "wal-12", "wal-0000012", "wal-00001a", "wal-000012.tmp", "/wal-000012", "../wal-000012", "WAL-000012", "wal-000012.log",
                           "wal-000012 ", "deletes-000012", "wal-99999999999999999999"})
    BOOST_TEST(!parse_log_name(name), name);
  for (const char* name : {"seg-000007",
                           "seg-000007/",
                           "seg-000007/blk-000003",
                           "seg-000007/blk-000003.",
                           "seg-000007/blk-000003.scalars",
                           "seg-000007/blk-000003.vector",
                           "seg-000007/blk-000003.vector_quants",
                           "seg-000007/blk-000003.vector_index_quant",
                           "seg-000007/blk-3.scalar",
                           "seg-7/blk-000003.scalar",
                           "seg-000007//blk-000003.scalar",
                           "/seg-000007/blk-000003.scalar",
                           "seg-000007/../seg-000008/blk-000003.scalar",
                           "../seg-000007/blk-000003.scalar",
                           "seg-000007/blk-000003.scalar/..",
                           "seg-000007\\blk-000003.scalar",
                           "seg-000007/blk-000003.vector_index.tmp",
                           "blk-000003.scalar",
                           "seg-000007/.scalar",
                           "/etc/passwd"})
    BOOST_TEST(!parse_block_name(name), name);
  BOOST_TEST(!parse_block_name(std::string_view("seg-000007/blk-000003\0.scalar", 29)));
}

// What each kind of name is taken for: whether it is ours, whether a manifest names the file with its checksum, whether it is a draft.
struct Kind {
  bool own, data, temporary;
  friend bool operator==(const Kind&, const Kind&) = default;
};
Kind kind_of(std::string_view name) { return {is_own_name(name), is_data_file_name(name), is_temporary_name(name)}; }

BOOST_AUTO_TEST_CASE(own_names_are_told_from_foreign_ones) {
  for (const char* name : {"seg-000007/blk-000003.scalar", "seg-000007/blk-000003.vector_index", "seg-000007/blk-000003.vector_graph",
                           "seg-000007/blk-000003.vector_quant", "idmap-000009", "deletes-000031"})
    BOOST_TEST((kind_of(name) == Kind{true, true, false}), name);
  for (const char* name : {"LOCK", "MANIFEST_00000000000042", "wal-000012"}) BOOST_TEST((kind_of(name) == Kind{true, false, false}), name);
  for (const char* name : {"seg-000007/blk-000003.scalar.tmp", "seg-000007/blk-000003.vector_index.tmp", "seg-000007/blk-000003.vector_quant.tmp",
                           "idmap-000009.tmp", "deletes-000031.tmp", "MANIFEST_00000000000042.tmp"})
    BOOST_TEST((kind_of(name) == Kind{true, false, true}), name);
  // A log has no draft, so what bears such a name is not ours.
  for (const char* name : {"wal-000012.tmp", "LOCK.tmp", "", ".tmp", "a.tmp", "notes.txt", "seg-000007", "seg-000007/notes.txt", "seg-000007/wal-000012",
                           "seg-000007/deletes-000031", "MANIFEST_00000000000042.tmp.tmp", "deletes-000031.tmp.tmp", "MANIFEST_00000000000042.bak",
                           "deletes-000031.bak", "wal-000012.bak", "deletes-31", "wal-12"})
    BOOST_TEST((kind_of(name) == Kind{false, false, false}), name);
}

BOOST_AUTO_TEST_SUITE_END()
