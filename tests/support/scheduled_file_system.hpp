// A file system at whose calls two threads take turns as a dice says.
#pragma once

#include <quiver/storage/file_system.hpp>

#include <array>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <random>
#include <utility>
#include <vector>

namespace quiver::test {

/// Two threads, of which one goes on at a time, from one call of the file system to the next. One that waits inside the engine for the other cannot say so:
/// when it does not come back for a while, the other goes on without being told to. Should it only have been slow, both run for a moment, as threads do;
/// therefore the same seed gives nearly the same order of calls, not surely. Calls themselves never overlap. Other threads pass at once.
class Turns {
 public:
  /// Before both begin.
  static void deal(std::uint64_t seed) {
    auto& all = table();
    const std::lock_guard guard(all.mutex);
    all.random.seed(seed);
    all.holder = 0;
    all.waits = all.ended = {false, false};
    all.changes = all.taken = 0;
  }
  /// This thread is number 0 or 1 until the object goes.
  class Seat {
   public:
    explicit Seat(std::size_t number) { mine() = number; }
    Seat(const Seat&) = delete;
    Seat& operator=(const Seat&) = delete;
    ~Seat() {
      auto& all = table();
      const std::lock_guard guard(all.mutex);
      all.ended[mine()] = true;
      all.holder = 1 - mine();
      all.changed.notify_all();
      mine() = nobody;
    }
  };
  /// Returns when it is this thread's turn.
  static void await() {
    const auto me = mine(), other = 1 - me;
    if (me == nobody) return;
    auto& all = table();
    std::unique_lock lock(all.mutex);
    if (all.holder == me && !all.ended[other] && all.random() % 2 == 0) {
      all.holder = other;
      ++all.changes;
      all.changed.notify_all();
    }
    all.waits[me] = true;
    while (all.holder != me) {
      const auto steps = all.steps;
      const bool mine_now = all.changed.wait_for(lock, std::chrono::milliseconds(1), [&] { return all.holder == me; });
      if (!mine_now && !all.waits[other] && all.steps == steps) all.holder = me, ++all.taken;
    }
    all.waits[me] = false;
    ++all.steps;
  }
  /// The turn, and nobody else in a call.
  [[nodiscard]] static std::unique_lock<std::mutex> take() {
    await();
    return std::unique_lock(table().calls);
  }
  /// How often the other one was told to go on, and how often one went on because the other did not come back.
  [[nodiscard]] static std::pair<std::uint64_t, std::uint64_t> changes() {
    const std::lock_guard guard(table().mutex);
    return {table().changes, table().taken};
  }

 private:
  static constexpr std::size_t nobody = 2;
  struct Table {
    std::mutex mutex, calls;
    std::condition_variable changed;
    std::mt19937_64 random;
    std::size_t holder = 0;
    std::array<bool, 2> waits{}, ended{};
    std::uint64_t steps = 0, changes = 0, taken = 0;
  };
  static Table& table() {
    static Table only;
    return only;
  }
  static std::size_t& mine() {
    static thread_local std::size_t number = nobody;
    return number;
  }
};

/// Inner, with turns.
template <FileSystem Inner>
class ScheduledFileSystem {
 public:
  using File = typename Inner::File;
  using Folder = typename Inner::Folder;
  using Mapping = typename Inner::Mapping;

  static IoResult open_folder(const std::filesystem::path& path, Folder& folder) {
    const auto turn = Turns::take();
    return Inner::open_folder(path, folder);
  }
  static IoResult open_subfolder(const Folder& in, const std::string& name, Folder& folder) {
    const auto turn = Turns::take();
    return Inner::open_subfolder(in, name, folder);
  }
  static IoResult make_folder(const std::filesystem::path& path) {
    const auto turn = Turns::take();
    return Inner::make_folder(path);
  }
  static IoResult make_subfolder(const Folder& in, const std::string& name) {
    const auto turn = Turns::take();
    return Inner::make_subfolder(in, name);
  }
  static IoResult create_file(const Folder& in, const std::string& name, File& file) {
    const auto turn = Turns::take();
    return Inner::create_file(in, name, file);
  }
  static IoResult open_file(const Folder& in, const std::string& name, File& file) {
    const auto turn = Turns::take();
    return Inner::open_file(in, name, file);
  }
  static IoResult open_lock_file(const Folder& in, const std::string& name, File& file) {
    const auto turn = Turns::take();
    return Inner::open_lock_file(in, name, file);
  }
  static IoResult describe(const File& file, FolderEntry& entry) {
    const auto turn = Turns::take();
    return Inner::describe(file, entry);
  }
  static IoResult read_at(const File& file, std::span<std::byte> to, std::uint64_t offset) {
    const auto turn = Turns::take();
    return Inner::read_at(file, to, offset);
  }
  static IoResult write_at(File& file, ByteSpan from, std::uint64_t offset) {
    const auto turn = Turns::take();
    return Inner::write_at(file, from, offset);
  }
  static IoResult allocate(File& file, std::uint64_t offset, std::size_t length) {
    const auto turn = Turns::take();
    return Inner::allocate(file, offset, length);
  }
  /// Stands in the log where it began and returns later: what the other thread writes meanwhile it does not cover.
  static IoResult sync_file(File& file, SyncSite site) {
    IoResult result;
    {
      const auto turn = Turns::take();
      result = Inner::sync_file(file, site);
    }
    Turns::await();
    return result;
  }
  static IoResult sync_folder(const Folder& in, SyncSite site) {
    const auto turn = Turns::take();
    return Inner::sync_folder(in, site);
  }
  static IoResult rename_new(const Folder& in, const std::string& from, const std::string& to) {
    const auto turn = Turns::take();
    return Inner::rename_new(in, from, to);
  }
  static IoResult link(const Folder& in, const std::string& from, const std::string& to) {
    const auto turn = Turns::take();
    return Inner::link(in, from, to);
  }
  static IoResult link_from(const Folder& from, const std::string& name, const Folder& to, const std::string& new_name) {
    const auto turn = Turns::take();
    return Inner::link_from(from, name, to, new_name);
  }
  static IoResult remove(const Folder& in, const std::string& name) {
    const auto turn = Turns::take();
    return Inner::remove(in, name);
  }
  static IoResult remove_subfolder(const Folder& in, const std::string& name) {
    const auto turn = Turns::take();
    return Inner::remove_subfolder(in, name);
  }
  static IoResult list(const Folder& in, std::vector<FolderEntry>& entries) {
    const auto turn = Turns::take();
    return Inner::list(in, entries);
  }
  static IoResult try_lock(File& file) {
    const auto turn = Turns::take();
    return Inner::try_lock(file);
  }
  static IoResult remote_kind(const Folder& in, std::string& kind) {
    const auto turn = Turns::take();
    return Inner::remote_kind(in, kind);
  }
  static IoResult map_ro(const File& file, std::size_t length, const MapHints& hints, Mapping& mapping) {
    const auto turn = Turns::take();
    return Inner::map_ro(file, length, hints, mapping);
  }
};

}  // namespace quiver::test
