// The files of a store as bytes: to look at, to damage, and to go on from as after the death of the process that wrote them.
#pragma once

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <vector>

namespace quiver::test {

/// By name within the store.
using StoreFiles = std::map<std::string, std::string>;

inline StoreFiles read_store(const std::filesystem::path& store) {
  StoreFiles out;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(store)) {
    if (!entry.is_regular_file()) continue;
    std::ifstream in(entry.path(), std::ios::binary);
    out[std::filesystem::relative(entry.path(), store).string()] = std::string(std::istreambuf_iterator<char>(in), {});
  }
  return out;
}

inline void put_file(const std::filesystem::path& path, const std::string& bytes) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

/// A store as it stands, under another path: what a writer leaves that is killed now. REQUIRES: nothing writes meanwhile.
inline void copy_store(const std::filesystem::path& from, const std::filesystem::path& to) {
  std::filesystem::copy(from, to, std::filesystem::copy_options::recursive);
}

/// The names that begin with `prefix`, in order.
inline std::vector<std::string> names_with(const std::filesystem::path& store, const std::string& prefix) {
  std::vector<std::string> out;
  for (const auto& [name, bytes] : read_store(store))
    if (name.starts_with(prefix)) out.push_back(name);
  return out;
}

}  // namespace quiver::test
