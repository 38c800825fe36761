// A file system whose syncs and writes of logs can be held at a gate.
#pragma once

#include <quiver/storage/posix_file_system.hpp>

#include "support/faulty_file_system.hpp"

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <mutex>

namespace quiver::test {

/// Where threads stop while it is held. Counts who came since hold() or count(). Safe from any thread.
class Gate {
 public:
  void hold() {
    const std::lock_guard guard(mutex_);
    held_ = true;
    came_ = 0;
  }
  void open() {
    const std::lock_guard guard(mutex_);
    held_ = false;
    changed_.notify_all();
  }
  void count() {
    const std::lock_guard guard(mutex_);
    came_ = 0;
  }
  /// Returns once `count` came.
  void await(std::size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return came_ >= count; });
  }
  void pass() {
    std::unique_lock lock(mutex_);
    ++came_;
    changed_.notify_all();
    changed_.wait(lock, [&] { return !held_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool held_ = false;
  std::size_t came_ = 0;
};

/// The machine's file system with planned faults, which strike behind the gates.
class GatedFileSystem : public FaultyFileSystem<PosixFileSystem> {
 public:
  using Faulty = FaultyFileSystem<PosixFileSystem>;

  static inline Gate syncs;                                  ///< of what was appended to a log
  static inline Gate writes;                                 ///< to any file
  static inline std::atomic<std::size_t> log_syncs{0};       ///< that began
  static inline std::atomic<std::size_t> now_syncing{0};     ///< logs, at this moment
  static inline std::atomic<std::size_t> made_meanwhile{0};  ///< files, while a log was being synced

  static IoResult create_file(const Folder& in, const std::string& name, File& file) {
    if (now_syncing.load() != 0) ++made_meanwhile;
    return Faulty::create_file(in, name, file);
  }
  static IoResult write_at(File& file, ByteSpan from, std::uint64_t offset) {
    writes.pass();
    return Faulty::write_at(file, from, offset);
  }
  static IoResult sync_file(File& file, SyncSite site) {
    if (site != SyncSite::log_data) return Faulty::sync_file(file, site);
    ++log_syncs;
    ++now_syncing;
    syncs.pass();
    const auto result = Faulty::sync_file(file, site);
    --now_syncing;
    return result;
  }
};

static_assert(FileSystem<GatedFileSystem>);

}  // namespace quiver::test
