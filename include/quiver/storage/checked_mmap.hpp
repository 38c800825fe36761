// CheckedMMapPolicy: mapped files whose every chunk is verified when it is first seen.
#pragma once

#include <quiver/storage/mapped_file.hpp>
#include <quiver/storage/posix_file_system.hpp>

#include <bit>

namespace quiver {

struct CheckedMMapOptions {};

namespace detail {

/// One bit per chunk of one file: set once the chunk was found right. Shared by the file's readers; safe from any thread.
class VerifiedChunks {
 public:
  explicit VerifiedChunks(std::uint64_t chunks) : words_(static_cast<std::size_t>((chunks + 63) / 64)) {}

  /// Calls check(chunk) for each chunk of [first, last] that has no bit yet, and sets its bit; an exception leaves it clear.
  template <class Check>
  void ensure(std::uint64_t first, std::uint64_t last, Check&& check) const {
    for (auto number = first; number <= last;) {
      const auto bit = static_cast<unsigned>(number % 64);
      const auto bits = static_cast<unsigned>(std::min<std::uint64_t>(64 - bit, last - number + 1));
      const auto mask = (~std::uint64_t{0} >> (64 - bits)) << bit;
      auto& word = words_[static_cast<std::size_t>(number / 64)];
      // Relaxed: the bits say something of bytes that never change; they publish nothing.
      for (auto missing = mask & ~word.load(std::memory_order_relaxed); missing != 0; missing &= missing - 1) {
        check(number - bit + static_cast<unsigned>(std::countr_zero(missing)));
        word.fetch_or(missing & (~missing + 1), std::memory_order_relaxed);
      }
      number += bits;
    }
  }

 private:
  mutable std::vector<std::atomic<std::uint64_t>> words_;
};

}  // namespace detail

/// As MMapPolicy, but a view verifies what was not verified since the file was opened: damaged bytes are Errc::corruption with file and offset, never an
/// answer. Costs one bit per 4 KiB and a look at it per view. What the kernel drops and reads again is not verified again.
template <FileSystem FS>
struct BasicCheckedMMapPolicy {
  static constexpr std::string_view name = "checked_mmap";
  static constexpr StorageCaps caps{.writable = true, .zero_copy = false, .volatile_store = false};

  using Options = CheckedMMapOptions;
  using ReadScope = detail::EmptyReadScope;
  using Draft = typename detail::Directory<FS>::Draft;
  using Lock = typename detail::Directory<FS>::Lock;
  using Log = typename detail::Directory<FS>::Log;
  using LogReader = typename detail::Directory<FS>::LogReader;

  /// Shares mapping and bits with its copies.
  class Reader {
   public:
    explicit Reader(std::shared_ptr<const detail::MappedFile<FS>> file)
        : file_(std::move(file)), verified_(std::make_shared<const detail::VerifiedChunks>(file_->trailer.chunks())) {}

    [[nodiscard]] std::uint64_t size() const noexcept { return file_->size; }
    [[nodiscard]] const std::filesystem::path& path() const noexcept { return file_->path; }
    [[nodiscard]] ByteSpan view(ReadScope&, std::uint64_t offset, std::size_t length) const {
      const auto data_length = file_->trailer.data_length;  // what lies behind it was verified at open
      if (length != 0 && offset < data_length) {
        const auto last = std::min(offset + length, data_length) - 1;
        verified_->ensure(offset / detail::chunk_size, last / detail::chunk_size, [this](std::uint64_t number) { check(number); });
      }
      return file_->bytes().subspan(static_cast<std::size_t>(offset), length);
    }
    void prefetch(ReadScope& scope, std::span<const Range> ranges) const noexcept { detail::MappedReader<FS>(file_).prefetch(scope, ranges); }

   private:
    [[gnu::noinline]] void check(std::uint64_t number) const {
      const auto begin = static_cast<std::size_t>(number) * detail::chunk_size;
      const auto length = std::min<std::uint64_t>(detail::chunk_size, file_->trailer.data_length - begin);
      detail::check_chunks(file_->bytes().subspan(begin, static_cast<std::size_t>(length)), number, file_->footer(), file_->trailer, file_->path);
    }

    std::shared_ptr<const detail::MappedFile<FS>> file_;
    std::shared_ptr<const detail::VerifiedChunks> verified_;
  };

  class Store : public detail::WritableFolderStore<FS> {
   public:
    using detail::WritableFolderStore<FS>::WritableFolderStore;
    [[nodiscard]] Reader open(std::string_view file, const FileIdentity& identity) const {
      return Reader(detail::MappedFile<FS>::open(*this->directory_, file, identity, VerifyLevel::directory, {}));
    }
    [[nodiscard]] ReadScope read_scope() const { return {}; }
  };

  [[nodiscard]] static Store create_store(const std::filesystem::path& path, const Options& = {}) { return Store(detail::Directory<FS>::create(path)); }
  [[nodiscard]] static Store open_store(const std::filesystem::path& path, const Options&, OpenMode mode) {
    return Store(detail::Directory<FS>::open(path, mode));
  }
};

using CheckedMMapPolicy = BasicCheckedMMapPolicy<PosixFileSystem>;

static_assert(WritableStoragePolicy<CheckedMMapPolicy>);

}  // namespace quiver
