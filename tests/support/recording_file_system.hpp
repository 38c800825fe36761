// A file system in memory that keeps a log of what was done.
#pragma once

#include <quiver/storage/file_system.hpp>
#include <quiver/storage/read_buffers.hpp>

#include "support/recorded_disk.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <utility>

namespace quiver::test {

/// One process-wide disk, emptied by reset(). Paths all begin at its root, whether absolute or not. Safe from any thread.
class RecordingFileSystem {
 public:
  using Action = Op::Action;

  class File {
   public:
    File() = default;
    explicit File(InodePtr of) : inode(std::move(of)), process(disk().process) {}
    File(File&& other) noexcept : inode(std::move(other.inode)), process(other.process), holds_lock(std::exchange(other.holds_lock, false)) {}
    File& operator=(File&& other) noexcept {
      std::swap(inode, other.inode);
      std::swap(process, other.process);
      std::swap(holds_lock, other.holds_lock);
      return *this;
    }
    ~File() {
      if (!holds_lock) return;
      const std::lock_guard guard(disk().mutex);
      if (process == disk().process) inode->locked = false;
    }
    InodePtr inode;
    std::uint64_t process = 0;
    bool holds_lock = false;
  };
  struct Folder {
    InodePtr inode;
    std::uint64_t process = 0;
  };
  class Mapping {
   public:
    Mapping() = default;
    explicit Mapping(ByteSpan bytes) : bytes_(bytes.size()) { std::memcpy(bytes_.data(), bytes.data(), bytes.size()); }
    [[nodiscard]] const std::byte* data() const noexcept { return bytes_.data(); }
    void will_need(std::uint64_t, std::size_t) const noexcept {}

   private:
    detail::AlignedBytes bytes_;
  };

  // The disk and its log.

  /// An empty disk, an empty log, no switch set.
  static void reset() {
    mount(empty_disk());
    const std::lock_guard guard(disk().mutex);
    disk().skipped.reset();
    disk().without_rename = false;
    disk().syncs = {};
  }
  /// Another disk, all of it durable, with an empty log; who had a file of the old one open gets EIO from now on, as after kill().
  static void mount(InodePtr root) {
    const std::lock_guard guard(disk().mutex);
    disk().root = std::move(root);
    disk().log.clear();
    ++disk().process;
  }
  /// Ends the running process and keeps the disk: its locks are gone, and what it left open answers EIO from now on and changes nothing.
  static void kill() {
    const std::lock_guard guard(disk().mutex);
    ++disk().process;
    unlock(*disk().root);
  }
  [[nodiscard]] static InodePtr root() {
    const std::lock_guard guard(disk().mutex);
    return disk().root;
  }
  [[nodiscard]] static std::vector<Op> log() {
    const std::lock_guard guard(disk().mutex);
    return disk().log;
  }
  [[nodiscard]] static std::size_t log_size() {
    const std::lock_guard guard(disk().mutex);
    return disk().log.size();
  }
  /// From now on this sync answers success and does nothing; nothing: all syncs work again.
  static void skip(std::optional<SyncSite> site) { disk().skipped = site; }
  /// How often each site was asked to sync since reset(), skipped or not.
  [[nodiscard]] static std::array<std::uint64_t, sync_sites> syncs() {
    const std::lock_guard guard(disk().mutex);
    return disk().syncs;
  }
  /// What a failed sync of a file leaves: reads still see what was written, and no later sync makes it durable (ext4 and XFS mark the pages clean). Names are
  /// not lost so: a journal that cannot be written stops the whole file system, and syncs with it.
  static void lose(const File& file) {
    const std::lock_guard guard(disk().mutex);
    for (auto op = disk().log.rbegin(); op != disk().log.rend(); ++op) {
      if (op->inode != file.inode->number) continue;
      if (op->action == Action::sync_file) break;  // what lies before is durable, or lost already
      if (op->changes_bytes()) op->lost = true;
    }
  }
  /// rename_new answers EINVAL, as file systems do that cannot refuse to replace.
  static void without_rename(bool lacking) { disk().without_rename = lacking; }
  /// The bytes of a file, empty if there is none.
  [[nodiscard]] static std::optional<Bytes> content(const std::filesystem::path& path) {
    const std::lock_guard guard(disk().mutex);
    const auto found = walk(disk().root, path.string());
    return found == nullptr || found->kind != EntryKind::file ? std::nullopt : std::optional<Bytes>(found->bytes);
  }
  static void put(const std::filesystem::path& path, Bytes bytes) {
    const std::lock_guard guard(disk().mutex);
    const auto found = walk(disk().root, path.string());
    if (found == nullptr) throw std::logic_error("no file " + path.string());
    found->bytes = std::move(bytes);
  }

  // FileSystem.
  static IoResult open_folder(const std::filesystem::path& path, Folder& folder) {
    const std::lock_guard guard(disk().mutex);
    return as_folder(walk(disk().root, path.string()), folder);
  }
  static IoResult open_subfolder(const Folder& in, const std::string& name, Folder& folder) {
    const std::lock_guard guard(disk().mutex);
    if (dead(in)) return {0, EIO};
    return as_folder(walk(in.inode, name), folder);
  }
  static IoResult make_folder(const std::filesystem::path& path) {
    const std::lock_guard guard(disk().mutex);
    return make(disk().root, path.string(), EntryKind::folder, nullptr);
  }
  static IoResult make_subfolder(const Folder& in, const std::string& name) {
    const std::lock_guard guard(disk().mutex);
    if (dead(in)) return {0, EIO};
    return make(in.inode, name, EntryKind::folder, nullptr);
  }
  static IoResult create_file(const Folder& in, const std::string& name, File& file) {
    const std::lock_guard guard(disk().mutex);
    if (dead(in)) return {0, EIO};
    return make(in.inode, name, EntryKind::file, &file);
  }
  static IoResult open_file(const Folder& in, const std::string& name, File& file) {
    const std::lock_guard guard(disk().mutex);
    if (dead(in)) return {0, EIO};
    const auto found = walk(in.inode, name);
    if (found == nullptr) return {0, ENOENT};
    file = File(found);
    return {};
  }
  static IoResult open_lock_file(const Folder& in, const std::string& name, File& file) {
    const auto result = create_file(in, name, file);
    return result.error == EEXIST ? open_file(in, name, file) : result;
  }
  static IoResult describe(const File& file, FolderEntry& entry) {
    const std::lock_guard guard(disk().mutex);
    if (dead(file)) return {0, EIO};
    entry.kind = file.inode->kind;
    entry.size = file.inode->bytes.size();
    return {};
  }
  static IoResult read_at(const File& file, std::span<std::byte> to, std::uint64_t offset) {
    const std::lock_guard guard(disk().mutex);
    if (dead(file)) return {0, EIO};
    const auto& bytes = file.inode->bytes;
    if (offset >= bytes.size()) return {};
    const auto count = std::min(to.size(), bytes.size() - static_cast<std::size_t>(offset));
    std::memcpy(to.data(), bytes.data() + offset, count);
    return {count, 0};
  }
  static IoResult write_at(File& file, ByteSpan from, std::uint64_t offset) {
    const std::lock_guard guard(disk().mutex);
    if (dead(file)) return {0, EIO};
    overwrite(*file.inode, offset, from);
    Op op{Action::write, file.inode->number};
    op.offset = offset, op.bytes = Bytes(from.begin(), from.end());
    disk().log.push_back(std::move(op));
    return {from.size(), 0};
  }
  static IoResult allocate(File& file, std::uint64_t offset, std::size_t length) {
    const std::lock_guard guard(disk().mutex);
    if (dead(file)) return {0, EIO};
    auto& bytes = file.inode->bytes;
    if (bytes.size() < offset + length) bytes.resize(static_cast<std::size_t>(offset) + length);
    Op op{Action::allocate, file.inode->number};
    op.offset = offset, op.length = length;
    disk().log.push_back(std::move(op));
    return {};
  }
  static IoResult sync_file(File& file, SyncSite site) { return sync(Action::sync_file, file, site); }
  static IoResult sync_folder(const Folder& in, SyncSite site) { return sync(Action::sync_folder, in, site); }
  static IoResult rename_new(const Folder& in, const std::string& from, const std::string& to) {
    const std::lock_guard guard(disk().mutex);
    if (dead(in)) return {0, EIO};
    return disk().without_rename ? IoResult{0, EINVAL} : name_again(in, from, to, Action::rename);
  }
  static IoResult link(const Folder& in, const std::string& from, const std::string& to) {
    const std::lock_guard guard(disk().mutex);
    if (dead(in)) return {0, EIO};
    return name_again(in, from, to, Action::link);
  }
  static IoResult link_from(const Folder& from, const std::string& name, const Folder& to, const std::string& new_name) {
    const std::lock_guard guard(disk().mutex);
    if (dead(from) || dead(to)) return {0, EIO};
    const auto inode = walk(from.inode, name);
    const auto [folder, last] = above(to.inode, new_name);
    if (inode == nullptr || folder == nullptr) return {0, ENOENT};
    if (inode->kind != EntryKind::file) return {0, EPERM};
    if (!folder->names.emplace(last, inode).second) return {0, EEXIST};
    disk().log.push_back({Action::link, inode->number, folder->number, last, name});
    return {};
  }
  static IoResult remove(const Folder& in, const std::string& name) { return unname(in, name, EntryKind::file); }
  static IoResult remove_subfolder(const Folder& in, const std::string& name) { return unname(in, name, EntryKind::folder); }
  static IoResult list(const Folder& in, std::vector<FolderEntry>& entries) {
    const std::lock_guard guard(disk().mutex);
    if (dead(in)) return {0, EIO};
    for (const auto& [name, inode] : in.inode->names) entries.push_back({name, inode->kind, inode->bytes.size()});
    return {};
  }
  static IoResult try_lock(File& file) {
    const std::lock_guard guard(disk().mutex);
    if (dead(file)) return {0, EIO};
    if (file.inode->locked) return {0, EAGAIN};
    file.inode->locked = file.holds_lock = true;
    return {};
  }
  static IoResult remote_kind(const Folder&, std::string& kind) {
    kind.clear();
    return {};
  }
  static IoResult map_ro(const File& file, std::size_t length, const MapHints&, Mapping& mapping) {
    const std::lock_guard guard(disk().mutex);
    if (dead(file)) return {0, EIO};
    mapping = Mapping(ByteSpan(file.inode->bytes).first(length));
    return {};
  }

 private:
  struct Disk {
    std::mutex mutex;
    InodePtr root = empty_disk();
    std::vector<Op> log;
    std::uint64_t next = root_inode + 1;  // never used twice, also across disks
    std::uint64_t process = 1;
    std::optional<SyncSite> skipped;
    std::array<std::uint64_t, sync_sites> syncs{};
    bool without_rename = false;
  };
  static Disk& disk() {
    static Disk only;
    return only;
  }
  template <class Handle>
  static bool dead(const Handle& handle) {
    return handle.process != disk().process;
  }
  static void unlock(Inode& inode) {
    inode.locked = false;
    for (const auto& [name, child] : inode.names) unlock(*child);
  }
  static InodePtr walk(InodePtr from, const std::string& path) {
    for (const auto& part : std::filesystem::path(path)) {
      if (part == "/" || part == "." || part.empty()) continue;
      const auto found = from->names.find(part.string());
      if (found == from->names.end()) return nullptr;
      from = found->second;
    }
    return from;
  }
  static std::pair<InodePtr, std::string> above(const InodePtr& from, const std::string& path) {
    const std::filesystem::path whole(path);
    return {walk(from, whole.parent_path().string()), whole.filename().string()};
  }
  static IoResult as_folder(const InodePtr& inode, Folder& folder) {
    if (inode == nullptr) return {0, ENOENT};
    if (inode->kind != EntryKind::folder) return {0, ENOTDIR};
    folder = {inode, disk().process};
    return {};
  }
  static IoResult make(const InodePtr& from, const std::string& path, EntryKind kind, File* file) {
    const auto [parent, name] = above(from, path);
    if (parent == nullptr) return {0, ENOENT};
    if (name.empty() || parent->names.contains(name)) return {0, EEXIST};
    auto made = std::make_shared<Inode>(Inode{disk().next++, kind});
    parent->names[name] = made;
    disk().log.push_back({kind == EntryKind::folder ? Action::make_folder : Action::create, made->number, parent->number, name});
    if (file != nullptr) *file = File(std::move(made));
    return {};
  }
  static IoResult name_again(const Folder& in, const std::string& from, const std::string& to, Action action) {
    const auto [folder, old_name] = above(in.inode, from);
    const auto [target, new_name] = above(in.inode, to);
    if (folder == nullptr || target != folder || !folder->names.contains(old_name)) return {0, ENOENT};
    if (folder->names.contains(new_name)) return {0, EEXIST};
    const auto inode = folder->names[old_name];
    folder->names[new_name] = inode;
    if (action == Action::rename) folder->names.erase(old_name);
    disk().log.push_back({action, inode->number, folder->number, new_name, old_name});
    return {};
  }
  static IoResult unname(const Folder& in, const std::string& path, EntryKind kind) {
    const std::lock_guard guard(disk().mutex);
    if (dead(in)) return {0, EIO};
    const auto [folder, name] = above(in.inode, path);
    if (folder == nullptr || !folder->names.contains(name)) return {0, ENOENT};
    const auto inode = folder->names[name];
    if (inode->kind != kind) return {0, kind == EntryKind::file ? EISDIR : ENOTDIR};
    if (!inode->names.empty()) return {0, ENOTEMPTY};
    folder->names.erase(name);
    disk().log.push_back({kind == EntryKind::file ? Action::remove : Action::remove_folder, inode->number, folder->number, name});
    return {};
  }
  template <class Handle>
  static IoResult sync(Action action, const Handle& handle, SyncSite site) {
    const std::lock_guard guard(disk().mutex);
    if (dead(handle)) return {0, EIO};
    ++disk().syncs[static_cast<std::size_t>(site)];
    if (disk().skipped != site) {
      Op op{action, handle.inode->number};
      op.site = site;
      disk().log.push_back(std::move(op));
    }
    return {};
  }
};

static_assert(FileSystem<RecordingFileSystem>);

}  // namespace quiver::test
