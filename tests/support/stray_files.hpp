// Files in a store that no retained version needs.
#pragma once

#include <quiver/collection/recovery.hpp>

#include <set>
#include <string>

namespace quiver::test {

/// The manifests that are kept, and the files that they name; no logs.
template <StoragePolicy P>
[[nodiscard]] std::set<std::string> named_files(const typename P::Store& store) {
  using namespace quiver::detail;
  const auto newest = read_manifest<P>(store, *store_numbers<P>(store).newest()).version;
  std::set<std::string> named;
  const auto add = [&](const Version& version) {
    named.insert(manifest_name(version.number));
    add_names(version, named);
  };
  add(newest);
  for (const auto& kept : newest.retained) add(read_manifest<P>(store, kept.number).version);
  return named;
}

/// The names of the strays, each followed by a space. An open that writes leaves none. An empty folder of a segment is none: the next flush fills it.
template <StoragePolicy P>
[[nodiscard]] std::string stray_files(const typename P::Store& store) {
  using namespace quiver::detail;
  const auto newest = read_manifest<P>(store, *store_numbers<P>(store).newest()).version;
  auto named = named_files<P>(store);
  named.insert({"LOCK", log_name(newest.log.number)});
  // The version before keeps its log for repair().
  if (newest.parent != 0 && named.contains(manifest_name(newest.parent))) named.insert(log_name(read_manifest<P>(store, newest.parent).version.log.number));
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
