// FileReadPolicy: explicit positioned reads, every chunk verified, no mapping: a failing device is an error and never a signal.
#pragma once

#include <quiver/storage/folder_store.hpp>
#include <quiver/storage/posix_file_system.hpp>
#include <quiver/storage/read_buffers.hpp>
#include <quiver/storage/verified_footer.hpp>

#include <array>

namespace quiver {

struct FileReadOptions {};

/// Keeps each file's footer in memory (8 bytes per 4 KiB of data); everything else is read when it is asked for, into buffers that the scope owns.
/// prefetch() reads many ranges at once, neighbours together. Read-only: takes no lock and writes not one byte.
template <FileSystem FS>
struct BasicFileReadPolicy {
  static constexpr std::string_view name = "file_read";
  static constexpr StorageCaps caps{.writable = false, .zero_copy = false, .volatile_store = false};

  using Options = FileReadOptions;
  using LogReader = typename detail::Directory<FS>::LogReader;

  /// The buffers of its views. One thread.
  class ReadScope {
   public:
    void renew() noexcept { buffers_.renew(); }

   private:
    friend BasicFileReadPolicy;
    detail::ReadBuffers buffers_;
  };

  /// Shares the open file with its copies.
  class Reader {
   public:
    [[nodiscard]] std::uint64_t size() const noexcept { return file_->size; }
    [[nodiscard]] std::uint64_t resident() const noexcept { return file_->footer().size(); }
    [[nodiscard]] const std::filesystem::path& path() const noexcept { return file_->path; }
    /// Aligned to 64 wherever `offset` is.
    [[nodiscard]] ByteSpan view(ReadScope& scope, std::uint64_t offset, std::size_t length) const {
      if (length == 0) return {};
      if (offset >= file_->trailer.data_length) return file_->footer().subspan(static_cast<std::size_t>(offset - file_->trailer.data_length), length);
      if (const auto* found = scope.buffers_.find(file_.get(), offset, length)) return {found, length};
      const auto begin = offset / detail::chunk_size * detail::chunk_size;
      return {read(scope, begin, offset + length) + (offset - begin), length};
    }
    /// What cannot be read now, or does not verify, is left to the view that asks for it.
    void prefetch(ReadScope& scope, std::span<const Range> ranges) const noexcept {
      try {
        for (const auto& stretch : plan(scope, ranges)) static_cast<void>(read(scope, stretch.begin, stretch.end));
      } catch (...) {
      }
    }

   private:
    friend BasicFileReadPolicy;
    struct File {
      typename FS::File file;
      std::filesystem::path path;
      std::uint64_t size = 0;
      detail::FileTrailer trailer;
      detail::AlignedBytes memory;  // the footer, at the same place within 64 bytes as in the file
      [[nodiscard]] ByteSpan footer() const noexcept {
        return {memory.data() + trailer.data_length % 64, static_cast<std::size_t>(size - trailer.data_length)};
      }
    };
    struct Stretch {
      std::uint64_t begin, end;
    };
    static constexpr std::uint64_t worth_bridging = 4 * detail::chunk_size;  // reading on costs less than another call
    static constexpr std::uint64_t longest = 256 * detail::chunk_size;       // of what is put together from several ranges

    explicit Reader(std::shared_ptr<const File> file) noexcept : file_(std::move(file)) {}

    // Reads [begin, end), widened to whole chunks, verifies it and gives the place of `begin`. REQUIRES: `begin` is a chunk's beginning within the data.
    const std::byte* read(ReadScope& scope, std::uint64_t begin, std::uint64_t end) const {
      const auto data_length = file_->trailer.data_length;
      const auto data_end = std::min(detail::align_up(std::min(end, data_length), detail::chunk_size), data_length);
      const auto in_data = static_cast<std::size_t>(data_end - begin);
      const auto in_footer = static_cast<std::size_t>(end > data_length ? end - data_length : 0);
      auto buffer = scope.buffers_.take(in_data + in_footer);
      const std::span<std::byte> data(buffer.data(), in_data);
      detail::read_fully<FS>(file_->file, data, begin, file_->path);
      detail::check_chunks(data, begin / detail::chunk_size, file_->footer(), file_->trailer, file_->path);
      std::copy_n(file_->footer().begin(), in_footer, buffer.data() + in_data);
      return scope.buffers_.hold(file_, begin, in_data + in_footer, std::move(buffer));
    }
    [[nodiscard]] std::vector<Stretch> plan(const ReadScope& scope, std::span<const Range> ranges) const {
      std::vector<Stretch> wanted;
      for (const auto& range : ranges) {
        if (range.length == 0 || range.offset >= file_->trailer.data_length || scope.buffers_.find(file_.get(), range.offset, range.length) != nullptr)
          continue;
        wanted.push_back({range.offset / detail::chunk_size * detail::chunk_size, range.offset + range.length});
      }
      std::sort(wanted.begin(), wanted.end(), [](const Stretch& a, const Stretch& b) { return a.begin < b.begin; });
      std::vector<Stretch> merged;
      for (const auto& next : wanted) {
        if (!merged.empty() &&
            (next.end <= merged.back().end || (next.begin <= merged.back().end + worth_bridging && next.end - merged.back().begin <= longest)))
          merged.back().end = std::max(merged.back().end, next.end);
        else
          merged.push_back(next);
      }
      return merged;
    }

    std::shared_ptr<const File> file_;
  };

  class Store : public detail::FolderStore<FS> {
   public:
    using detail::FolderStore<FS>::FolderStore;
    [[nodiscard]] Reader open(std::string_view name_in_store, const FileIdentity& identity) const {
      auto opened = this->directory_->open_file(name_in_store);
      auto file = std::make_shared<typename Reader::File>();
      file->file = std::move(opened.file);
      file->path = std::move(opened.path);
      file->size = opened.size;
      std::array<std::byte, detail::trailer_size> end{};
      const auto at = [&](std::uint64_t offset, std::size_t length) {
        const auto part = std::span(end).first(length);
        detail::read_fully<FS>(file->file, part, offset, file->path);
        return ByteSpan(part);
      };
      file->trailer = detail::check_identity(at, file->size, identity, file->path);
      const auto data_length = file->trailer.data_length;
      const auto lead = static_cast<std::size_t>(data_length % 64);
      file->memory = detail::AlignedBytes(lead + static_cast<std::size_t>(file->size - data_length));
      detail::read_fully<FS>(file->file, std::span(file->memory.data() + lead, file->footer().size()), data_length, file->path);
      detail::check_footer(file->footer(), file->trailer, file->path);
      return Reader(std::move(file));
    }
    [[nodiscard]] ReadScope read_scope() const { return {}; }
  };

  [[nodiscard]] static Store open_store(const std::filesystem::path& path, const Options&, OpenMode mode) {
    return Store(detail::open_read_only<FS>(path, mode, name));
  }
};

using FileReadPolicy = BasicFileReadPolicy<PosixFileSystem>;

static_assert(StoragePolicy<FileReadPolicy> && !WritableStoragePolicy<FileReadPolicy>);

}  // namespace quiver
