// A file system whose calls fail when they are told to.
#pragma once

#include <quiver/storage/file_system.hpp>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <mutex>
#include <optional>

namespace quiver::test {

enum class IoCall {
  open_folder,
  make_folder,
  create_file,
  open_file,
  open_lock_file,
  describe,
  read,
  write,
  allocate,
  sync_file,
  sync_folder,
  rename,
  link,
  remove,
  list,
  lock,
  remote_kind,
  map
};

/// Which call fails, and how. Calls are counted from 1 since plan() was last called.
struct Fault {
  std::size_t at = 0;            // 0: none
  int error = 0;                 // 0: no error but half the bytes; else errno
  bool for_ever = false;         // this call and every later one
  std::optional<IoCall> only{};  // count calls of this kind alone
  bool short_first = false;      // the first call that is struck, a write, moves half of its bytes, and the next one gets the error
  bool performed = false;        // a rename, link or sync of a folder does its work and reports the error all the same
};

/// Inner, with the planned fault. A call that fails does nothing else, unless the plan says that it was performed. The plan and the count are the process's;
/// safe from any thread.
template <FileSystem Inner>
class FaultyFileSystem {
 public:
  using File = typename Inner::File;
  using Folder = typename Inner::Folder;
  using Mapping = typename Inner::Mapping;

  /// Sets the fault and counts from 1 again.
  static void plan(const Fault& fault) {
    const std::lock_guard guard(state().mutex);
    state().fault = fault;
    state().calls = state().fired = 0;
  }
  static void clear() { plan({}); }
  /// No more faults; the counts stay.
  static void disarm() {
    const std::lock_guard guard(state().mutex);
    state().fault = {};
  }
  [[nodiscard]] static std::size_t calls() {
    const std::lock_guard guard(state().mutex);
    return state().calls;
  }
  /// How often the fault struck.
  [[nodiscard]] static std::size_t fired() {
    const std::lock_guard guard(state().mutex);
    return state().fired;
  }

  static IoResult open_folder(const std::filesystem::path& path, Folder& folder) {
    return guarded(IoCall::open_folder, [&] { return Inner::open_folder(path, folder); });
  }
  static IoResult open_subfolder(const Folder& in, const std::string& name, Folder& folder) {
    return guarded(IoCall::open_folder, [&] { return Inner::open_subfolder(in, name, folder); });
  }
  static IoResult make_folder(const std::filesystem::path& path) {
    return guarded(IoCall::make_folder, [&] { return Inner::make_folder(path); });
  }
  static IoResult make_subfolder(const Folder& in, const std::string& name) {
    return guarded(IoCall::make_folder, [&] { return Inner::make_subfolder(in, name); });
  }
  static IoResult create_file(const Folder& in, const std::string& name, File& file) {
    return guarded(IoCall::create_file, [&] { return Inner::create_file(in, name, file); });
  }
  static IoResult open_file(const Folder& in, const std::string& name, File& file) {
    return guarded(IoCall::open_file, [&] { return Inner::open_file(in, name, file); });
  }
  static IoResult open_lock_file(const Folder& in, const std::string& name, File& file) {
    return guarded(IoCall::open_lock_file, [&] { return Inner::open_lock_file(in, name, file); });
  }
  static IoResult describe(const File& file, FolderEntry& entry) {
    return guarded(IoCall::describe, [&] { return Inner::describe(file, entry); });
  }
  static IoResult read_at(const File& file, std::span<std::byte> to, std::uint64_t offset) {
    bool half = false;
    const auto fault = strike(IoCall::read, &half);
    return fault ? *fault : Inner::read_at(file, half ? to.first((to.size() + 1) / 2) : to, offset);
  }
  static IoResult write_at(File& file, ByteSpan from, std::uint64_t offset) {
    bool half = false;
    const auto fault = strike(IoCall::write, &half);
    return fault ? *fault : Inner::write_at(file, half ? from.first((from.size() + 1) / 2) : from, offset);
  }
  static IoResult allocate(File& file, std::uint64_t offset, std::size_t length) {
    return guarded(IoCall::allocate, [&] { return Inner::allocate(file, offset, length); });
  }
  static IoResult sync_file(File& file, SyncSite site) {
    const auto result = guarded(IoCall::sync_file, [&] { return Inner::sync_file(file, site); });
    // What it was to cover is lost where the inner system can tell; an interrupted one did nothing.
    if constexpr (requires { Inner::lose(file); })
      if (!result && result.error != EINTR) Inner::lose(file);
    return result;
  }
  static IoResult sync_folder(const Folder& in, SyncSite site) {
    return reported(IoCall::sync_folder, [&] { return Inner::sync_folder(in, site); });
  }
  static IoResult rename_new(const Folder& in, const std::string& from, const std::string& to) {
    return reported(IoCall::rename, [&] { return Inner::rename_new(in, from, to); });
  }
  static IoResult link(const Folder& in, const std::string& from, const std::string& to) {
    return reported(IoCall::link, [&] { return Inner::link(in, from, to); });
  }
  static IoResult link_from(const Folder& from, const std::string& name, const Folder& to, const std::string& new_name) {
    return reported(IoCall::link, [&] { return Inner::link_from(from, name, to, new_name); });
  }
  static IoResult remove(const Folder& in, const std::string& name) {
    return guarded(IoCall::remove, [&] { return Inner::remove(in, name); });
  }
  static IoResult remove_subfolder(const Folder& in, const std::string& name) {
    return guarded(IoCall::remove, [&] { return Inner::remove_subfolder(in, name); });
  }
  static IoResult list(const Folder& in, std::vector<FolderEntry>& entries) {
    return guarded(IoCall::list, [&] { return Inner::list(in, entries); });
  }
  static IoResult try_lock(File& file) {
    return guarded(IoCall::lock, [&] { return Inner::try_lock(file); });
  }
  static IoResult remote_kind(const Folder& in, std::string& kind) {
    return guarded(IoCall::remote_kind, [&] { return Inner::remote_kind(in, kind); });
  }
  static IoResult map_ro(const File& file, std::size_t length, const MapHints& hints, Mapping& mapping) {
    return guarded(IoCall::map, [&] { return Inner::map_ro(file, length, hints, mapping); });
  }

 private:
  struct State {
    std::mutex mutex;
    Fault fault;
    std::size_t calls = 0;
    std::size_t fired = 0;
  };
  static State& state() {
    static State only;
    return only;
  }
  static std::optional<IoResult> strike(IoCall call, bool* half, bool* performed = nullptr) {
    const std::lock_guard guard(state().mutex);
    const auto& fault = state().fault;
    if (fault.only && *fault.only != call) return std::nullopt;
    ++state().calls;
    const auto calls = state().calls, last = fault.at + (fault.short_first ? 1 : 0);
    if (fault.at == 0 || calls < fault.at || (!fault.for_ever && calls > last)) return std::nullopt;
    const bool moves_half = fault.error == 0 || (fault.short_first && calls == fault.at);
    if (moves_half && half == nullptr) return std::nullopt;
    ++state().fired;
    if (performed != nullptr) *performed = fault.performed;
    if (!moves_half) return IoResult{0, fault.error};
    *half = true;
    return std::nullopt;
  }
  template <class Call>
  static IoResult guarded(IoCall kind, Call&& call) {
    const auto fault = strike(kind, nullptr);
    return fault ? *fault : call();
  }
  template <class Call>
  static IoResult reported(IoCall kind, Call&& call) {
    bool performed = false;
    const auto fault = strike(kind, nullptr, &performed);
    if (fault && !performed) return *fault;
    const auto result = call();
    return fault ? *fault : result;
  }
};

}  // namespace quiver::test
