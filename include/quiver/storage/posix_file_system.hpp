// The file system of the machine: POSIX calls, OFD locks, Boost.Interprocess mappings.
#pragma once

#include <quiver/storage/file_system.hpp>

#if !defined(__linux__)
#error "quiver's file policies need Linux (OFD locks, renameat2); on other platforms bring a policy of your own, as include/quiver/storage/README.md describes"
#endif

#include <boost/interprocess/exceptions.hpp>
#include <boost/interprocess/mapped_region.hpp>

#include <cerrno>
#include <cstdio>
#include <memory>
#include <string_view>
#include <utility>

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

namespace quiver {
namespace detail {

/// Owns one descriptor and closes it; -1 is none. close() is never repeated: after EINTR the descriptor is gone.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) noexcept : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    if (this != &other) {
      reset();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  ~Descriptor() { reset(); }

  [[nodiscard]] int get() const noexcept { return fd_; }
  void reset() noexcept {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }
  int release() noexcept { return std::exchange(fd_, -1); }

  /// What Boost.Interprocess asks of something that can be mapped.
  [[nodiscard]] boost::interprocess::mapping_handle_t get_mapping_handle() const noexcept { return {fd_, false}; }

 private:
  int fd_ = -1;
};

/// A read-only shared mapping of a whole file.
class PosixMapping {
 public:
  PosixMapping() = default;
  explicit PosixMapping(boost::interprocess::mapped_region region) noexcept : region_(std::move(region)) {}

  [[nodiscard]] const std::byte* data() const noexcept { return static_cast<const std::byte*>(region_.get_address()); }
  void will_need(std::uint64_t offset, std::size_t length) const noexcept {
    const auto begin = offset / page * page;
    // Only a hint: its failure changes nothing.
    [[maybe_unused]] const int ignored =
        ::madvise(static_cast<char*>(region_.get_address()) + begin, length + static_cast<std::size_t>(offset - begin), MADV_WILLNEED);
  }

 private:
  static constexpr std::uint64_t page = 4096;
  boost::interprocess::mapped_region region_;
};

/// The name of a file system that is not a local disk, by the number that statfs gives; empty for any other.
[[nodiscard]] constexpr std::string_view remote_file_system(std::uint32_t type) noexcept {
  switch (type) {
    case 0x6969u:
      return "NFS";
    case 0x01021997u:
      return "9p";
    case 0x65735546u:
      return "FUSE";
    case 0xFF534D42u:
      return "CIFS";
    case 0xFE534D42u:
      return "SMB";
    default:
      return {};
  }
}

}  // namespace detail

/// FileSystem over the machine's own. Stateless; descriptors are opened close-on-exec.
class PosixFileSystem {
 public:
  using File = detail::Descriptor;
  using Folder = detail::Descriptor;
  using Mapping = detail::PosixMapping;

  static IoResult open_folder(const std::filesystem::path& path, Folder& folder) {
    return opened(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC), folder);
  }
  static IoResult open_subfolder(const Folder& in, const std::string& name, Folder& folder) {
    return opened(::openat(in.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC), folder);
  }
  static IoResult make_folder(const std::filesystem::path& path) { return done(::mkdir(path.c_str(), 0777)); }
  static IoResult make_subfolder(const Folder& in, const std::string& name) { return done(::mkdirat(in.get(), name.c_str(), 0777)); }
  static IoResult create_file(const Folder& in, const std::string& name, File& file) {
    return opened(::openat(in.get(), name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666), file);
  }
  static IoResult open_file(const Folder& in, const std::string& name, File& file) {
    // O_NONBLOCK: a pipe in place of a file is to be told, not waited for. Regular files know no difference.
    return opened(::openat(in.get(), name.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC), file);
  }
  static IoResult open_lock_file(const Folder& in, const std::string& name, File& file) {
    return opened(::openat(in.get(), name.c_str(), O_RDWR | O_CREAT | O_NONBLOCK | O_CLOEXEC, 0666), file);
  }
  static IoResult describe(const File& file, FolderEntry& entry) {
    struct ::stat found;
    const auto result = done(::fstat(file.get(), &found));
    if (result) fill(entry, found);
    return result;
  }
  static IoResult read_at(const File& file, std::span<std::byte> to, std::uint64_t offset) {
    return moved(::pread(file.get(), to.data(), to.size(), static_cast<::off_t>(offset)));
  }
  static IoResult write_at(File& file, ByteSpan from, std::uint64_t offset) {
    return moved(::pwrite(file.get(), from.data(), from.size(), static_cast<::off_t>(offset)));
  }
  static IoResult allocate(File& file, std::uint64_t offset, std::size_t length) {
    return done(::fallocate(file.get(), 0, static_cast<::off_t>(offset), static_cast<::off_t>(length)));
  }
  static IoResult sync_file(File& file, SyncSite) { return done(::fdatasync(file.get())); }
  static IoResult sync_folder(const Folder& in, SyncSite) { return done(::fsync(in.get())); }
  static IoResult rename_new(const Folder& in, const std::string& from, const std::string& to) {
    // By number: musl's headers lack the function.
    return done(static_cast<int>(::syscall(SYS_renameat2, in.get(), from.c_str(), in.get(), to.c_str(), 1u /* RENAME_NOREPLACE */)));
  }
  static IoResult link(const Folder& in, const std::string& from, const std::string& to) { return link_from(in, from, in, to); }
  static IoResult link_from(const Folder& from, const std::string& name, const Folder& to, const std::string& new_name) {
    return done(::linkat(from.get(), name.c_str(), to.get(), new_name.c_str(), 0));
  }
  static IoResult remove(const Folder& in, const std::string& name) { return done(::unlinkat(in.get(), name.c_str(), 0)); }
  static IoResult remove_subfolder(const Folder& in, const std::string& name) { return done(::unlinkat(in.get(), name.c_str(), AT_REMOVEDIR)); }
  static IoResult list(const Folder& in, std::vector<FolderEntry>& entries) {
    // A descriptor of its own: the place in the listing belongs to the open description.
    Folder own;
    if (const auto result = opened(::openat(in.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), own); !result) return result;
    ::DIR* stream = ::fdopendir(own.get());
    if (stream == nullptr) return {0, errno};
    own.release();  // the stream closes it
    const std::unique_ptr<::DIR, int (*)(::DIR*)> closes(stream, [](::DIR* d) { return ::closedir(d); });
    for (;;) {
      errno = 0;
      const ::dirent* next = ::readdir(stream);
      if (next == nullptr) return {0, errno};
      FolderEntry entry{next->d_name, EntryKind::other, 0};
      if (entry.name == "." || entry.name == "..") continue;
      struct ::stat found;
      if (::fstatat(in.get(), entry.name.c_str(), &found, 0) != 0) {
        if (errno != ENOENT) return {0, errno};
        // Removed since it was read here, or a link to nowhere. A file that was there counts: a listing is of one moment, not of what outlived it.
        if (next->d_type != DT_REG) continue;
        entry.kind = EntryKind::file;
      } else {
        fill(entry, found);
      }
      entries.push_back(std::move(entry));
    }
  }
  static IoResult try_lock(File& file) {
    struct ::flock lock {};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    lock.l_len = 1;
    const auto result = done(::fcntl(file.get(), F_OFD_SETLK, &lock));
    return result.error == EACCES ? IoResult{0, EAGAIN} : result;
  }
  static IoResult remote_kind(const Folder& in, std::string& kind) {
    struct ::statfs found;
    const auto result = done(::fstatfs(in.get(), &found));
    if (!result) return result;
    kind = detail::remote_file_system(static_cast<std::uint32_t>(found.f_type));
    return result;
  }
  static IoResult map_ro(const File& file, std::size_t length, const MapHints& hints, Mapping& mapping) {
    namespace ipc = boost::interprocess;
    try {
      ipc::mapped_region region(file, ipc::read_only, 0, length, nullptr, hints.populate ? MAP_POPULATE : ipc::default_map_options);
      // Advice is a hint: a kernel that does not take it still serves the pages.
      if (hints.advice == Advice::random) region.advise(ipc::mapped_region::advice_random);
      if (hints.advice == Advice::sequential) region.advise(ipc::mapped_region::advice_sequential);
      mapping = Mapping(std::move(region));
      return {};
    } catch (const ipc::interprocess_exception& e) {
      return {0, e.get_native_error() != 0 ? static_cast<int>(e.get_native_error()) : EIO};
    }
  }

 private:
  static IoResult done(int result) noexcept { return {0, result == 0 ? 0 : errno}; }
  static IoResult moved(::ssize_t result) noexcept { return result < 0 ? IoResult{0, errno} : IoResult{static_cast<std::size_t>(result), 0}; }
  static IoResult opened(int fd, detail::Descriptor& to) noexcept {
    if (fd < 0) return {0, errno};
    to = detail::Descriptor(fd);
    return {};
  }
  static void fill(FolderEntry& entry, const struct ::stat& found) noexcept {
    entry.kind = S_ISREG(found.st_mode) ? EntryKind::file : S_ISDIR(found.st_mode) ? EntryKind::folder : EntryKind::other;
    entry.size = S_ISREG(found.st_mode) ? static_cast<std::uint64_t>(found.st_size) : 0;
  }
};

static_assert(FileSystem<PosixFileSystem>);

}  // namespace quiver
