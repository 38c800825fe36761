// Fuzzes the reader of npy headers. What is accepted fits the length of the file, and the header written anew is read as the same.
#include <quiver/formats/npy.hpp>

#include "fuzz/accepted.hpp"

#include <cstdio>
#include <cstdlib>

namespace {

using namespace quiver;

[[noreturn]] void broken(const char* what) {
  std::fprintf(stderr, "npy_fuzz: %s\n", what);
  std::abort();
}

template <class T>
void read_as(ByteSpan bytes) {
  static const std::filesystem::path path = "m.npy";
  try {
    const auto header =
        detail::parse_npy_header(detail::npy_type<T>, sizeof(T), bytes.first(std::min(bytes.size(), detail::max_npy_header)), bytes.size(), path);
    fuzz::accepted();
    if (header.dimension == 0 || header.dimension > Schema::max_dimension) broken("a dimension that no field has");
    if (header.data_offset > bytes.size() || (bytes.size() - header.data_offset) / sizeof(T) / header.dimension != header.rows) broken("another length");
    const auto again = detail::npy_header(detail::npy_type<T>, header.rows, header.dimension);
    const auto size = again.size() + header.rows * header.dimension * sizeof(T);
    const auto found = detail::parse_npy_header(detail::npy_type<T>, sizeof(T), detail::as_bytes(again), size, path);
    if (found.rows != header.rows || found.dimension != header.dimension || found.data_offset != again.size() || again.size() % 64 != 0)
      broken("another header");
  } catch (const Error& e) {
    if (e.code() != Errc::corruption || e.path() != path || !e.offset()) broken(e.what());
    if (*e.offset() > bytes.size()) broken("an offset behind the end");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteSpan bytes(reinterpret_cast<const std::byte*>(data), size);
  read_as<float>(bytes);
  read_as<std::uint8_t>(bytes);
  read_as<std::int32_t>(bytes);
  return 0;
}
