#include <quiver/storage/read_buffers.hpp>

#include <boost/test/unit_test.hpp>

#include <memory>

using namespace quiver::detail;

BOOST_AUTO_TEST_SUITE(read_buffers)

BOOST_AUTO_TEST_CASE(buffers_are_taken_again_up_to_a_limit_of_bytes_and_of_number) {
  const auto file = std::make_shared<int>();
  constexpr std::size_t mebibyte = std::size_t{1} << 20;
  ReadBuffers buffers;
  const auto hold = [&](std::uint64_t offset, std::size_t length) { buffers.hold(file, offset, length, AlignedBytes(length)); };
  // The third would make more than 4 MiB of them, the fourth does not.
  hold(0, 2 * mebibyte), hold(2 * mebibyte, mebibyte), hold(3 * mebibyte, 3 * mebibyte), hold(6 * mebibyte, mebibyte);
  buffers.renew();
  BOOST_TEST(buffers.find(file.get(), 0, 1) == nullptr);
  for (const std::size_t wanted : {2 * mebibyte, mebibyte, mebibyte}) BOOST_TEST(buffers.take(1).size() == wanted);
  BOOST_TEST(buffers.take(1).size() == 4096u);
  for (std::uint64_t i = 0; i < 20; ++i) hold(i * 8192, 8192);
  buffers.renew();
  std::size_t kept = 0;
  while (buffers.take(1).size() == 8192) ++kept;
  BOOST_TEST(kept == 16u);
}

BOOST_AUTO_TEST_SUITE_END()
