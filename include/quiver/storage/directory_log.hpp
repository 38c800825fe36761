// Logs: the one kind of file that grows after it is visible.
#pragma once

#include <quiver/storage/directory.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <limits>
#include <memory>

namespace quiver::detail {

/// A log being written. Move-only. One thread appends; another may sync meanwhile, and then what was appended before sync() began is durable. Keeps its
/// directory alive. Room is allocated before it is needed, so that a full disk refuses an append and spoils nothing.
template <FileSystem FS>
class Directory<FS>::Log {
 public:
  Log(Log&&) noexcept = default;
  Log& operator=(Log&&) noexcept = default;

  /// no_space: nothing was written and the log goes on as before. io_error: nobody knows how much was written, and the directory is poisoned.
  void append(ByteSpan bytes) {
    directory_->check_writable();
    auto end = size_;
    try {
      reserve(bytes.size());
      if (*synced_ && size_ + bytes.size() > touched_) touch(bytes.size());
      write_fully<FS>(file_, bytes, end, path_);
    } catch (const Error& e) {
      if (e.code() == Errc::no_space && end == size_) throw;
      directory_->poison();
      if (e.code() == Errc::no_space)
        fail(Errc::io_error, path_, end, "the disk was full in the middle of what was appended; free some space, close the store and open it again");
      throw;
    } catch (...) {
      directory_->poison();
      throw;
    }
    size_ = end;
  }
  /// What was appended is durable when this returns. A failure is final: the directory is poisoned.
  void sync() {
    directory_->check_writable();
    directory_->sync("sync", path_, [&] { return FS::sync_file(file_, SyncSite::log_data); });
    synced_->store(true, std::memory_order_relaxed);
  }
  [[nodiscard]] std::uint64_t size() const noexcept { return size_; }

 private:
  friend Directory;
  static constexpr std::uint64_t least_step = std::uint64_t{16} << 10, most_step = std::uint64_t{4} << 20;
  static constexpr std::uint64_t ahead = std::uint64_t{32} << 10;

  Log(std::shared_ptr<Directory> directory, std::filesystem::path path) : directory_(std::move(directory)), path_(std::move(path)) {}

  void reserve(std::uint64_t bytes) {
    if (size_ + bytes <= allocated_) return;
    const auto allocate = [&](std::uint64_t room) { return uninterrupted([&] { return FS::allocate(file_, allocated_, static_cast<std::size_t>(room)); }); };
    // As much again as there is: a small log stays small, a long one asks seldom.
    auto room = align_up(size_ + bytes - allocated_, std::clamp(std::bit_floor(size_), least_step, most_step));
    auto result = allocate(room);
    if (result.error == ENOSPC || result.error == EDQUOT) {
      room = size_ + bytes - allocated_;  // the last of a nearly full disk
      result = allocate(room);
    }
    if (result.error == EOPNOTSUPP || result.error == ENOSYS) {
      room = std::numeric_limits<std::uint64_t>::max() - allocated_;
      result = {};
    }
    if (!result) fail_io(Access::writing, result.error, "allocate " + std::to_string(bytes) + " bytes", path_);
    allocated_ += room;
  }

  /// Writes zeros over the room that comes next. The first sync of a page that was only allocated must also write down that it now holds something; this way
  /// one in many syncs does that for all of them. Where it fails nothing is lost: the room stays as it is.
  void touch(std::uint64_t bytes) {
    static constexpr std::array<std::byte, ahead> zeros{};
    touched_ = std::min(allocated_, align_up(size_ + bytes, ahead) + ahead);
    for (auto at = size_ + bytes; at < touched_;) {
      const auto written = FS::write_at(file_, ByteSpan(zeros).first(static_cast<std::size_t>(std::min<std::uint64_t>(ahead, touched_ - at))), at);
      if (!written || written.count == 0) return;
      at += written.count;
    }
  }

  std::shared_ptr<Directory> directory_;
  std::filesystem::path path_;
  typename FS::File file_;
  std::uint64_t size_ = 0, allocated_ = 0;
  std::uint64_t touched_ = 0;                                                               // up to here the room was written to
  std::unique_ptr<std::atomic<bool>> synced_ = std::make_unique<std::atomic<bool>>(false);  // ever; another thread may sync
};

/// A log being read, perhaps while it grows. Move-only. Any number of threads.
template <FileSystem FS>
class Directory<FS>::LogReader {
 public:
  /// Bytes that are there now; behind the last that was appended there may be zeros.
  [[nodiscard]] std::uint64_t size() const {
    FolderEntry entry;
    must(Access::reading, "ask for the size", opened_.path, [&] { return FS::describe(opened_.file, entry); });
    return entry.size;
  }
  /// Fills `to` from `offset`; corruption where the log ends before.
  void read(std::uint64_t offset, std::span<std::byte> to) const { read_fully<FS>(opened_.file, to, offset, opened_.path); }

 private:
  friend Directory;
  explicit LogReader(OpenedFile<FS> opened) : opened_(std::move(opened)) {}
  OpenedFile<FS> opened_;
};

template <FileSystem FS>
typename Directory<FS>::Log Directory<FS>::append_log(std::string_view name, ByteSpan first) {
  check_writable();
  if (!valid_file_name(name) || !name.starts_with(log_file_prefix) || name.find('/') != std::string_view::npos || name.ends_with(temp_suffix))
    fail(Errc::invalid_argument, path_, "'" + std::string(name) + "' is not a name for a log of a store");
  Log log(this->shared_from_this(), path_ / name);
  auto result = uninterrupted([&] { return FS::create_file(folder_, std::string(name), log.file_); });
  if (result.error == EEXIST) {
    must(Access::writing, "remove the old log", log.path_, [&] { return FS::remove(folder_, std::string(name)); });
    result = uninterrupted([&] { return FS::create_file(folder_, std::string(name), log.file_); });
  }
  if (!result) fail_io(Access::writing, result.error, "create", log.path_);
  try {
    log.reserve(first.size());
    write_fully<FS>(log.file_, first, log.size_, log.path_);
    sync("sync", log.path_, [&] { return FS::sync_file(log.file_, SyncSite::log_begin); });
    sync("sync the folder", path_, [&] { return FS::sync_folder(folder_, SyncSite::log_name); });
  } catch (...) {
    // Named by nobody, and the room may be needed.
    static_cast<void>(uninterrupted([&] { return FS::remove(folder_, std::string(name)); }));
    throw;
  }
  return log;
}

template <FileSystem FS>
typename Directory<FS>::LogReader Directory<FS>::read_log(std::string_view name) const {
  return LogReader(open_file(name));
}

}  // namespace quiver::detail
