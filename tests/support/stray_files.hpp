// Files in a store that no retained version needs.
#pragma once

#include <quiver/collection/recovery.hpp>

#include <set>
#include <string>

namespace quiver::test {

/// Their names, each followed by a space. An open that writes has none once it returned. An empty folder of a segment is none: the next flush fills it.
template <StoragePolicy P>
[[nodiscard]] std::string stray_files(const typename P::Store& store) {
  using namespace quiver::detail;
  const auto newest = read_manifest<P>(store, *store_numbers<P>(store).newest()).version;
  std::set<std::string> named{"LOCK"};
  const auto add = [&](const Version& version) {
    named.insert(manifest_name(version.number));
    add_names(version, named);
    // The version before keeps its log for repair().
    if (version.number == newest.number || version.number == newest.parent) named.insert(log_name(version.log.number));
  };
  add(newest);
  for (const auto& kept : newest.retained) add(read_manifest<P>(store, kept.number).version);
  std::string out;
  for (const auto& file : store.list())
    if (!named.contains(file.name) && !parse_segment_folder(file.name)) out += file.name + " ";
  return out;
}
template <StoragePolicy P>
[[nodiscard]] std::string stray_files(const std::filesystem::path& path) {
  return stray_files<P>(P::open_store(path, {}, OpenMode::read_only));
}

}  // namespace quiver::test
