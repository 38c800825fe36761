// Fuzzes the readers of fvecs, bvecs and ivecs: each input is read as all three. What is accepted must be, written again, the bytes it was read from.
#include <quiver/formats/vecs.hpp>

#include "fuzz/accepted.hpp"

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <sys/mman.h>
#include <unistd.h>

namespace {

using namespace quiver;

[[noreturn]] void broken(const char* what) {
  std::fprintf(stderr, "vecs_fuzz: %s\n", what);
  std::abort();
}

/// A file without a disk.
class MemoryFile {
 public:
  MemoryFile() : descriptor_(::memfd_create("vecs", 0)), path_("/proc/self/fd/" + std::to_string(descriptor_)) {}
  void fill(const std::uint8_t* data, std::size_t size) const {
    if (::ftruncate(descriptor_, 0) != 0 || ::pwrite(descriptor_, data, size, 0) != static_cast<::ssize_t>(size)) broken("no memory file");
  }
  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

 private:
  int descriptor_;
  std::filesystem::path path_;
};

template <class T>
void read_as(const std::filesystem::path& path, const std::uint8_t* data, std::size_t size) {
  try {
    const auto matrix = read_vecs<T>(path);
    fuzz::accepted();
    const std::size_t row_bytes = 4 + matrix.dimension * sizeof(T);
    if (matrix.rows * row_bytes != size || matrix.values.size() != matrix.rows * matrix.dimension) broken("another number of rows than the file has");
    for (std::size_t i = 0; i < matrix.rows; ++i) {
      const std::uint8_t* row = data + i * row_bytes;
      if (detail::load<std::uint32_t>(reinterpret_cast<const std::byte*>(row)) != matrix.dimension) broken("a row of another dimension was accepted");
      if (std::memcmp(row + 4, matrix.row(i).data(), row_bytes - 4) != 0) broken("another row than in the file");
    }
  } catch (const Error& e) {
    if (e.code() != Errc::corruption || e.path() != path || !e.offset()) broken(e.what());
    if (*e.offset() > size) broken("an offset behind the end");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const MemoryFile file;
  file.fill(data, size);
  read_as<float>(file.path(), data, size);
  read_as<std::uint8_t>(file.path(), data, size);
  read_as<std::int32_t>(file.path(), data, size);
  return 0;
}
