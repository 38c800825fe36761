// MMapPolicy: files mapped as they are, the page cache as the only cache. The default policy.
#pragma once

#include <quiver/storage/mapped_file.hpp>
#include <quiver/storage/posix_file_system.hpp>

namespace quiver {

/// How MMapPolicy opens files.
struct MMapOptions {
  bool populate = false;                        ///< bring each file into memory when it is opened
  Advice advice = Advice::normal;               ///< what the kernel is told of the order of reads
  VerifyLevel verify = VerifyLevel::directory;  ///< what is verified when a file is opened; chunks only by `full`, or later by Collection::verify
};

/// Maps each file whole; views alias the mapping and never fail. Damage in the data is found at open with `verify = full`, else by verify(full):
/// CheckedMMapPolicy finds it on first touch. A device that fails under a mapping, and a file that someone shortens while it is open, is SIGBUS: the two things
/// FileReadPolicy and MemoryPolicy are safer for. Thread rules as StoragePolicy says.
template <FileSystem FS>
struct BasicMMapPolicy {
  static constexpr std::string_view name = "mmap";
  static constexpr StorageCaps caps{.writable = true, .zero_copy = true, .volatile_store = false};

  using Options = MMapOptions;
  using Reader = detail::MappedReader<FS>;
  using ReadScope = detail::EmptyReadScope;
  using Draft = typename detail::Directory<FS>::Draft;
  using Lock = typename detail::Directory<FS>::Lock;
  using Log = typename detail::Directory<FS>::Log;
  using LogReader = typename detail::Directory<FS>::LogReader;

  class Store : public detail::WritableFolderStore<FS> {
   public:
    Store(std::shared_ptr<detail::Directory<FS>> directory, const Options& options)
        : detail::WritableFolderStore<FS>(std::move(directory)), options_(options) {}
    [[nodiscard]] Reader open(std::string_view file, const FileIdentity& identity) const {
      return Reader(detail::MappedFile<FS>::open(*this->directory_, file, identity, options_.verify, {options_.populate, options_.advice}));
    }
    [[nodiscard]] ReadScope read_scope() const { return {}; }

   private:
    Options options_;
  };

  [[nodiscard]] static Store create_store(const std::filesystem::path& path, const Options& options = {}) {
    return {detail::Directory<FS>::create(path), options};
  }
  [[nodiscard]] static Store open_store(const std::filesystem::path& path, const Options& options, OpenMode mode) {
    return {detail::Directory<FS>::open(path, mode), options};
  }
};

using MMapPolicy = BasicMMapPolicy<PosixFileSystem>;

static_assert(WritableStoragePolicy<MMapPolicy>);

}  // namespace quiver
