// Runs a script again and again, with a fault at one call after the other.
#pragma once

#include "support/faulty_file_system.hpp"
#include "support/recording_file_system.hpp"

#include <cstddef>

namespace quiver::test {

/// Runs `script(at)` on a disk with an empty folder /stores, with the fault at call 1, 2 ... until it strikes no more; gives the number of runs that it struck.
template <class Script>
std::size_t sweep(int error, bool for_ever, Script&& script) {
  using Faulty = FaultyFileSystem<RecordingFileSystem>;
  std::size_t injections = 0;
  for (std::size_t at = 1;; ++at) {
    RecordingFileSystem::reset();
    RecordingFileSystem::Folder root;
    RecordingFileSystem::make_folder("/stores");
    RecordingFileSystem::open_folder("/", root);
    RecordingFileSystem::sync_folder(root, SyncSite::store_folder_entry);
    Faulty::plan({.at = at, .error = error, .for_ever = for_ever});
    script(at);
    const auto fired = Faulty::fired();
    if (fired == 0 && Faulty::calls() < at) break;
    injections += fired > 0;
  }
  Faulty::clear();
  return injections;
}

}  // namespace quiver::test
