#include <quiver/formats/npy.hpp>

#include "support/error_code.hpp"
#include "support/temp_folder.hpp"

#include <boost/test/unit_test.hpp>

#include <fstream>

using namespace quiver;
using namespace quiver::test;

namespace {

struct File {
  TempFolder folder;
  std::filesystem::path path = folder / "m.npy";

  [[nodiscard]] std::string bytes() const {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  /// A file of that header text and so many bytes of rows.
  void put(const std::string& text, std::size_t data, char major = 1) const {
    std::string all("\x93NUMPY", 6);
    all += {major, '\0', static_cast<char>(text.size() & 0xFF), static_cast<char>(text.size() >> 8)};
    if (major > 1) all += {'\0', '\0'};
    std::ofstream(path, std::ios::binary) << all << text << std::string(data, '\0');
  }
  [[nodiscard]] Errc code() const {
    return code_of([&] { (void)read_npy<float>(path); });
  }
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(npy, File)

BOOST_AUTO_TEST_CASE(the_bytes_are_those_that_numpy_saves) {
  write_npy(path, Matrix<float>{2, 3, {1, 2, 3, 4, 5, -0.0f}});
  const auto all = bytes();
  BOOST_TEST_REQUIRE(all.size() == 128 + 24u);
  std::string expected("\x93NUMPY\x01\x00\x76\x00{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", 69);
  expected.resize(127, ' ');
  BOOST_TEST(all.substr(0, 128) == expected + '\n');
  const unsigned char first[] = {0, 0, 0x80, 0x3F, 0, 0, 0, 0x40};
  BOOST_TEST(std::memcmp(all.data() + 128, first, sizeof first) == 0);
  BOOST_TEST(all.substr(148) == std::string("\0\0\0\x80", 4));
}

BOOST_AUTO_TEST_CASE(what_was_written_is_read) {
  const Matrix<float> floats{2, 2, {-0.0f, std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(), 1e-45f}};
  write_npy(path, floats);
  const auto back = read_npy<float>(path);
  BOOST_TEST(back.rows == 2u);
  BOOST_TEST(back.dimension == 2u);
  BOOST_TEST(std::memcmp(back.values.data(), floats.values.data(), 16) == 0);
  const Matrix<std::int32_t> integers{1, 3, {1, -2, std::numeric_limits<std::int32_t>::min()}};
  write_npy(path, integers);
  BOOST_TEST((read_npy<std::int32_t>(path) == integers));
  BOOST_TEST(code() == Errc::corruption);
  const Matrix<std::uint8_t> small{3, 1, {0, 7, 255}};
  write_npy(path, small);
  BOOST_TEST((read_npy<std::uint8_t>(path) == small));
  const Matrix<float> none{0, 4, {}};
  write_npy(path, none);
  BOOST_TEST((read_npy<float>(path) == none));
}

BOOST_AUTO_TEST_CASE(a_header_may_be_written_otherwise) {
  put("{\"shape\":(2,3),'fortran_order':False,'descr':'<f4'}", 24);
  BOOST_TEST(code() == Errc::none);
  put("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n", 24, 2);
  BOOST_TEST(code() == Errc::none);
  put("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n", 24, 3);
  BOOST_TEST(code() == Errc::none);
}

BOOST_AUTO_TEST_CASE(another_header_is_corruption) {
  const auto wrong = [&](const std::string& text, std::size_t data = 24, char major = 1) {
    put(text, data, major);
    const auto error = error_of([&] { (void)read_npy<float>(path); });
    BOOST_TEST_REQUIRE(error.has_value(), text);
    BOOST_TEST(error->code() == Errc::corruption);
    BOOST_TEST(error->path() == path);
    BOOST_TEST(error->offset().has_value());
    return std::string(error->what());
  };
  const std::string good = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }";
  const auto with = [&](const std::string& from, const std::string& to) {
    auto text = good;
    return text.replace(text.find(from), from.size(), to);
  };
  put(good, 24);
  BOOST_TEST(code() == Errc::none);
  wrong(good, 23);
  wrong(good, 25);
  wrong(good, 0);
  wrong(good, 24, 0);
  wrong(good, 24, 4);
  wrong("");
  wrong(good + "x");
  wrong(with("<f4", ">f4"));
  wrong(with("<f4", "<f8"));
  wrong(with("False", "True"), 24);
  wrong(with("(2, 3)", "(6,)"));
  wrong(with("(2, 3)", "(1, 2, 3)"));
  wrong(with("(2, 3)", "(2, -3)"));
  wrong(with("(2, 3)", "(3, 2)").substr(0, 50));
  wrong(with("(2, 3)", "(0, 0)"), 0);
  wrong(with("(2, 3)", "(1, 65537)"), 65537 * 4);
  wrong(with("(2, 3)", "(4611686018427387904, 4)"), 0);  // x 4 x 4 is 0 in 64 bits
  wrong(with("(2, 3)", "(18446744073709551616, 3)"));
  wrong(with("'shape'", "'shapes'"));
  wrong(with("'fortran_order': False", "'descr': '<f4'"));
  for (const auto* missing : {"'descr': '<f4', ", "'fortran_order': False, ", "'shape': (2, 3), "})
    BOOST_TEST(wrong(with(missing, "")).find("needs descr") != std::string::npos);
  for (const auto* twice : {"'descr': '<f4'", "'fortran_order': False", "'shape': (2, 3)"}) wrong(with(twice, twice + std::string(", ") + twice));
}

BOOST_AUTO_TEST_CASE(a_file_that_is_cut_is_corruption_and_one_that_is_missing_not_found) {
  write_npy(path, Matrix<float>{2, 3, {1, 2, 3, 4, 5, 6}});
  for (auto left = std::filesystem::file_size(path); left-- != 0;) {
    std::filesystem::resize_file(path, left);
    BOOST_TEST(code() == Errc::corruption);
  }
  std::filesystem::remove(path);
  BOOST_TEST(code() == Errc::not_found);
  BOOST_TEST(code_of([&] { (void)read_npy<float>(folder.path()); }) == Errc::io_error);
}

BOOST_AUTO_TEST_CASE(a_file_that_cannot_be_opened_or_gives_fewer_bytes_than_it_has_is_an_io_error) {
  std::filesystem::create_symlink(path.filename(), path);  // leads to itself
  const auto error = error_of([&] { (void)read_npy<float>(path); });
  BOOST_TEST_REQUIRE(error.has_value());
  BOOST_TEST(error->code() == Errc::io_error);
  BOOST_TEST(error->path() == path);
  BOOST_TEST(std::string(error->what()).find(std::generic_category().message(ELOOP)) != std::string::npos);
  // What the kernel writes when it is read says a page and has less.
  const std::filesystem::path shorter = "/sys/kernel/mm/transparent_hugepage/enabled";
  std::error_code missing;
  if (std::filesystem::file_size(shorter, missing) != 4096 || missing) return;
  const auto cut = error_of([&] { (void)read_npy<float>(shorter); });
  BOOST_TEST_REQUIRE(cut.has_value());
  BOOST_TEST(cut->code() == Errc::io_error);
  BOOST_TEST(cut->offset().value() == 0u);
}

BOOST_AUTO_TEST_CASE(a_matrix_that_is_none_is_not_written) {
  BOOST_TEST(code_of([&] { write_npy(path, Matrix<float>{2, 3, {1}}); }) == Errc::invalid_argument);
  BOOST_TEST(code_of([&] { write_npy(path, Matrix<float>{0, 0, {}}); }) == Errc::invalid_argument);
  BOOST_TEST(code_of([&] { write_npy(path, Matrix<float>{1, 2, {1, 2, 3, 4}}); }) == Errc::invalid_argument);
  BOOST_TEST(code_of([&] { write_npy(path, Matrix<float>{1, 65'537, std::vector<float>(65'537)}); }) == Errc::invalid_argument);
  BOOST_TEST(!std::filesystem::exists(path));
  BOOST_TEST(code_of([&] { write_npy(folder / "no" / "x", Matrix<float>{1, 1, {1}}); }) == Errc::io_error);
  if (std::filesystem::exists("/dev/full")) BOOST_TEST(code_of([] { write_npy("/dev/full", Matrix<float>{1, 1, {1}}); }) == Errc::no_space);
}

BOOST_AUTO_TEST_SUITE_END()
