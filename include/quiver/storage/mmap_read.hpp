// MMapReadPolicy: the minimal mapping, for tools and read-only media; it cannot write, and the compiler knows.
#pragma once

#include <quiver/storage/mapped_file.hpp>
#include <quiver/storage/posix_file_system.hpp>

namespace quiver {

struct MMapReadOptions {};

/// As MMapPolicy with its default options, read-only: takes no lock and writes not one byte.
template <FileSystem FS>
struct BasicMMapReadPolicy {
  static constexpr std::string_view name = "mmap_read";
  static constexpr StorageCaps caps{.writable = false, .zero_copy = true, .volatile_store = false};

  using Options = MMapReadOptions;
  using Reader = detail::MappedReader<FS>;
  using ReadScope = detail::EmptyReadScope;
  using LogReader = typename detail::Directory<FS>::LogReader;

  class Store : public detail::FolderStore<FS> {
   public:
    using detail::FolderStore<FS>::FolderStore;
    [[nodiscard]] Reader open(std::string_view file, const FileIdentity& identity) const {
      return Reader(detail::MappedFile<FS>::open(*this->directory_, file, identity, VerifyLevel::directory, {}));
    }
    [[nodiscard]] ReadScope read_scope() const { return {}; }
  };

  [[nodiscard]] static Store open_store(const std::filesystem::path& path, const Options&, OpenMode mode) {
    return Store(detail::open_read_only<FS>(path, mode, name));
  }
};

using MMapReadPolicy = BasicMMapReadPolicy<PosixFileSystem>;

static_assert(StoragePolicy<MMapReadPolicy> && !WritableStoragePolicy<MMapReadPolicy>);

}  // namespace quiver
