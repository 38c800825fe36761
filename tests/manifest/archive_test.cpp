#include <quiver/manifest/archive.hpp>

#include <boost/test/unit_test.hpp>

#include "support/peak_memory.hpp"
#include "support/replaced_new.hpp"

#include <cereal/types/deque.hpp>
#include <cereal/types/list.hpp>
#include <cereal/types/unordered_set.hpp>
#include <cereal/types/vector.hpp>

#include <limits>

namespace quiver::test {

struct Pair {
  std::uint64_t a = 0;
  std::string b;
};
template <class Archive>
void serialize(Archive& archive, Pair& pair) {
  archive(pair.a, pair.b);
}

struct Nothing {};
template <class Archive>
void serialize(Archive&, Nothing&) {}

}  // namespace quiver::test

using namespace quiver;
using namespace quiver::detail;

namespace {

Bytes bytes_of(std::initializer_list<int> values) {
  Bytes bytes;
  for (const int v : values) bytes.push_back(static_cast<std::byte>(v));
  return bytes;
}

// A length and `tail` zeros, read as a T: a Cereal exception and no big allocation.
template <class T>
void expect_cheap_refusal(std::uint64_t length, std::size_t tail) {
  Bytes bytes;
  append(bytes, length);
  bytes.resize(bytes.size() + tail);
  T value{};
  const test::PeakMemory peak;
  ByteInputArchive in(bytes);
  BOOST_CHECK_THROW(in(value), cereal::Exception);
  BOOST_TEST(peak.bytes() < 4096u);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(archives)

BOOST_AUTO_TEST_CASE(values_are_little_endian_and_of_their_own_width) {
  ByteOutputArchive out;
  out(std::uint8_t{1}, std::uint16_t{0x0203}, std::uint32_t{0x04050607}, std::int64_t{-2}, true, 1.0f, std::string("ab"));
  const auto bytes = out.take();
  const auto expected = bytes_of({1, 3, 2, 7, 6, 5, 4, 0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1, 0, 0, 0x80, 0x3F, 2, 0, 0, 0, 0, 0, 0, 0, 'a', 'b'});
  BOOST_TEST((bytes == expected));
}

BOOST_AUTO_TEST_CASE(what_was_written_is_read_back) {
  ByteOutputArchive out;
  const std::vector<test::Pair> pairs{{1, "one"}, {std::numeric_limits<std::uint64_t>::max(), ""}};
  out(pairs, std::vector<double>{0.5, -0.0}, std::string(1, '\0'), false);
  const auto bytes = out.take();
  ByteInputArchive in(bytes);
  std::vector<test::Pair> pairs_back;
  std::vector<double> doubles;
  std::string text;
  bool flag = true;
  in(pairs_back, doubles, text, flag);
  in.done();
  BOOST_REQUIRE(pairs_back.size() == 2u);
  BOOST_TEST(pairs_back[0].b == "one");
  BOOST_TEST(pairs_back[1].a == pairs[1].a);
  BOOST_TEST((doubles == std::vector<double>{0.5, -0.0}));
  BOOST_TEST(text == std::string(1, '\0'));
  BOOST_TEST(!flag);
}

BOOST_AUTO_TEST_CASE(empty_texts_and_lists_copy_from_nowhere) {
  const Bytes bytes(16);
  ByteInputArchive in(bytes);
  std::string text = "old";
  std::vector<std::uint32_t> list{1};
  in(text, list);
  in.done();
  BOOST_TEST(text.empty());
  BOOST_TEST(list.empty());
  ByteInputArchive none{ByteSpan()};
  none.done();
  BOOST_CHECK_THROW(none(text), cereal::Exception);
}

BOOST_AUTO_TEST_CASE(a_truth_value_is_zero_or_one) {
  for (int byte = 0; byte < 256; ++byte) {
    const auto bytes = bytes_of({byte});
    ByteInputArchive in(bytes);
    bool value = false;
    if (byte > 1) {
      BOOST_CHECK_THROW(in(value), cereal::Exception);
    } else {
      in(value);
      BOOST_TEST(value == (byte == 1));
    }
  }
}

BOOST_AUTO_TEST_CASE(an_enum_outside_its_list_is_refused) {
  enum class Kind : std::uint8_t { one = 1, three = 3 };
  const auto known = [](Kind kind) { return kind == Kind::one || kind == Kind::three; };
  for (int byte = 0; byte < 256; ++byte) {
    const auto bytes = bytes_of({byte});
    ByteInputArchive in(bytes);
    Kind kind = Kind::one;
    if (byte == 1 || byte == 3) {
      in(enum_field(kind, known));
      BOOST_TEST(static_cast<int>(kind) == byte);
    } else {
      BOOST_CHECK_THROW(in(enum_field(kind, known)), cereal::Exception);
    }
  }
}

BOOST_AUTO_TEST_CASE(bytes_left_over_are_an_error) {
  const auto bytes = bytes_of({1, 2});
  ByteInputArchive in(bytes);
  std::uint8_t value = 0;
  in(value);
  BOOST_CHECK_THROW(in.done(), cereal::Exception);
  in(value);
  in.done();
}

BOOST_AUTO_TEST_CASE(a_length_beyond_the_bytes_is_refused_before_anything_is_sized) {
  for (const std::uint64_t length : {std::uint64_t{9}, std::uint64_t{1} << 28, std::uint64_t{1} << 61, (std::uint64_t{1} << 61) + 1, std::uint64_t{1} << 63,
                                     std::numeric_limits<std::uint64_t>::max()}) {
    for (const std::size_t tail : {std::size_t{0}, std::size_t{8}}) {
      expect_cheap_refusal<std::string>(length, tail);
      expect_cheap_refusal<std::vector<std::uint8_t>>(length, tail);
      expect_cheap_refusal<std::vector<std::uint64_t>>(length, tail);
      expect_cheap_refusal<std::vector<test::Pair>>(length, tail);
      expect_cheap_refusal<std::vector<test::Nothing>>(length, tail);
      expect_cheap_refusal<std::list<std::uint64_t>>(length, tail);
      expect_cheap_refusal<std::deque<std::uint64_t>>(length, tail);
      expect_cheap_refusal<std::unordered_set<std::uint64_t>>(length, tail);
    }
  }
}

BOOST_AUTO_TEST_CASE(a_list_is_held_against_the_least_size_of_its_elements) {
  Bytes bytes;
  append(bytes, std::uint64_t{3});
  bytes.resize(8 + 47);  // three pairs of 16 bytes do not fit, by one byte
  std::vector<test::Pair> pairs;
  ByteInputArchive in(bytes);
  BOOST_CHECK_THROW(in(list_field(pairs, 16)), cereal::Exception);
  BOOST_TEST(pairs.capacity() == 0u);
  bytes.resize(8 + 48);
  ByteInputArchive again(bytes);
  again(list_field(pairs, 16));
  again.done();
  BOOST_TEST(pairs.size() == 3u);
}

BOOST_AUTO_TEST_CASE(elements_that_take_no_bytes_cannot_multiply) {
  // Each inner list claims as many empty elements as there are bytes left: the budget of the whole archive ends it.
  Bytes bytes;
  append(bytes, std::uint64_t{100});
  for (int i = 0; i < 100; ++i) append(bytes, std::uint64_t{400});
  bytes.resize(bytes.size() + 500);
  std::vector<std::vector<test::Nothing>> lists;
  const test::PeakMemory peak;
  ByteInputArchive in(bytes);
  BOOST_CHECK_THROW(in(lists), cereal::Exception);
  BOOST_TEST(peak.bytes() < 8192u);
}

BOOST_AUTO_TEST_SUITE_END()
