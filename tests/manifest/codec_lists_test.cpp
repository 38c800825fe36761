#include <quiver/manifest/codec.hpp>

#include <boost/test/unit_test.hpp>

#include "support/error_code.hpp"
#include "support/raw_manifest.hpp"
#include "support/versions.hpp"

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

using namespace quiver;
using namespace quiver::detail;

namespace {

// Whether a version is read whose lists were changed; if it is, it is written again in the same bytes, else it is corruption with path and offset.
bool reads(const Version& version, std::uint32_t format, const std::function<void(VersionLists&)>& change) {
  auto lists = lists_of(version);
  change(lists);
  const auto bytes = test::raw_manifest(version, lists, format);
  const std::filesystem::path path = "store/" + manifest_name(version.number);
  if (const auto error = test::error_of([&] { static_cast<void>(decode_version(bytes, path)); })) {
    BOOST_TEST((error->code() == Errc::corruption && error->path() == path && error->offset().has_value()));
    return false;
  }
  BOOST_TEST((encode_version(decode_version(bytes, path)) == bytes));
  return true;
}

}  // namespace

// What a manifest lists apart from its version is read in one order only, so that there is one way to write a version.
BOOST_AUTO_TEST_SUITE(codec_lists)

BOOST_AUTO_TEST_CASE(the_list_of_versions_that_continue_is_read_in_one_order_only) {
  auto version = test::small_logged_version();
  version.number = 9;
  version.parent = 8;
  version.retained = {{2, 0, 0, false}, {4, 0, 0, false}, {6, 0, 0, false}, {8, 0, 0, false}};
  const auto read = [&](const std::vector<std::uint64_t>& continuing) { return reads(version, 2, [&](auto& lists) { lists.continuing = continuing; }); };
  BOOST_TEST(read({}));
  BOOST_TEST(read({2}));
  BOOST_TEST(read({8}));
  BOOST_TEST(read({4, 6}));
  BOOST_TEST(read({2, 4, 6, 8}));
  BOOST_TEST(!read({3}), "not retained");
  BOOST_TEST(!read({9}), "the version itself");
  BOOST_TEST(!read({0}), "version 0");
  BOOST_TEST(!read({2, 3}), "one of two not retained");
  BOOST_TEST(!read({4, 2}), "out of order");
  BOOST_TEST(!read({2, 2}), "twice");
  BOOST_TEST(!read({8, 8}), "the last one twice");
  BOOST_TEST(!read({2, 4, 6, 8, 8}), "more than are retained");
}

BOOST_AUTO_TEST_CASE(indexes_and_graphs_are_read_in_one_order_only) {
  const auto version = test::indexed_version();
  const auto sound = lists_of(version);
  BOOST_REQUIRE(sound.indexes.size() == 2u);
  BOOST_REQUIRE(sound.graphs.size() == 3u);
  const auto read = [&](const std::function<void(VersionLists&)>& change) { return reads(version, 3, change); };
  BOOST_TEST(read([](auto&) {}));
  BOOST_TEST(read([](auto& l) { l.indexes.clear(); }));
  BOOST_TEST(read([](auto& l) { l.graphs.clear(); }));
  BOOST_TEST(read([](auto& l) { l.graphs.erase(l.graphs.begin() + 1); }));
  BOOST_TEST(!read([](auto& l) { l.graphs.clear(), l.indexes.clear(); }), "format 2 would do");
  BOOST_TEST(!read([](auto& l) { std::swap(l.indexes[0], l.indexes[1]); }));
  BOOST_TEST(!read([](auto& l) { l.indexes[1] = l.indexes[0]; }));
  BOOST_TEST(!read([](auto& l) { l.indexes[1].field = 2; }));
  BOOST_TEST(!read([](auto& l) { l.indexes[0].type = 2; }));
  BOOST_TEST(!read([](auto& l) { l.indexes[0].m = 1; }));
  BOOST_TEST(!read([](auto& l) { l.indexes[0].ef = 0; }));
  BOOST_TEST(!read([](auto& l) { std::swap(l.graphs[0], l.graphs[1]); }));
  BOOST_TEST(!read([](auto& l) { std::swap(l.graphs[1], l.graphs[2]); }));
  BOOST_TEST(!read([](auto& l) { l.graphs[1] = l.graphs[0]; }));
  BOOST_TEST(!read([](auto& l) { l.graphs[2].segment = 2; }));
  BOOST_TEST(!read([](auto& l) { l.graphs[2].block = 3; }));
  BOOST_TEST(!read([](auto& l) { l.graphs[0].block = 0; }), "of a scalar block");
  BOOST_TEST(!read([](auto& l) { l.graphs[0].file = {}; }));
  BOOST_TEST(!read([](auto& l) { l.graphs[0].file.name = "seg-000008/blk-000009.vector_graph"; }), "of another segment");
  BOOST_TEST(!read([](auto& l) { l.graphs[0].file.name = "seg-000003/blk-000009.vector_index"; }), "of another type");
  BOOST_TEST(!read([](auto& l) { l.graphs[0].file.name = "seg-000003/blk-000099.vector_graph"; }), "not below the next number");
  BOOST_TEST(!read([](auto& l) { l.graphs[0].file.identity.id = {}; }));
  BOOST_TEST(!read([](auto& l) { l.graphs[0].file.identity = l.graphs[1].file.identity; }), "an id twice");
}

BOOST_AUTO_TEST_CASE(quantizers_and_codes_are_read_in_one_order_only) {
  auto version = test::quantized_version();
  auto vectors = version.schema.vectors();
  vectors[0].quantizer(Sq8{});
  version.schema = Schema(version.schema.fields(), std::move(vectors));
  const auto number = version.next_block++;
  version.segments[1].blocks[1].codes = test::file_ref("seg-000008/blk-" + padded(number, 6) + ".vector_quant", 0x50001 + number, 4096);
  const auto sound = lists_of(version);
  BOOST_REQUIRE(sound.quantizers.size() == 2u);
  BOOST_REQUIRE(sound.codes.size() == 3u);
  const auto read = [&](const std::function<void(VersionLists&)>& change) { return reads(version, 4, change); };
  BOOST_TEST(read([](auto&) {}));
  BOOST_TEST(read([](auto& l) { l.quantizers.clear(); }));
  BOOST_TEST(read([](auto& l) { l.codes.clear(); }));
  BOOST_TEST(read([](auto& l) { l.graphs.clear(); }));
  BOOST_TEST(read([](auto& l) { l.codes.erase(l.codes.begin() + 1); }));
  BOOST_TEST(!read([](auto& l) { l.codes.clear(), l.quantizers.clear(); }), "format 3 would do");
  BOOST_TEST(!read([](auto& l) { l.codes.clear(), l.quantizers.clear(), l.graphs.clear(), l.indexes.clear(); }), "format 2 would do");
  BOOST_TEST(!read([](auto& l) { l.indexes.clear(); }), "quantizers without an index");
  BOOST_TEST(!read([](auto& l) { std::swap(l.quantizers[0], l.quantizers[1]); }));
  BOOST_TEST(!read([](auto& l) { l.quantizers[1] = l.quantizers[0]; }));
  BOOST_TEST(!read([](auto& l) { l.quantizers[1].field = 2; }));
  BOOST_TEST(!read([](auto& l) { l.quantizers[1].field = ~std::uint32_t{0}; }));
  BOOST_TEST(!read([](auto& l) { l.quantizers[0].type = 0; }));
  for (const std::uint8_t type : {std::uint8_t{2}, std::uint8_t{3}}) BOOST_TEST(read([type](auto& l) { l.quantizers[0].type = type; }));
  for (const std::uint8_t type : {std::uint8_t{4}, std::uint8_t{255}}) BOOST_TEST(!read([type](auto& l) { l.quantizers[0].type = type; }));
  BOOST_TEST(!read([](auto& l) { std::swap(l.codes[0], l.codes[1]); }));
  BOOST_TEST(!read([](auto& l) { std::swap(l.codes[1], l.codes[2]); }));
  BOOST_TEST(!read([](auto& l) { l.codes[1] = l.codes[0]; }));
  BOOST_TEST(!read([](auto& l) { l.codes[2].segment = 2; }));
  BOOST_TEST(!read([](auto& l) { l.codes[2].block = 3; }));
  BOOST_TEST(!read([](auto& l) { l.codes[0].block = 0; }), "of a scalar block");
  BOOST_TEST(!read([](auto& l) { l.codes[0].file = {}; }));
  BOOST_TEST(!read([](auto& l) { l.codes[0].file.name = "seg-000008/blk-000012.vector_quant"; }), "of another segment");
  BOOST_TEST(!read([](auto& l) { l.codes[0].file.name = "seg-000003/blk-000012.vector_graph"; }), "of another type");
  BOOST_TEST(!read([](auto& l) { l.codes[0].file.name = "seg-000003/blk-000099.vector_quant"; }), "not below the next number");
  BOOST_TEST(!read([](auto& l) { l.codes[0].file.name.clear(); }));
  BOOST_TEST(!read([](auto& l) { l.codes[0].file.identity.id = {}; }));
  BOOST_TEST(!read([](auto& l) { l.codes[0].file.identity.length = trailer_size + tail_frame_size - 1; }));
  BOOST_TEST(!read([](auto& l) { l.codes[0].file.identity = l.graphs[1].file.identity; }), "an id twice");
  BOOST_TEST(!read([](auto& l) { std::swap(l.codes, l.graphs); }));
}

BOOST_AUTO_TEST_CASE(elements_are_read_in_one_order_only_and_where_no_older_format_would_do) {
  auto version = test::halves_version();
  auto vectors = version.schema.vectors();
  vectors[0].element(Element::uint8);
  version.schema = Schema(version.schema.fields(), std::move(vectors));
  BOOST_REQUIRE(lists_of(version).elements.size() == 2u);
  const auto read = [&](const std::function<void(VersionLists&)>& change) { return reads(version, 5, change); };
  BOOST_TEST(read([](auto&) {}));
  BOOST_TEST(read([](auto& l) { l.elements.erase(l.elements.begin()); }));
  BOOST_TEST(read([](auto& l) { l.elements.pop_back(); }));
  BOOST_TEST(read([](auto& l) { l.elements[0].element = Element::int8; }));
  BOOST_TEST(read([](auto& l) { l.codes.clear(), l.quantizers.clear(), l.graphs.clear(), l.indexes.clear(); }));
  BOOST_TEST(!read([](auto& l) { l.elements.clear(); }), "format 4 would do");
  BOOST_TEST(!read([](auto& l) { l.elements[0].element = Element::float32; }), "what a field stores that says nothing");
  BOOST_TEST(!read([](auto& l) { l.elements[0].element = static_cast<Element>(4); }));
  BOOST_TEST(!read([](auto& l) { l.elements[1].element = static_cast<Element>(255); }));
  BOOST_TEST(!read([](auto& l) { std::swap(l.elements[0], l.elements[1]); }));
  BOOST_TEST(!read([](auto& l) { l.elements[1] = l.elements[0]; }));
  BOOST_TEST(!read([](auto& l) { l.elements[1].field = 2; }));
  BOOST_TEST(!read([](auto& l) { l.elements[1].field = ~std::uint32_t{0}; }));
  // An older format has no room for them: what it holds are floats.
  for (const std::uint32_t format : {2u, 3u, 4u}) {
    const auto older = decode_version(test::raw_manifest(version, format), {});
    for (const auto& field : older.schema.vectors()) BOOST_TEST((field.element() == Element::float32));
  }
}

BOOST_AUTO_TEST_CASE(each_quantizer_has_a_number_of_its_own_for_good) {
  const std::pair<QuantizerType, std::uint8_t> numbers[] = {{Sq8{}, std::uint8_t{1}}, {Sq4{}, std::uint8_t{2}}, {Float16{}, std::uint8_t{3}}};
  static_assert(std::variant_size_v<QuantizerType> == 1 + std::size(numbers));
  for (const auto& [quantizer, number] : numbers) {
    auto version = test::quantized_version();
    auto vectors = version.schema.vectors();
    vectors[0].quantizer(quantizer), vectors[1].quantizer(quantizer);
    version.schema = Schema(version.schema.fields(), std::move(vectors));
    const auto lists = lists_of(version);
    BOOST_REQUIRE(lists.quantizers.size() == 2u);
    for (const auto& record : lists.quantizers) BOOST_TEST(record.type == number);
    BOOST_TEST(format_of(lists) == 4u);
    BOOST_TEST((decode_version(encode_version(version), manifest_name(version.number)).schema == version.schema));
  }
}

BOOST_AUTO_TEST_SUITE_END()
