// Files that are whole in memory: loaded and verified from a folder, or written there and never anywhere else.
#pragma once

#include <quiver/storage/anonymous_memory.hpp>
#include <quiver/storage/folder_store.hpp>
#include <quiver/storage/verified_footer.hpp>

#include <array>
#include <map>

namespace quiver::detail {

/// The bytes of one file. Immutable once shared.
struct MemoryFile {
  std::filesystem::path path;
  std::uint64_t size = 0;
  AnonymousMemory memory;

  [[nodiscard]] ByteSpan bytes() const noexcept { return {memory.data(), static_cast<std::size_t>(size)}; }
};

/// Reads a file into one mapping, its end first, then its data slice by slice, each verified while it is still in the processor's cache.
template <FileSystem FS>
[[nodiscard]] std::shared_ptr<const MemoryFile> load_file(const Directory<FS>& directory, std::string_view name, const FileIdentity& identity) {
  constexpr std::size_t slice = 64 * chunk_size;
  const auto opened = directory.open_file(name);
  std::array<std::byte, trailer_size> end{};
  const auto at = [&](std::uint64_t offset, std::size_t length) {
    const auto part = std::span(end).first(length);
    read_fully<FS>(opened.file, part, offset, opened.path);
    return ByteSpan(part);
  };
  // Before memory is asked for: a size that nobody recorded is not believed.
  const auto trailer = check_identity(at, opened.size, identity, opened.path);
  auto file = std::make_shared<MemoryFile>();
  file->path = opened.path;
  file->size = opened.size;
  file->memory.resize(static_cast<std::size_t>(opened.size));
  const std::span<std::byte> all(file->memory.data(), static_cast<std::size_t>(opened.size));
  const auto data = all.first(static_cast<std::size_t>(trailer.data_length));
  const auto footer = all.subspan(data.size());
  read_fully<FS>(opened.file, footer, trailer.data_length, file->path);
  check_footer(footer, trailer, file->path);
  for (std::size_t offset = 0; offset < data.size(); offset += slice) {
    const auto part = data.subspan(offset, std::min(slice, data.size() - offset));
    read_fully<FS>(opened.file, part, offset, file->path);
    check_chunks(part, offset / chunk_size, footer, trailer, file->path);
  }
  file->memory.freeze();
  return file;
}

/// A store that is in memory only. Shared by its Store, drafts and lock. Safe from any thread.
class VolatileFiles : public std::enable_shared_from_this<VolatileFiles> {
 public:
  /// Grows in one mapping that the published file keeps: nothing is copied. One thread.
  class Draft {
   public:
    /// REQUIRES: not published.
    void append(ByteSpan bytes) {
      if (!file_) fail(Errc::invalid_argument, "a draft that was published takes no bytes");
      const auto needed = file_->size + bytes.size();
      if (needed > file_->memory.size())
        file_->memory.resize(static_cast<std::size_t>(align_up(std::max<std::uint64_t>(needed, file_->memory.size() + file_->memory.size() / 2), 65536)));
      std::copy(bytes.begin(), bytes.end(), file_->memory.data() + file_->size);
      file_->size = needed;
    }

   private:
    friend VolatileFiles;
    Draft(std::shared_ptr<VolatileFiles> files, std::string_view name) : files_(std::move(files)), file_(std::make_unique<MemoryFile>()) { file_->path = name; }
    std::shared_ptr<VolatileFiles> files_;
    std::unique_ptr<MemoryFile> file_;
  };

  class Lock {
   public:
    Lock(Lock&&) noexcept = default;
    Lock& operator=(Lock&& other) noexcept {
      std::swap(files_, other.files_);
      return *this;
    }
    ~Lock() {
      if (files_) files_->locked_.store(false, std::memory_order_release);
    }

   private:
    friend VolatileFiles;
    explicit Lock(std::shared_ptr<VolatileFiles> files) noexcept : files_(std::move(files)) {}
    std::shared_ptr<VolatileFiles> files_;
  };

  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }
  [[nodiscard]] std::shared_ptr<const MemoryFile> find(std::string_view name) const {
    const std::lock_guard guard(mutex_);
    const auto found = files_.find(name);
    if (found == files_.end()) fail(Errc::not_found, std::filesystem::path(name), "the volatile store has no such file");
    return found->second;
  }
  [[nodiscard]] std::vector<FileInfo> list() const {
    const std::lock_guard guard(mutex_);
    std::vector<FileInfo> files;
    for (const auto& [name, file] : files_) files.push_back({name, file->size});
    return files;
  }
  [[nodiscard]] Draft create_draft(std::string_view name) {
    if (!valid_file_name(name)) fail(Errc::invalid_argument, "'" + std::string(name) + "' is not a name for a file of a store");
    return Draft(shared_from_this(), name);
  }
  /// All or none.
  template <class T, class Get>
  void publish(std::span<T> drafts, Get&& get) {
    std::map<std::string, std::shared_ptr<const MemoryFile>, std::less<>> added;
    const std::lock_guard guard(mutex_);
    for (auto& each : drafts) {
      Draft& draft = get(each);
      if (!draft.file_ || draft.files_.get() != this) fail(Errc::invalid_argument, "only a draft of this store that was not published yet can be published");
      auto name = draft.file_->path.string();
      if (files_.contains(name) || !added.emplace(std::move(name), nullptr).second)
        fail(Errc::already_exists, draft.file_->path, "a store's files are never replaced");
    }
    for (auto& each : drafts) {
      auto& file = get(each).file_;
      const auto place = added.find(file->path.string());
      file->memory.resize(static_cast<std::size_t>(file->size));
      file->memory.freeze();
      place->second = std::move(file);
    }
    files_.merge(added);
  }
  void remove(std::string_view name) {
    const std::lock_guard guard(mutex_);
    if (const auto found = files_.find(name); found != files_.end()) files_.erase(found);
  }
  [[nodiscard]] Lock lock() {
    if (locked_.exchange(true, std::memory_order_acquire)) fail(Errc::locked, "another writer has the volatile store open");
    return Lock(shared_from_this());
  }

 private:
  std::filesystem::path path_;
  mutable std::mutex mutex_;
  std::map<std::string, std::shared_ptr<const MemoryFile>, std::less<>> files_;
  std::atomic<bool> locked_{false};
};

}  // namespace quiver::detail
