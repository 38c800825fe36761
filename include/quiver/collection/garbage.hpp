// Removing files that are proven garbage: what no retained version names.
#pragma once

#include <quiver/collection/compaction.hpp>
#include <quiver/collection/recovery.hpp>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

namespace quiver::detail {

/// Removes what no retained version names: leftovers of writers that died. Nothing is removed unless every retained manifest could be read.
/// REQUIRES: the writer's lock is held and `newest` has verified.
template <WritableStoragePolicy P>
void collect_garbage(typename P::Store& store, const Version& newest) {
  std::set<std::string> named;
  add_names(newest, named);
  std::set<std::uint64_t> kept{newest.number};
  std::set<std::uint64_t> logs{newest.log.number};
  for (const auto& version : newest.retained) {
    try {
      const auto older = read_manifest<P>(store, version.number).version;
      add_names(older, named);
      // The version before the newest keeps its log: repair can open it.
      if (older.number == newest.parent) logs.insert(older.log.number);
      kept.insert(version.number);
    } catch (const Error&) {
      return;
    }
  }
  for (const auto& file : store.list()) {
    const auto number = parse_manifest_name(file.name);
    const auto log = parse_log_name(file.name);
    const bool garbage = (log && !logs.contains(*log)) || is_temporary_name(file.name) || file.name == loading_mark_name ||
                         (number && !kept.contains(*number)) || (is_data_file_name(file.name) && !named.contains(file.name));
    if (garbage) store.remove(file.name);
  }
}

/// What cannot be removed stays; the next open that writes collects it.
template <WritableStoragePolicy P>
void remove_quietly(typename P::Store& store, const std::string& name) noexcept {
  try {
    store.remove(name);
  } catch (...) {
  }
}

/// The files of `next`, which was not published: nobody names them, and the room may be needed.
template <WritableStoragePolicy P>
void remove_new_files(typename P::Store& store, const Version& next, const Version& before) noexcept {
  try {
    std::set<std::string> theirs, others;
    add_names(next, theirs);
    add_names(before, others);
    for (const auto& name : theirs)
      if (!others.contains(name)) remove_quietly<P>(store, name);
    if (next.log != before.log) remove_quietly<P>(store, log_name(next.log.number));
  } catch (...) {
  }
}
/// The files of a compaction that no manifest names.
template <WritableStoragePolicy P>
void remove_files(typename P::Store& store, const Compaction<P>& edit) noexcept {
  try {
    const auto& before = edit.base->manifest;
    Version files;
    files.log = before.log;
    files.segments = edit.segments;  // what only got an index names files of the base as well
    if (edit.run) files.id_runs.push_back(*edit.run);
    remove_new_files<P>(store, files, before);
  } catch (...) {
  }
}

/// Once `newest` is published in the place of `before`: the manifests that it does not list any more, and the files that only they named.
template <WritableStoragePolicy P>
void remove_pruned(typename P::Store& store, const Version& before, const Version& newest) noexcept {
  try {
    std::vector<std::uint64_t> pruned;
    for (const auto& version : before.retained)
      if (std::none_of(newest.retained.begin(), newest.retained.end(), [&](const auto& v) { return v.number == version.number; }))
        pruned.push_back(version.number);
    if (pruned.empty()) return;
    std::set<std::string> theirs, kept;
    for (const auto number : pruned) add_names(read_manifest<P>(store, number).version, theirs);
    add_names(newest, kept);
    for (const auto& version : newest.retained) add_names(read_manifest<P>(store, version.number).version, kept);
    for (const auto number : pruned) remove_quietly<P>(store, manifest_name(number));
    for (const auto& name : theirs)
      if (!kept.contains(name)) remove_quietly<P>(store, name);
  } catch (...) {
    // Nothing is removed that is not proven garbage.
  }
}

}  // namespace quiver::detail
