// A file system in memory that keeps a log of what was done, and can show the disk as a crash might leave it.
#pragma once

#include <quiver/storage/file_system.hpp>
#include <quiver/storage/read_buffers.hpp>

#include <cerrno>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <utility>

namespace quiver::test {

/// One process-wide disk, emptied by reset(). Paths all begin at its root, whether absolute or not. Safe from any thread.
class RecordingFileSystem {
 public:
  struct Inode {
    std::uint64_t number = 0;
    EntryKind kind = EntryKind::file;
    Bytes bytes;
    std::map<std::string, std::shared_ptr<Inode>> names;
    bool locked = false;
  };
  using InodePtr = std::shared_ptr<Inode>;

  enum class Action { create, make_folder, write, rename, link, remove, remove_folder, sync_file, sync_folder };
  struct Op {
    Action action{};
    std::uint64_t inode = 0;   // what was made, written, named or synced
    std::uint64_t folder = 0;  // whose names changed; 0: none did
    std::string name;          // in the folder
    std::string from;          // of a rename
    std::uint64_t offset = 0;
    Bytes bytes{};
    SyncSite site{};
  };

  class File {
   public:
    File() = default;
    explicit File(InodePtr of) : inode(std::move(of)) {}
    File(File&& other) noexcept : inode(std::move(other.inode)), holds_lock(std::exchange(other.holds_lock, false)) {}
    File& operator=(File&& other) noexcept {
      std::swap(inode, other.inode);
      std::swap(holds_lock, other.holds_lock);
      return *this;
    }
    ~File() {
      if (!holds_lock) return;
      const std::lock_guard guard(disk().mutex);
      inode->locked = false;
    }
    InodePtr inode;
    bool holds_lock = false;
  };
  struct Folder {
    InodePtr inode;
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
  static void reset() { use(std::make_shared<Inode>(Inode{1, EntryKind::folder, {}, {}, false})); }
  [[nodiscard]] static std::vector<Op> log() {
    const std::lock_guard guard(disk().mutex);
    return disk().log;
  }
  /// From now on this sync answers success and does nothing; nothing: all syncs work again.
  static void skip(std::optional<SyncSite> site) { disk().skipped = site; }
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

  /// True of each op before `count` that a crash then may undo: no sync that covers it lies between.
  [[nodiscard]] static std::vector<bool> pending(const std::vector<Op>& log, std::size_t count) {
    std::vector<bool> open(count, false);
    for (std::size_t i = 0; i < count; ++i) {
      const bool names = log[i].folder != 0;
      if (!names && log[i].action != Action::write) continue;
      open[i] = true;
      for (auto j = i + 1; j < count && open[i]; ++j)
        if (names ? log[j].action == Action::sync_folder && log[j].inode == log[i].folder : log[j].action == Action::sync_file && log[j].inode == log[i].inode)
          open[i] = false;
    }
    return open;
  }
  /// Puts in place the disk that is left if the machine stops after `count` ops of `log` and of the pending ones only those survive that `survives` names.
  static void crash(const std::vector<Op>& log, std::size_t count, const std::function<bool(std::size_t)>& survives) {
    const auto open = pending(log, count);
    std::map<std::uint64_t, InodePtr> inodes;
    const auto inode = [&](std::uint64_t number, EntryKind kind) -> InodePtr& {
      auto& found = inodes[number];
      if (!found) found = std::make_shared<Inode>(Inode{number, kind, {}, {}, false});
      return found;
    };
    const auto root = inode(1, EntryKind::folder);
    for (std::size_t i = 0; i < count; ++i) {
      const auto& op = log[i];
      if (op.action == Action::create || op.action == Action::make_folder) inode(op.inode, op.action == Action::create ? EntryKind::file : EntryKind::folder);
      if (open[i] && !survives(i)) continue;
      auto& names = inode(op.folder == 0 ? 1 : op.folder, EntryKind::folder)->names;
      switch (op.action) {
        case Action::create:
        case Action::make_folder:
        case Action::link:
          names[op.name] = inodes.at(op.inode);
          break;
        case Action::rename:
          names.erase(op.from);
          names[op.name] = inodes.at(op.inode);
          break;
        case Action::remove:
        case Action::remove_folder:
          names.erase(op.name);
          break;
        case Action::write:
          overwrite(*inodes.at(op.inode), op.offset, op.bytes);
          break;
        case Action::sync_file:
        case Action::sync_folder:
          break;
      }
    }
    use(root);
  }

  // FileSystem.
  static IoResult open_folder(const std::filesystem::path& path, Folder& folder) {
    const std::lock_guard guard(disk().mutex);
    return as_folder(walk(disk().root, path.string()), folder);
  }
  static IoResult open_subfolder(const Folder& in, const std::string& name, Folder& folder) {
    const std::lock_guard guard(disk().mutex);
    return as_folder(walk(in.inode, name), folder);
  }
  static IoResult make_folder(const std::filesystem::path& path) {
    const std::lock_guard guard(disk().mutex);
    return make(disk().root, path.string(), EntryKind::folder, nullptr);
  }
  static IoResult make_subfolder(const Folder& in, const std::string& name) {
    const std::lock_guard guard(disk().mutex);
    return make(in.inode, name, EntryKind::folder, nullptr);
  }
  static IoResult create_file(const Folder& in, const std::string& name, File& file) {
    const std::lock_guard guard(disk().mutex);
    return make(in.inode, name, EntryKind::file, &file);
  }
  static IoResult open_file(const Folder& in, const std::string& name, File& file) {
    const std::lock_guard guard(disk().mutex);
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
    entry.kind = file.inode->kind;
    entry.size = file.inode->bytes.size();
    return {};
  }
  static IoResult read_at(const File& file, std::span<std::byte> to, std::uint64_t offset) {
    const std::lock_guard guard(disk().mutex);
    const auto& bytes = file.inode->bytes;
    if (offset >= bytes.size()) return {};
    const auto count = std::min(to.size(), bytes.size() - static_cast<std::size_t>(offset));
    std::memcpy(to.data(), bytes.data() + offset, count);
    return {count, 0};
  }
  static IoResult write_at(File& file, ByteSpan from, std::uint64_t offset) {
    const std::lock_guard guard(disk().mutex);
    overwrite(*file.inode, offset, from);
    disk().log.push_back({Action::write, file.inode->number, 0, {}, {}, offset, Bytes(from.begin(), from.end()), {}});
    return {from.size(), 0};
  }
  static IoResult sync_file(File& file, SyncSite site) { return sync(Action::sync_file, file.inode, site); }
  static IoResult sync_folder(const Folder& in, SyncSite site) { return sync(Action::sync_folder, in.inode, site); }
  static IoResult rename_new(const Folder& in, const std::string& from, const std::string& to) {
    const std::lock_guard guard(disk().mutex);
    return disk().without_rename ? IoResult{0, EINVAL} : name_again(in, from, to, Action::rename);
  }
  static IoResult link(const Folder& in, const std::string& from, const std::string& to) {
    const std::lock_guard guard(disk().mutex);
    return name_again(in, from, to, Action::link);
  }
  static IoResult remove(const Folder& in, const std::string& name) { return unname(in, name, EntryKind::file); }
  static IoResult remove_subfolder(const Folder& in, const std::string& name) { return unname(in, name, EntryKind::folder); }
  static IoResult list(const Folder& in, std::vector<FolderEntry>& entries) {
    const std::lock_guard guard(disk().mutex);
    for (const auto& [name, inode] : in.inode->names) entries.push_back({name, inode->kind, inode->bytes.size()});
    return {};
  }
  static IoResult try_lock(File& file) {
    const std::lock_guard guard(disk().mutex);
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
    mapping = Mapping(ByteSpan(file.inode->bytes).first(length));
    return {};
  }

 private:
  struct Disk {
    std::mutex mutex;
    InodePtr root = std::make_shared<Inode>(Inode{1, EntryKind::folder, {}, {}, false});
    std::vector<Op> log;
    std::uint64_t next = 2;
    std::optional<SyncSite> skipped;
    bool without_rename = false;
  };
  static Disk& disk() {
    static Disk only;
    return only;
  }
  static void use(InodePtr root) {
    const std::lock_guard guard(disk().mutex);
    disk().root = std::move(root);
    disk().log.clear();
    disk().next = std::uint64_t{1} << 32;  // above what any replayed log holds
    disk().skipped.reset();
    disk().without_rename = false;
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
  static void overwrite(Inode& inode, std::uint64_t offset, ByteSpan bytes) {
    if (inode.bytes.size() < offset + bytes.size()) inode.bytes.resize(static_cast<std::size_t>(offset) + bytes.size());
    std::copy(bytes.begin(), bytes.end(), inode.bytes.begin() + static_cast<std::ptrdiff_t>(offset));
  }
  static IoResult as_folder(const InodePtr& inode, Folder& folder) {
    if (inode == nullptr) return {0, ENOENT};
    if (inode->kind != EntryKind::folder) return {0, ENOTDIR};
    folder.inode = inode;
    return {};
  }
  static IoResult make(const InodePtr& from, const std::string& path, EntryKind kind, File* file) {
    const auto [parent, name] = above(from, path);
    if (parent == nullptr) return {0, ENOENT};
    if (name.empty() || parent->names.contains(name)) return {0, EEXIST};
    auto made = std::make_shared<Inode>(Inode{disk().next++, kind, {}, {}, false});
    parent->names[name] = made;
    disk().log.push_back({kind == EntryKind::folder ? Action::make_folder : Action::create, made->number, parent->number, name, {}, 0, {}, {}});
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
    disk().log.push_back({action, inode->number, folder->number, new_name, old_name, 0, {}, {}});
    return {};
  }
  static IoResult unname(const Folder& in, const std::string& path, EntryKind kind) {
    const std::lock_guard guard(disk().mutex);
    const auto [folder, name] = above(in.inode, path);
    if (folder == nullptr || !folder->names.contains(name)) return {0, ENOENT};
    const auto inode = folder->names[name];
    if (inode->kind != kind) return {0, kind == EntryKind::file ? EISDIR : ENOTDIR};
    if (!inode->names.empty()) return {0, ENOTEMPTY};
    folder->names.erase(name);
    disk().log.push_back({kind == EntryKind::file ? Action::remove : Action::remove_folder, inode->number, folder->number, name, {}, 0, {}, {}});
    return {};
  }
  static IoResult sync(Action action, const InodePtr& inode, SyncSite site) {
    const std::lock_guard guard(disk().mutex);
    if (disk().skipped != site) disk().log.push_back({action, inode->number, 0, {}, {}, 0, {}, site});
    return {};
  }
};

static_assert(FileSystem<RecordingFileSystem>);

}  // namespace quiver::test
