// A storage policy of one's own: files on shelves in this process, one shelf per path.
#pragma once

#include <quiver/storage/verified_footer.hpp>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>

namespace my {

using namespace quiver;  // a user's own namespace

struct File {
  struct alignas(64) Line {
    std::byte bytes[64];
  };
  std::filesystem::path path;
  std::vector<Line> lines;  // aligned to 64, so that what is aligned in the file is aligned in memory
  std::size_t size = 0;

  ByteSpan bytes() const { return {lines.empty() ? nullptr : lines.front().bytes, size}; }
};

struct LogFile {
  std::mutex mutex;
  Bytes bytes;
};

struct Shelf {
  std::mutex mutex;
  std::map<std::string, std::shared_ptr<const File>, std::less<>> files;
  std::map<std::string, std::shared_ptr<LogFile>, std::less<>> logs;
  std::atomic<bool> locked{false};

  static std::shared_ptr<Shelf> at(const std::filesystem::path& path, bool make) {
    static std::mutex mutex;
    static std::map<std::filesystem::path, std::shared_ptr<Shelf>> shelves;
    const std::lock_guard guard(mutex);
    auto& shelf = shelves[path];
    if (!shelf && make) shelf = std::make_shared<Shelf>();
    return shelf;
  }
};

struct ShelfOptions {};

struct ShelfPolicy {
  static constexpr std::string_view name = "shelf";
  static constexpr StorageCaps caps{.writable = true, .zero_copy = true, .volatile_store = false};

  using Options = ShelfOptions;
  using Lock = std::shared_ptr<void>;  // unlocks when it goes

  struct ReadScope {
    void renew() noexcept {}  // views live as long as their file: there is nothing to hold
  };

  class Reader {
   public:
    explicit Reader(std::shared_ptr<const File> file) : file_(std::move(file)) {}
    std::uint64_t size() const noexcept { return file_->size; }
    const std::filesystem::path& path() const noexcept { return file_->path; }
    const std::byte* data() const noexcept { return file_->bytes().data(); }
    ByteSpan view(ReadScope&, std::uint64_t offset, std::size_t length) const noexcept { return {data() + offset, length}; }
    void prefetch(ReadScope&, std::span<const Range>) const noexcept {}

   private:
    std::shared_ptr<const File> file_;  // kept by every reader: removing a file does not disturb them
  };

  class Draft {
   public:
    void append(ByteSpan bytes) {
      if (bytes.empty()) return;
      file_->lines.resize((file_->size + bytes.size() + 63) / 64);
      std::memcpy(file_->lines.front().bytes + file_->size, bytes.data(), bytes.size());
      file_->size += bytes.size();
    }

   private:
    friend ShelfPolicy;
    std::shared_ptr<File> file_ = std::make_shared<File>();  // on no shelf until it is published
    std::string name_;
  };

  class LogReader {
   public:
    explicit LogReader(std::shared_ptr<LogFile> log) : log_(std::move(log)) {}
    std::uint64_t size() const {
      const std::lock_guard guard(log_->mutex);
      return log_->bytes.size();
    }
    void read(std::uint64_t offset, std::span<std::byte> to) const {
      const std::lock_guard guard(log_->mutex);
      const auto size = log_->bytes.size();
      if (offset > size || to.size() > size - offset) throw Error(Errc::corruption, "the log ends here", {}, size);
      std::copy_n(log_->bytes.begin() + static_cast<std::ptrdiff_t>(offset), to.size(), to.begin());
    }

   private:
    std::shared_ptr<LogFile> log_;
  };

  class Log {
   public:
    explicit Log(std::shared_ptr<LogFile> log) : log_(std::move(log)) {}
    void append(ByteSpan bytes) {
      const std::lock_guard guard(log_->mutex);
      log_->bytes.insert(log_->bytes.end(), bytes.begin(), bytes.end());
    }
    void sync() {}  // a shelf lasts as long as the process, and so does what is on it

   private:
    std::shared_ptr<LogFile> log_;
  };

  class Store {
   public:
    Reader open(std::string_view file, const FileIdentity& identity) const {
      auto found = find(file);
      verify_file(found->bytes(), identity, VerifyLevel::full, found->path);
      return Reader(std::move(found));
    }
    Bytes read_small(std::string_view file) const {
      const auto found = find(file);
      return Bytes(found->bytes().begin(), found->bytes().end());
    }
    LogReader read_log(std::string_view file) const {
      const std::lock_guard guard(shelf_->mutex);
      const auto found = shelf_->logs.find(file);
      if (found == shelf_->logs.end()) throw Error(Errc::not_found, "there is no such log on the shelf", path_ / file);
      return LogReader(found->second);
    }
    std::vector<FileInfo> list() const {
      const std::lock_guard guard(shelf_->mutex);
      std::vector<FileInfo> all;
      for (const auto& [file, content] : shelf_->files) all.push_back({file, content->size});
      for (const auto& [file, log] : shelf_->logs) all.push_back({file, LogReader(log).size()});
      return all;
    }
    const std::filesystem::path& path() const { return path_; }
    ReadScope read_scope() const { return {}; }

    Draft create(std::string_view file) {
      must_be_writable();
      Draft draft;
      draft.name_ = file;
      draft.file_->path = path_ / file;
      return draft;
    }
    void publish(Draft&& draft) { publish(std::span(&draft, 1)); }
    void publish(std::span<Draft> drafts) {
      const std::lock_guard guard(shelf_->mutex);
      for (const auto& draft : drafts)
        if (shelf_->files.contains(draft.name_)) throw Error(Errc::already_exists, "there is such a file on the shelf", draft.file_->path);
      for (const auto& draft : drafts) shelf_->files[draft.name_] = draft.file_;
    }
    Log append_log(std::string_view file, ByteSpan first) {
      must_be_writable();
      auto log = std::make_shared<LogFile>();
      log->bytes.assign(first.begin(), first.end());
      const std::lock_guard guard(shelf_->mutex);
      shelf_->logs[std::string(file)] = log;
      return Log(log);
    }
    void remove(std::string_view file) {
      must_be_writable();
      const std::lock_guard guard(shelf_->mutex);
      shelf_->files.erase(std::string(file));
      shelf_->logs.erase(std::string(file));
    }
    Lock lock_for_writing() {
      must_be_writable();
      if (shelf_->locked.exchange(true)) throw Error(Errc::locked, "someone else writes on this shelf", path_);
      return Lock(shelf_.get(), [shelf = shelf_](void*) { shelf->locked = false; });
    }

   private:
    friend ShelfPolicy;
    Store(std::filesystem::path path, OpenMode mode, bool make) : path_(std::move(path)), mode_(mode), shelf_(Shelf::at(path_, make)) {
      if (!shelf_) throw Error(Errc::not_found, "there is no such shelf", path_);
      if (make && !list().empty()) throw Error(Errc::already_exists, "the shelf is not empty", path_);
    }
    std::shared_ptr<const File> find(std::string_view file) const {
      const std::lock_guard guard(shelf_->mutex);
      const auto found = shelf_->files.find(file);
      if (found == shelf_->files.end()) throw Error(Errc::not_found, "there is no such file on the shelf", path_ / file);
      return found->second;
    }
    void must_be_writable() const {
      if (mode_ == OpenMode::read_only) throw Error(Errc::read_only, "the shelf was opened read-only", path_);
    }

    std::filesystem::path path_;
    OpenMode mode_;
    std::shared_ptr<Shelf> shelf_;
  };

  static Store create_store(const std::filesystem::path& path, const Options& = {}) { return Store(path, OpenMode::read_write, true); }
  static Store open_store(const std::filesystem::path& path, const Options&, OpenMode mode) { return Store(path, mode, false); }
};

static_assert(WritableStoragePolicy<ShelfPolicy>);

}  // namespace my
