#include <quiver/formats/vecs.hpp>

#include "support/error_code.hpp"
#include "support/temp_folder.hpp"

#include <boost/test/unit_test.hpp>

#include <bit>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <sys/stat.h>
#include <unistd.h>

using namespace quiver;
using test::code_of;
using test::error_of;

namespace {

using Elements = std::tuple<float, std::uint8_t, std::int32_t>;

static_assert(VecsElement<float> && VecsElement<std::uint8_t> && VecsElement<std::int32_t>);
static_assert(!VecsElement<double> && !VecsElement<std::int8_t> && !VecsElement<const float>);
static_assert(std::is_move_constructible_v<VecsReader<float>> && std::is_move_assignable_v<VecsReader<float>>);
static_assert(!std::is_copy_constructible_v<VecsReader<float>>);

// A file as raw bytes: rows with headers that a test may spoil.
struct Raw {
  std::string bytes;

  Raw& header(std::int32_t dimension) {
    bytes.append(reinterpret_cast<const char*>(&dimension), sizeof dimension);
    return *this;
  }
  Raw& zeros(std::size_t count) {
    bytes.append(count, '\0');
    return *this;
  }
  Raw& row(std::size_t dimension, std::size_t element) { return header(static_cast<std::int32_t>(dimension)).zeros(dimension * element); }
};

struct Fixture {
  test::TempFolder folder;
  std::filesystem::path path = folder / "data.vecs";

  const std::filesystem::path& put(const Raw& raw) const {
    std::ofstream(path, std::ios::binary | std::ios::trunc).write(raw.bytes.data(), static_cast<std::streamsize>(raw.bytes.size()));
    return path;
  }
  // The error of reading a spoiled file; both readers have to agree on it.
  template <class T>
  Error broken(const Raw& raw) const {
    put(raw);
    const auto whole = error_of([&] { (void)read_vecs<T>(path); });
    const auto by_row = error_of([&] {
      VecsReader<T> reader(path);
      while (reader.next()) {
      }
    });
    BOOST_TEST_REQUIRE(whole.has_value());
    BOOST_TEST_REQUIRE(by_row.has_value());
    BOOST_TEST(std::string_view(whole->what()) == by_row->what());
    BOOST_TEST(whole->path() == path);
    return *whole;
  }
};

bool says(const Error& error, std::string_view words) { return std::string_view(error.what()).find(words) != std::string_view::npos; }

template <class T>
Matrix<T> random_matrix(std::size_t rows, std::size_t dimension) {
  std::mt19937 random(20240117);
  Matrix<T> matrix{rows, dimension, std::vector<T>(rows * dimension)};
  for (auto& value : matrix.values) value = static_cast<T>(random() % 251);
  return matrix;
}

}  // namespace

BOOST_FIXTURE_TEST_SUITE(vecs, Fixture)

BOOST_AUTO_TEST_CASE_TEMPLATE(what_was_written_is_read_whole_and_row_by_row, T, Elements) {
  for (const auto& [rows, dimension] : {std::pair<std::size_t, std::size_t>{1, 1}, {3, 5}, {100, 128}, {2, 65'536}}) {
    const auto matrix = random_matrix<T>(rows, dimension);
    write_vecs(path, matrix);
    BOOST_TEST(std::filesystem::file_size(path) == rows * (4 + dimension * sizeof(T)));
    BOOST_TEST((read_vecs<T>(path) == matrix));
    VecsReader<T> reader(path);
    BOOST_TEST(reader.dimension() == dimension);
    BOOST_TEST(*reader.rows_expected() == rows);
    for (std::size_t i = 0; i < rows; ++i) {
      BOOST_TEST(reader.row() == i);
      const auto row = reader.next();
      BOOST_TEST_REQUIRE(row.has_value());
      BOOST_TEST(std::equal(row->begin(), row->end(), matrix.row(i).begin(), matrix.row(i).end()));
    }
    BOOST_TEST(!reader.next().has_value());
    BOOST_TEST(!reader.next().has_value());
    BOOST_TEST(reader.row() == rows);
  }
}

BOOST_AUTO_TEST_CASE(the_three_names_read_and_write_their_elements) {
  write_fvecs(path, {1, 2, {0.5f, -1.5f}});
  BOOST_TEST(read_fvecs(path).values == (std::vector<float>{0.5f, -1.5f}));
  write_bvecs(path, {1, 2, {255, 1}});
  BOOST_TEST(read_bvecs(path).values == (std::vector<std::uint8_t>{255, 1}));
  write_ivecs(path, {1, 2, {-7, 2147483647}});
  BOOST_TEST(read_ivecs(path).values == (std::vector<std::int32_t>{-7, 2147483647}));
}

BOOST_AUTO_TEST_CASE(the_bytes_are_those_of_the_format) {
  const unsigned char file[] = {2, 0, 0, 0, 0, 0, 0x80, 0x3F, 0, 0, 0, 0xC0};
  write_fvecs(path, {1, 2, {1.f, -2.f}});
  std::ifstream in(path, std::ios::binary);
  const std::string written{std::istreambuf_iterator<char>(in), {}};
  BOOST_TEST_REQUIRE(written.size() == sizeof file);
  BOOST_TEST(std::memcmp(written.data(), file, sizeof file) == 0);
}

BOOST_AUTO_TEST_CASE(bit_patterns_of_floats_survive) {
  const Matrix<float> matrix{
      1, 4, {std::numeric_limits<float>::quiet_NaN(), -0.0f, std::numeric_limits<float>::denorm_min(), std::numeric_limits<float>::infinity()}};
  write_fvecs(path, matrix);
  const auto back = read_fvecs(path);
  for (std::size_t i = 0; i < 4; ++i) BOOST_TEST(std::bit_cast<std::uint32_t>(back.values[i]) == std::bit_cast<std::uint32_t>(matrix.values[i]));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_limit_reads_the_first_rows_and_looks_at_no_more, T, Elements) {
  const auto matrix = random_matrix<T>(10, 3);
  write_vecs(path, matrix);
  for (std::size_t limit = 0; limit <= 12; ++limit) {
    const auto part = read_vecs<T>(path, limit);
    const auto rows = std::min<std::size_t>(limit, 10);
    BOOST_TEST(part.rows == rows);
    BOOST_TEST(part.dimension == 3u);
    BOOST_TEST((part.values == std::vector<T>(matrix.values.begin(), matrix.values.begin() + static_cast<std::ptrdiff_t>(rows * 3))));
  }
  Raw raw;
  raw.row(3, sizeof(T)).row(3, sizeof(T)).header(-1);
  BOOST_TEST(read_vecs<T>(put(raw), 2).rows == 2u);
  BOOST_TEST(code_of([&] { (void)read_vecs<T>(path, 3); }) == Errc::corruption);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_missing_file_is_not_found, T, Elements) {
  for (const auto& absent : {folder / "absent", folder / "no folder" / "absent"}) {
    const auto error = error_of([&] { (void)read_vecs<T>(absent); });
    BOOST_TEST_REQUIRE(error.has_value());
    BOOST_TEST(error->code() == Errc::not_found);
    BOOST_TEST(error->path() == absent);
  }
}

BOOST_AUTO_TEST_CASE(a_folder_and_a_file_without_permission_are_io_errors) {
  BOOST_TEST(code_of([&] { (void)read_fvecs(folder.path()); }) == Errc::io_error);
  if (::geteuid() == 0) return;  // to whom every file opens
  put(Raw().row(1, sizeof(float)));
  std::filesystem::permissions(path, std::filesystem::perms::none);
  BOOST_TEST(code_of([&] { (void)read_fvecs(path); }) == Errc::io_error);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(an_empty_file_is_corruption, T, Elements) {
  const auto error = broken<T>(Raw());
  BOOST_TEST(error.code() == Errc::corruption);
  BOOST_TEST(*error.offset() == 0u);
  BOOST_TEST(says(error, "empty"));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_cut_header_is_corruption_at_its_offset, T, Elements) {
  for (std::size_t left = 1; left <= 3; ++left) {
    const auto first = broken<T>(Raw().zeros(left));
    BOOST_TEST(first.code() == Errc::corruption);
    BOOST_TEST(*first.offset() == 0u);
    const auto second = broken<T>(Raw().row(5, sizeof(T)).zeros(left));
    BOOST_TEST(second.code() == Errc::corruption);
    BOOST_TEST(*second.offset() == 4 + 5 * sizeof(T));
    BOOST_TEST(says(second, "row 1"));
    BOOST_TEST(says(second, std::to_string(left) + " bytes"));
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_dimension_of_zero_below_it_or_far_above_is_corruption_and_allocates_nothing_for_it, T, Elements) {
  for (const std::int32_t dimension : {0, -1, std::numeric_limits<std::int32_t>::min(), 65'537, 1'000'000, std::numeric_limits<std::int32_t>::max()}) {
    const auto first = broken<T>(Raw().header(dimension).zeros(100));
    BOOST_TEST(first.code() == Errc::corruption);
    BOOST_TEST(*first.offset() == 0u);
    BOOST_TEST(says(first, std::to_string(dimension)));
    const auto third = broken<T>(Raw().row(2, sizeof(T)).row(2, sizeof(T)).header(dimension).zeros(100));
    BOOST_TEST(third.code() == Errc::corruption);
    BOOST_TEST(*third.offset() == 2 * (4 + 2 * sizeof(T)));
    BOOST_TEST(says(third, "row 2"));
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_row_of_another_dimension_is_named_with_its_number_and_offset, T, Elements) {
  for (const std::size_t other : {1u, 2u, 4u, 5u, 65'536u}) {
    const auto error = broken<T>(Raw().row(3, sizeof(T)).row(3, sizeof(T)).row(other, sizeof(T)).row(3, sizeof(T)));
    BOOST_TEST(error.code() == Errc::corruption);
    BOOST_TEST(*error.offset() == 2 * (4 + 3 * sizeof(T)));
    BOOST_TEST(says(error, "row 2"));
    BOOST_TEST(says(error, "dimension " + std::to_string(other)));
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_file_cut_anywhere_but_between_rows_is_corruption_and_rows_before_the_cut_are_read, T, Elements) {
  write_vecs(path, random_matrix<T>(3, 4));
  std::ifstream in(path, std::ios::binary);
  const std::string whole{std::istreambuf_iterator<char>(in), {}};
  const std::size_t row_bytes = 4 + 4 * sizeof(T);
  for (std::size_t length = 1; length < whole.size(); ++length) {
    const Raw cut{whole.substr(0, length)};
    if (length % row_bytes == 0) {
      BOOST_TEST(read_vecs<T>(put(cut)).rows == length / row_bytes);
      continue;
    }
    const auto error = broken<T>(cut);
    BOOST_TEST(error.code() == Errc::corruption);
    BOOST_TEST(*error.offset() == length / row_bytes * row_bytes);
    BOOST_TEST(says(error, "row " + std::to_string(length / row_bytes)));
    if (length > row_bytes) BOOST_TEST(read_vecs<T>(path, length / row_bytes).rows == length / row_bytes);
  }
}

BOOST_AUTO_TEST_CASE(a_file_of_another_format_of_the_family_is_noticed) {
  write_bvecs(path, random_matrix<std::uint8_t>(10, 128));
  BOOST_TEST(code_of([&] { (void)read_fvecs(path); }) == Errc::corruption);
  write_fvecs(path, random_matrix<float>(10, 128));
  BOOST_TEST(code_of([&] { (void)read_bvecs(path); }) == Errc::corruption);
  put(Raw{"id,title,year\n1,a,1994\n"});
  BOOST_TEST(code_of([&] { (void)read_ivecs(path); }) == Errc::corruption);
}

BOOST_AUTO_TEST_CASE(any_bytes_at_all_give_rows_or_a_typed_error) {
  std::mt19937 random(7);
  for (int round = 0; round < 500; ++round) {
    Raw raw;
    while (random() % 8 != 0) {
      if (random() % 3 == 0)
        raw.header(static_cast<std::int32_t>(random()));
      else
        raw.row(1 + random() % 3, sizeof(float));
    }
    raw.zeros(random() % 5);
    put(raw);
    const auto code = code_of([&] { (void)read_fvecs(path); });
    BOOST_TEST((code == Errc::none || code == Errc::corruption));
  }
}

BOOST_AUTO_TEST_CASE(a_reader_that_is_moved_goes_on_where_it_was) {
  const auto matrix = random_matrix<float>(3, 4);
  write_fvecs(path, matrix);
  FvecsReader first(path);
  BOOST_TEST(first.next().has_value());
  FvecsReader second(std::move(first));
  const auto row = second.next();
  BOOST_TEST_REQUIRE(row.has_value());
  BOOST_TEST(std::equal(row->begin(), row->end(), matrix.row(1).begin()));
  BOOST_TEST(second.row() == 2u);
}

BOOST_AUTO_TEST_CASE(the_writers_refuse_what_no_reader_would_take) {
  const auto write_code = [this](Matrix<float> matrix) { return code_of([&] { write_fvecs(path, matrix); }); };
  BOOST_TEST(write_code({}) == Errc::invalid_argument);
  BOOST_TEST(write_code({0, 3, {}}) == Errc::invalid_argument);
  BOOST_TEST(write_code({1, 0, {}}) == Errc::invalid_argument);
  BOOST_TEST(write_code({2, 2, {1, 2, 3}}) == Errc::invalid_argument);
  BOOST_TEST(write_code({1, 2, {1, 2, 3, 4}}) == Errc::invalid_argument);
  BOOST_TEST(write_code({1, 65'537, std::vector<float>(65'537)}) == Errc::invalid_argument);
  BOOST_TEST(!std::filesystem::exists(path));
  BOOST_TEST(code_of([&] { write_fvecs(folder / "absent" / "x", {1, 1, {1}}); }) == Errc::io_error);
}

BOOST_AUTO_TEST_CASE(a_file_that_cannot_be_opened_or_read_is_an_io_error) {
  std::filesystem::create_symlink(path.filename(), path);  // leads to itself
  const auto closed = error_of([this] { (void)read_fvecs(path); });
  BOOST_TEST_REQUIRE(closed.has_value());
  BOOST_TEST(closed->code() == Errc::io_error);
  BOOST_TEST(closed->path() == path);
  BOOST_TEST(std::string(closed->what()).find(std::generic_category().message(ELOOP)) != std::string::npos);
  // Of this process's memory nothing is at address 0.
  if (!std::filesystem::exists("/proc/self/mem")) return;
  const auto failing = error_of([] { (void)read_fvecs("/proc/self/mem"); });
  BOOST_TEST_REQUIRE(failing.has_value());
  BOOST_TEST(failing->code() == Errc::io_error);
  BOOST_TEST(failing->offset().value() == 0u);
}

BOOST_AUTO_TEST_CASE(a_pipe_is_read_and_says_no_length) {
  const auto matrix = random_matrix<float>(3, 4);
  write_fvecs(path, matrix);
  std::ifstream in(path, std::ios::binary);
  const std::string whole{std::istreambuf_iterator<char>(in), {}};
  const auto pipe = folder / "pipe";
  BOOST_TEST_REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  // Open for both, so that nobody waits; it holds the few bytes. They end where the last writer closes it.
  std::optional<std::fstream> writer(std::in_place, pipe, std::ios::binary | std::ios::in | std::ios::out);
  writer->write(whole.data(), static_cast<std::streamsize>(whole.size())).flush();
  FvecsReader reader(pipe);
  writer.reset();
  BOOST_TEST(!reader.rows_expected().has_value());
  for (std::size_t row = 0; row < 3; ++row) {
    const auto found = reader.next();
    BOOST_TEST_REQUIRE(found.has_value());
    BOOST_TEST(std::equal(found->begin(), found->end(), matrix.row(row).begin()));
  }
  BOOST_TEST(!reader.next().has_value());
}

BOOST_AUTO_TEST_CASE(a_full_disk_is_no_space) {
  if (!std::filesystem::exists("/dev/full")) return;
  BOOST_TEST(code_of([] { write_fvecs("/dev/full", {1, 4, {1, 2, 3, 4}}); }) == Errc::no_space);
  BOOST_TEST(code_of([] { write_fvecs("/dev/full", {1000, 100, std::vector<float>(100'000)}); }) == Errc::no_space);  // told in the middle
}

BOOST_AUTO_TEST_SUITE_END()
