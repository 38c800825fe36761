// A log of operations as lines for people to read and for tests to compare.
#pragma once

#include "support/recorded_disk.hpp"

#include <string>
#include <unordered_map>
#include <vector>

namespace quiver::test {

/// One line for each: the call and the path, which begins at the disk's root.
[[nodiscard]] inline std::vector<std::string> calls_of(const std::vector<Op>& log) {
  std::unordered_map<std::uint64_t, std::string> paths{{root_inode, ""}};
  std::vector<std::string> calls;
  for (const auto& op : log) {
    const auto named = op.changes_names() ? paths.at(op.folder) + "/" + op.name : paths.at(op.inode);
    const auto range = [&](std::uint64_t length) { return " from " + std::to_string(op.offset) + ", " + std::to_string(length) + " bytes"; };
    using enum Op::Action;
    switch (op.action) {
      case create:
        calls.push_back("create " + named);
        break;
      case make_folder:
        calls.push_back("make folder " + named);
        break;
      case write:
        calls.push_back("write " + named + range(op.bytes.size()));
        break;
      case allocate:
        calls.push_back("allocate " + named + range(op.length));
        break;
      case rename:
      case link:
        calls.push_back((op.action == link ? "link " : "rename ") + paths.at(op.folder) + "/" + op.from + " to " + named);
        break;
      case remove:
        calls.push_back("remove " + named);
        break;
      case remove_folder:
        calls.push_back("remove folder " + named);
        break;
      case sync_file:
        calls.push_back("fdatasync " + named);
        break;
      case sync_folder:
        calls.push_back("fsync " + named);
        break;
    }
    if (op.changes_names() && op.action != remove && op.action != remove_folder) paths[op.inode] = named;
  }
  return calls;
}

}  // namespace quiver::test
