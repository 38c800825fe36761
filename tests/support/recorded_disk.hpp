// A disk in memory and the log of what was done to it: the raw material of crash states.
#pragma once

#include <quiver/core/checksum.hpp>
#include <quiver/storage/file_system.hpp>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

namespace quiver::test {

struct Inode;
using InodePtr = std::shared_ptr<Inode>;

struct Inode {
  std::uint64_t number = 0;
  EntryKind kind = EntryKind::file;
  Bytes bytes{};
  std::map<std::string, InodePtr> names{};
  bool locked = false;
};

inline constexpr std::uint64_t root_inode = 1;
[[nodiscard]] inline InodePtr empty_disk() { return std::make_shared<Inode>(Inode{root_inode, EntryKind::folder}); }

/// One thing that was done, in the order in which the calls returned.
struct Op {
  enum class Action { create, make_folder, write, allocate, rename, link, remove, remove_folder, sync_file, sync_folder };
  Action action{};
  std::uint64_t inode = 0;   // what was made, written, named or synced
  std::uint64_t folder = 0;  // whose names changed; 0: none did
  std::string name{};        // in the folder
  std::string from{};        // of a rename
  std::uint64_t offset = 0;
  Bytes bytes{};
  std::size_t length = 0;  // of what is allocated
  SyncSite site{};
  bool lost = false;  // a sync that was to cover it failed: no later one makes it durable

  [[nodiscard]] bool changes_names() const noexcept { return folder != 0; }
  [[nodiscard]] bool changes() const noexcept { return changes_names() || changes_bytes(); }
  [[nodiscard]] bool changes_bytes() const noexcept { return action == Action::write || action == Action::allocate; }
  [[nodiscard]] bool covered_by(const Op& sync) const noexcept {
    return changes_names() ? sync.action == Action::sync_folder && sync.inode == folder
                           : changes_bytes() && sync.action == Action::sync_file && sync.inode == inode;
  }
};

inline void overwrite(Inode& inode, std::uint64_t offset, ByteSpan bytes) {
  if (inode.bytes.size() < offset + bytes.size()) inode.bytes.resize(static_cast<std::size_t>(offset) + bytes.size());
  std::copy(bytes.begin(), bytes.end(), inode.bytes.begin() + static_cast<std::ptrdiff_t>(offset));
}

using Inodes = std::unordered_map<std::uint64_t, InodePtr>;

/// A copy of the tree, without locks; `all` gets every inode of it.
inline InodePtr copy_tree(const InodePtr& from, Inodes& all) {
  auto& copy = all[from->number];
  if (copy) return copy;  // a second name
  const auto made = copy = std::make_shared<Inode>(Inode{from->number, from->kind, from->bytes});
  for (const auto& [name, inode] : from->names) made->names.emplace(name, copy_tree(inode, all));
  return made;
}
inline InodePtr copy_tree(const InodePtr& from) {
  Inodes all;
  return copy_tree(from, all);
}

/// Of names and contents; equal disks have equal sums.
[[nodiscard]] inline std::uint64_t hash_tree(const Inode& inode, std::uint64_t seed = 0) {
  if (inode.kind == EntryKind::file) return detail::checksum(inode.bytes, seed + 1);
  for (const auto& [name, child] : inode.names) seed = hash_tree(*child, detail::checksum(detail::as_bytes(name), seed + 2));
  return detail::checksum({}, seed + 3);
}

/// The tree as folders and files of the real file system, for a person or another program to look at.
inline void write_tree(const Inode& inode, const std::filesystem::path& to) {
  if (inode.kind == EntryKind::folder) {
    std::filesystem::create_directories(to);
    for (const auto& [name, child] : inode.names) write_tree(*child, to / name);
    return;
  }
  std::ofstream out(to, std::ios::binary | std::ios::trunc);
  out.write(reinterpret_cast<const char*>(inode.bytes.data()), static_cast<std::streamsize>(inode.bytes.size()));
}

}  // namespace quiver::test
