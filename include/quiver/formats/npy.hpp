// NumPy's file format for a matrix: a header in text, then the rows, little endian, row major.
// Source: NumPy, "numpy.lib.format", versions 1.0 to 3.0.
#pragma once

#include <quiver/core/bytes.hpp>
#include <quiver/formats/vecs.hpp>

#include <charconv>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

namespace quiver {
namespace detail {

/// No header that NumPy writes for a matrix is longer; the most bytes that parse_npy_header needs.
inline constexpr std::size_t max_npy_header = 12 + 65'535;
inline constexpr std::string_view npy_magic{"\x93NUMPY", 6};

template <VecsElement T>
inline constexpr std::string_view npy_type = std::same_as<T, float>          ? "<f4"
                                             : std::same_as<T, std::int32_t> ? "<i4"
                                                                             : "|u1";

/// The type of the numbers that a vector field stores.
[[nodiscard]] constexpr std::string_view npy_type_of(Element element) noexcept {
  constexpr std::string_view names[] = {"<f4", "<f2", "|i1", "|u1"};
  return names[static_cast<std::size_t>(element)];
}

struct NpyHeader {
  std::uint64_t rows = 0;
  std::uint64_t dimension = 0;
  std::uint64_t data_offset = 0;
};

/// The bytes in front of the rows, as numpy.save writes them: a multiple of 64.
[[nodiscard]] inline std::string npy_header(std::string_view type, std::uint64_t rows, std::uint64_t dimension) {
  std::string text =
      "{'descr': '" + std::string(type) + "', 'fortran_order': False, 'shape': (" + std::to_string(rows) + ", " + std::to_string(dimension) + "), }";
  constexpr std::size_t preamble = 10;
  text.append(align_up(preamble + text.size() + 1, 64) - preamble - text.size() - 1, ' ');
  text += '\n';
  std::string out(npy_magic);
  out += {'\1', '\0', static_cast<char>(text.size() & 0xFF), static_cast<char>(text.size() >> 8)};
  return out + text;
}

/// Reads the text of a header: a Python dictionary of three entries in any order. One use.
class NpyParser {
 public:
  NpyParser(std::string_view text, const std::filesystem::path& path, std::uint64_t base) : text_(text), path_(path), base_(base) {}

  void run(std::string_view type, NpyHeader& out) {
    bool descr = false, order = false, shape = false;
    take('{');
    while (!next_is('}')) {
      const auto key = quoted();
      take(':');
      if (key == "descr" && !std::exchange(descr, true)) {
        const auto found = quoted();
        if (found != type) broken("the elements are of type '" + std::string(found.substr(0, 16)) + "', not '" + std::string(type) + "'");
      } else if (key == "fortran_order" && !std::exchange(order, true)) {
        blank();
        if (!text_.substr(at_).starts_with("False")) broken("fortran_order must be False: the rows lie one after another");
        at_ += 5;
      } else if (key == "shape" && !std::exchange(shape, true)) {
        take('(');
        out.rows = number();
        take(',');
        out.dimension = number();
        if (next_is(',')) take(',');
        take(')');
      } else {
        broken("an unknown entry, or one that is there twice");
      }
      if (!next_is('}')) take(',');
    }
    take('}');
    blank();
    if (at_ != text_.size()) broken("unexpected characters behind the header");
    if (!descr || !order || !shape) broken("the header needs descr, fortran_order and shape");
  }
  [[noreturn]] void broken(const std::string& what) const { fail(Errc::corruption, path_, base_ + at_, what); }

 private:
  void blank() noexcept {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) ++at_;
  }
  [[nodiscard]] bool next_is(char c) noexcept {
    blank();
    return at_ < text_.size() && text_[at_] == c;
  }
  void take(char c) {
    if (!next_is(c)) broken(std::string("'") + c + "' is expected");
    ++at_;
  }
  [[nodiscard]] std::string_view quoted() {
    blank();
    const char mark = at_ < text_.size() ? text_[at_] : '\0';
    if (mark != '\'' && mark != '"') broken("a text in quotation marks is expected");
    const auto end = text_.find(mark, at_ + 1);
    if (end == std::string_view::npos) broken("this text has no end");
    const auto out = text_.substr(at_ + 1, end - at_ - 1);
    at_ = end + 1;
    return out;
  }
  [[nodiscard]] std::uint64_t number() {
    blank();
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), value);
    if (error != std::errc()) broken("a whole number is expected: the shape is (rows, dimension)");
    at_ = static_cast<std::size_t>(end - text_.data());
    return value;
  }

  std::string_view text_;
  const std::filesystem::path& path_;
  std::uint64_t base_;
  std::size_t at_ = 0;
};

/// Reads the header in `begin`, the first bytes of a file of `size` bytes: all of it, or max_npy_header. Errc::corruption with path and offset: no header of
/// that format, elements of another type, another shape than (rows, dimension) with a dimension of 1 to 65,536, or a size that is not header and rows.
[[nodiscard]] inline NpyHeader parse_npy_header(std::string_view type, std::size_t element_bytes, ByteSpan begin, std::uint64_t size,
                                                const std::filesystem::path& path) {
  Cursor cursor(begin, path);
  if (as_text(cursor.take(npy_magic.size())) != npy_magic) fail(Errc::corruption, path, 0, "this is not an npy file: its first bytes are not \\x93NUMPY");
  const auto major = cursor.take<std::uint8_t>();
  const auto minor = cursor.take<std::uint8_t>();
  if (major < 1 || major > 3 || minor != 0)
    fail(Errc::corruption, path, 6, "npy version " + std::to_string(major) + "." + std::to_string(minor) + " is unknown; 1.0, 2.0 and 3.0 are known");
  const std::uint64_t length = major == 1 ? cursor.take<std::uint16_t>() : cursor.take<std::uint32_t>();
  const auto text_offset = cursor.position();
  NpyParser parser(as_text(cursor.take(length)), path, text_offset);
  NpyHeader header;
  parser.run(type, header);
  header.data_offset = cursor.position();
  if (header.dimension < 1 || header.dimension > Schema::max_dimension)
    parser.broken("dimension " + std::to_string(header.dimension) + " is outside 1 to " + std::to_string(Schema::max_dimension));
  const auto row_bytes = header.dimension * element_bytes;
  const auto data = size - header.data_offset;
  if (data % row_bytes != 0 || data / row_bytes != header.rows)
    fail(
        Errc::corruption, path, header.data_offset,
        std::to_string(header.rows) + " rows of " + std::to_string(row_bytes) + " bytes are expected here, " + std::to_string(data) + " bytes are in the file");
  return header;
}

}  // namespace detail

/// Reads a matrix that numpy.save or write_npy wrote, of float ('<f4'), int32 ('<i4') or unsigned bytes ('|u1'). not_found, io_error; corruption with path and
/// offset where the header is no such matrix's or the file is not as long as it says. Memory is bounded by the file's length. O(bytes). Safe from any thread.
template <VecsElement T>
[[nodiscard]] Matrix<T> read_npy(const std::filesystem::path& path) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (status.type() == std::filesystem::file_type::not_found) detail::fail(Errc::not_found, path, "there is no such file");
  errno = 0;
  std::ifstream in(path, std::ios::binary);
  // The length of what was opened, however the name leads there.
  const auto end = in.is_open() && status.type() != std::filesystem::file_type::directory ? in.seekg(0, std::ios::end).tellg() : std::ifstream::pos_type(-1);
  if (end < 0) detail::fail(Errc::io_error, path, "cannot be opened as a file: " + std::generic_category().message(errno != 0 ? errno : EIO));
  const auto size = static_cast<std::uint64_t>(end);
  const auto read = [&](std::uint64_t offset, std::span<std::byte> to) {
    in.seekg(static_cast<std::streamoff>(offset)).read(reinterpret_cast<char*>(to.data()), static_cast<std::streamsize>(to.size()));
    if (!in) detail::fail(Errc::io_error, path, offset, "reading failed");
  };
  Bytes begin(static_cast<std::size_t>(std::min<std::uint64_t>(size, detail::max_npy_header)));
  read(0, begin);
  const auto header = detail::parse_npy_header(detail::npy_type<T>, sizeof(T), begin, size, path);
  Matrix<T> matrix{static_cast<std::size_t>(header.rows), static_cast<std::size_t>(header.dimension), {}};
  matrix.values.resize(matrix.rows * matrix.dimension);
  read(header.data_offset, std::as_writable_bytes(std::span(matrix.values)));
  return matrix;
}

/// Writes a new file, or over an old one, that numpy.load reads; not synced. Errc::invalid_argument for a dimension outside 1 to 65,536 and for values that are
/// not rows x dimension, io_error or no_space where the file cannot be written. O(bytes).
template <VecsElement T>
void write_npy(const std::filesystem::path& path, const Matrix<T>& matrix) {
  if (matrix.dimension < 1 || matrix.dimension > Schema::max_dimension)
    detail::fail(Errc::invalid_argument, path, "dimension " + std::to_string(matrix.dimension) + " is outside 1 to " + std::to_string(Schema::max_dimension));
  if (matrix.values.size() % matrix.dimension != 0 || matrix.values.size() / matrix.dimension != matrix.rows)
    detail::fail(
        Errc::invalid_argument, path,
        std::to_string(matrix.values.size()) + " values are not " + std::to_string(matrix.rows) + " rows of dimension " + std::to_string(matrix.dimension));
  errno = 0;
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  const auto header = detail::npy_header(detail::npy_type<T>, matrix.rows, matrix.dimension);
  out.write(header.data(), static_cast<std::streamsize>(header.size()));
  const auto values = std::as_bytes(std::span(matrix.values));
  out.write(reinterpret_cast<const char*>(values.data()), static_cast<std::streamsize>(values.size()));
  out.close();
  if (out) return;
  const int reason = errno != 0 ? errno : EIO;
  detail::fail(reason == ENOSPC || reason == EDQUOT ? Errc::no_space : Errc::io_error, path, "writing failed: " + std::generic_category().message(reason));
}

}  // namespace quiver
