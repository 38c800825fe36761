// A file system that gets one thing wrong, and only that: the bug is chosen while the program runs, and the engine above does not know.
#pragma once

#include <quiver/manifest/names.hpp>
#include <quiver/storage/directory.hpp>
#include <quiver/wal/format.hpp>

#include "crash/mutants.hpp"

#include <algorithm>
#include <atomic>
#include <string>
#include <utility>
#include <vector>

namespace quiver::test {

/// Inner, with the chosen mutant. The choice is the process's; with one, for one thread.
template <FileSystem Inner>
class MutantFileSystem {
 public:
  struct File {
    typename Inner::File inner;
    std::filesystem::path path;
    Bytes held{};  // not written yet, though it was said to be
    std::uint64_t held_at = 0;
    bool grown = false, unsynced = false, recovered = false;
  };
  struct Folder {
    typename Inner::Folder inner;
    std::filesystem::path path;
    bool sub = false;
  };
  using Mapping = typename Inner::Mapping;

  static void choose(Mutant mutant) {
    state() = State{};
    chosen() = mutant;
  }
  /// How often the chosen mutant did something wrong.
  [[nodiscard]] static std::uint64_t reached() { return state().reached; }

  // FileSystem.
  static IoResult open_folder(const std::filesystem::path& path, Folder& folder) {
    folder.path = path;
    return Inner::open_folder(path, folder.inner);
  }
  static IoResult open_subfolder(const Folder& in, const std::string& name, Folder& folder) {
    folder.path = in.path / name, folder.sub = true;
    return Inner::open_subfolder(in.inner, name, folder.inner);
  }
  static IoResult make_folder(const std::filesystem::path& path) { return Inner::make_folder(path); }
  static IoResult make_subfolder(const Folder& in, const std::string& name) { return Inner::make_subfolder(in.inner, name); }
  static IoResult create_file(const Folder& in, const std::string& name, File& file) {
    state().drafts.clear();
    auto actual = name;
    if (is(Mutant::manifest_in_place) && is_manifest(name)) actual = final_name(name), hit();
    if (is(Mutant::log_name_synced_before_it_is_made) && is_log(name)) hit(), static_cast<void>(Inner::sync_folder(in.inner, SyncSite::log_name));
    file.path = in.path / actual;
    return Inner::create_file(in.inner, actual, file.inner);
  }
  static IoResult open_file(const Folder& in, const std::string& name, File& file) {
    file.path = in.path / name;
    // The process that has not named a file yet finds it all the same: only a crash shall tell.
    const auto& late = state().late_names;
    const auto found = std::find_if(late.begin(), late.end(), [&](const auto& each) { return each.second == name; });
    return Inner::open_file(in.inner, found == late.end() ? name : found->first, file.inner);
  }
  static IoResult open_lock_file(const Folder& in, const std::string& name, File& file) {
    file.path = in.path / name;
    return Inner::open_lock_file(in.inner, name, file.inner);
  }
  static IoResult describe(const File& file, FolderEntry& entry) {
    const auto result = Inner::describe(file.inner, entry);
    entry.size += file.held.size();
    return result;
  }
  static IoResult read_at(const File& file, std::span<std::byte> to, std::uint64_t offset) { return Inner::read_at(file.inner, to, offset); }
  static IoResult write_at(File& file, ByteSpan from, std::uint64_t offset) {
    const auto name = file.path.filename().string();
    if (is_log(name)) return write_log(file, from, offset);
    const bool changes = (is(Mutant::block_byte_changed) && name.starts_with(detail::block_prefix)) ||
                         (is(Mutant::id_run_byte_changed) && name.starts_with(detail::run_prefix)) ||
                         (is(Mutant::deletes_byte_changed) && name.starts_with(detail::deletes_prefix)) ||
                         (is(Mutant::manifest_byte_changed) && is_manifest(name));
    if (changes) return write_changed(file, from, offset);
    if (is(Mutant::manifest_written_after_its_rename) && is_manifest(name)) return hold(file, from, offset);
    return write(file, from, offset);
  }
  static IoResult allocate(File& file, std::uint64_t offset, std::size_t length) {
    file.grown = offset != 0;
    return Inner::allocate(file.inner, offset, length);
  }
  static IoResult sync_file(File& file, SyncSite site) {
    if (site == SyncSite::log_data && is(Mutant::log_sync_goes_to_the_lock_file)) return sync_lock_file(file, site);
    if (is(Mutant::manifest_sync_goes_to_the_lock_file) && is_manifest(file.path.filename().string())) return sync_lock_file(file, site);
    if (site == SyncSite::draft_data) return sync_draft(file);
    if (site == SyncSite::log_begin && is(Mutant::log_begin_synced_before_it_is_written)) return {};
    if (site == SyncSite::log_begin && is(Mutant::recovered_log_not_synced) && file.recovered) return hit();
    if (site == SyncSite::log_data) {
      if (is(Mutant::batch_acknowledged_before_its_sync)) return file.unsynced = true, hit();
      if (is(Mutant::every_second_sync_does_nothing) && ++state().syncs % 2 == 0) return hit();
      if (is(Mutant::log_growth_not_synced) && std::exchange(file.grown, false)) return hit();
    }
    const auto result = sync(file, site);
    return file.held.empty() || !result ? result : write_held(file);
  }
  static IoResult sync_folder(const Folder& in, SyncSite site) {
    const bool publishes = site == SyncSite::published_name;
    if (publishes) state().drafts.clear();
    if (publishes && is(Mutant::folder_synced_before_the_rename)) return {};
    if (site == SyncSite::log_name && is(Mutant::log_name_synced_before_it_is_made)) return {};
    if (site == SyncSite::log_name && is(Mutant::recovered_log_name_not_synced) && state().log_recovered) return hit();
    if (publishes && !in.sub && is(Mutant::new_folder_not_synced) && state().in_segment) return hit();
    const bool wrong = publishes && is(in.sub ? Mutant::segment_folder_synced_as_the_store : Mutant::store_folder_synced_as_the_one_above);
    if (wrong) {
      hit();
      return sync_path(in.path.parent_path(), site);
    }
    const auto result = Inner::sync_folder(in.inner, site);
    return !result && is(Mutant::failed_folder_sync_believed) ? hit() : result;
  }
  static IoResult rename_new(const Folder& in, const std::string& from, const std::string& to) {
    if (is_manifest(to)) return rename_manifest(in, from, to);
    const bool in_segment = to.find('/') != std::string::npos;
    state().in_segment = state().in_segment || in_segment;
    if ((is(Mutant::block_named_after_the_manifest) && in_segment) || (is(Mutant::id_run_named_after_the_manifest) && to.starts_with(detail::run_prefix)) ||
        (is(Mutant::deletes_named_after_the_manifest) && to.starts_with(detail::deletes_prefix))) {
      state().late_names.emplace_back(from, to);
      return hit();
    }
    return rename(in, from, to);
  }
  static IoResult link(const Folder& in, const std::string& from, const std::string& to) { return Inner::link(in.inner, from, to); }
  static IoResult link_from(const Folder& from, const std::string& name, const Folder& to, const std::string& as) {
    return Inner::link_from(from.inner, name, to.inner, as);
  }
  static IoResult remove(const Folder& in, const std::string& name) {
    if (is(Mutant::nothing_removed)) return hit();
    if ((is(Mutant::newest_log_removed) && is_log(name)) || (is(Mutant::newest_manifest_removed) && is_manifest(name) && name == final_name(name))) {
      const auto all = names(in, is_log(name) ? detail::log_prefix : detail::manifest_prefix);
      if (!all.empty()) return hit(), Inner::remove(in.inner, all.back());
    }
    return Inner::remove(in.inner, name);
  }
  static IoResult remove_subfolder(const Folder& in, const std::string& name) { return Inner::remove_subfolder(in.inner, name); }
  static IoResult list(const Folder& in, std::vector<FolderEntry>& entries) {
    const auto result = Inner::list(in.inner, entries);
    if (!result || !is(Mutant::newest_manifest_not_listed)) return result;
    const auto manifests = names(in, detail::manifest_prefix);
    if (manifests.size() > 1) hit(), std::erase_if(entries, [&](const FolderEntry& entry) { return entry.name == manifests.back(); });
    return result;
  }
  static IoResult try_lock(File& file) {
    // A new writer: what an earlier one left unfinished died with it.
    state().drafts.clear(), state().late_names.clear(), state().late_syncs.clear();
    const auto result = Inner::try_lock(file.inner);
    return result.error == EAGAIN && is(Mutant::lock_granted_to_all) ? hit() : result;
  }
  static IoResult remote_kind(const Folder& in, std::string& kind) { return Inner::remote_kind(in.inner, kind); }
  static IoResult map_ro(const File& file, std::size_t length, const MapHints& hints, Mapping& mapping) {
    return Inner::map_ro(file.inner, length, hints, mapping);
  }

 private:
  struct State {
    std::uint64_t reached = 0, syncs = 0;
    bool in_segment = false;      // a file in a folder was published since the last manifest
    bool log_recovered = false;   // the last log that was begun holds what another one held
    std::vector<File*> drafts{};  // synced, or said to be, since the last one was made
    std::vector<std::pair<std::string, std::string>> late_names{};
    std::vector<std::filesystem::path> late_syncs{};
  };
  static State& state() {
    static State only;
    return only;
  }
  static std::atomic<Mutant>& chosen() {
    static std::atomic<Mutant> only{Mutant::none};
    return only;
  }
  [[nodiscard]] static bool is(Mutant mutant) { return chosen().load(std::memory_order_relaxed) == mutant; }
  /// Success, though something was wrong.
  static IoResult hit() { return ++state().reached, IoResult{}; }

  static bool is_log(std::string_view name) { return name.starts_with(detail::log_prefix); }
  static bool is_manifest(std::string_view name) { return name.starts_with(detail::manifest_prefix); }
  static std::string final_name(std::string name) {
    if (name.ends_with(detail::temp_suffix)) name.resize(name.size() - detail::temp_suffix.size());
    return name;
  }
  /// The published names in a folder that begin so, in order.
  static Strings names(const Folder& in, std::string_view prefix) {
    std::vector<FolderEntry> entries;
    Strings out;
    (void)Inner::list(in.inner, entries);
    for (const auto& entry : entries)
      if (entry.name.starts_with(prefix) && entry.name == final_name(entry.name)) out.push_back(entry.name);
    std::sort(out.begin(), out.end());
    return out;
  }
  static IoResult sync_path(const std::filesystem::path& path, SyncSite site) {
    typename Inner::Folder folder;
    const auto opened = Inner::open_folder(path, folder);
    return opened ? Inner::sync_folder(folder, site) : opened;
  }

  /// Another file that this writer has open: the right call with the wrong descriptor.
  static IoResult sync_lock_file(const File& instead_of, SyncSite site) {
    typename Inner::Folder folder;
    typename Inner::File other;
    if (const auto result = Inner::open_folder(instead_of.path.parent_path(), folder); !result) return result;
    if (const auto result = Inner::open_file(folder, "LOCK", other); !result) return result;
    return hit(), Inner::sync_file(other, site);
  }

  static IoResult write(File& file, ByteSpan from, std::uint64_t offset) {
    if (is(Mutant::short_write_believed) && from.size() > 1) {
      hit();
      const auto half = Inner::write_at(file.inner, from.first(from.size() / 2), offset);
      return half ? IoResult{from.size(), 0} : half;
    }
    const auto result = Inner::write_at(file.inner, from, offset);
    return !result && is(Mutant::write_error_believed) ? (hit(), IoResult{from.size(), 0}) : result;
  }
  static IoResult write_changed(File& file, ByteSpan from, std::uint64_t offset) {
    Bytes bytes(from.begin(), from.end());
    bytes[bytes.size() / 2] ^= std::byte{0x10};
    return hit(), Inner::write_at(file.inner, bytes, offset);
  }
  static IoResult hold(File& file, ByteSpan from, std::uint64_t offset) {
    if (file.held.empty()) file.held_at = offset;
    file.held.insert(file.held.end(), from.begin(), from.end());
    return hit(), IoResult{from.size(), 0};
  }
  static IoResult write_held(File& file) {
    const auto bytes = std::exchange(file.held, {});
    auto result = Inner::write_at(file.inner, bytes, file.held_at);
    result.count = 0;
    return result;
  }
  static IoResult write_log(File& file, ByteSpan from, std::uint64_t offset) {
    const bool begins = offset == 0, record = !begins && from.size() > detail::wal_mark_size;
    if (begins) state().log_recovered = file.recovered = from.size() > detail::wal_header_size + detail::wal_mark_size;
    if (begins && is(Mutant::log_begin_synced_before_it_is_written)) hit(), static_cast<void>(Inner::sync_file(file.inner, SyncSite::log_begin));
    if (record && std::exchange(file.unsynced, false)) static_cast<void>(Inner::sync_file(file.inner, SyncSite::log_data));
    if (record && is(Mutant::log_byte_changed)) return write_changed(file, from, offset);
    if (record && is(Mutant::log_synced_before_it_is_written)) return hold(file, from, offset);
    if (record && is(Mutant::log_synced_by_half)) {
      if (!file.held.empty()) static_cast<void>(write_held(file));
      const auto half = from.size() / 2;
      const auto result = write(file, from.first(half), offset);
      return result ? (void(hold(file, from.subspan(half), offset + half)), IoResult{from.size(), 0}) : result;
    }
    return write(file, from, offset);
  }

  static IoResult sync(File& file, SyncSite site) {
    auto result = Inner::sync_file(file.inner, site);
    if (result) return result;
    if (result.error == EINTR) return is(Mutant::interrupted_sync_believed) ? hit() : result;
    if (is(Mutant::failed_sync_retried)) hit(), result = Inner::sync_file(file.inner, site);
    return is(Mutant::failed_sync_believed) ? hit() : result;
  }
  static IoResult sync_draft(File& file) {
    const bool manifest = is_manifest(file.path.filename().string());
    auto& drafts = state().drafts;
    drafts.push_back(&file);
    if (is(Mutant::only_the_first_draft_synced)) {
      if (drafts.size() > 1) hit();
      return sync(*drafts.front(), SyncSite::draft_data);
    }
    if (is(Mutant::last_draft_not_synced) && !manifest) return drafts.size() > 1 ? sync(*drafts[drafts.size() - 2], SyncSite::draft_data) : hit();
    if (is(Mutant::data_synced_after_its_rename)) return hit();
    if (is(Mutant::data_synced_after_the_manifest) && !manifest) return state().late_syncs.push_back(file.path), hit();
    return sync(file, SyncSite::draft_data);
  }
  static IoResult rename(const Folder& in, const std::string& from, const std::string& to) {
    if (is(Mutant::folder_synced_before_the_rename)) {
      hit();
      if (to.find('/') != std::string::npos) static_cast<void>(sync_path((in.path / to).parent_path(), SyncSite::published_name));
      static_cast<void>(Inner::sync_folder(in.inner, SyncSite::published_name));
    }
    if (is(Mutant::rename_by_copy)) return copy(in, from, to);
    const auto result = Inner::rename_new(in.inner, from, to);
    if (!result) return result.error == EIO && is(Mutant::failed_rename_believed) ? hit() : result;
    for (auto* draft : state().drafts) {
      if (draft->path != in.path / from) continue;
      if (!draft->held.empty()) static_cast<void>(write_held(*draft)), static_cast<void>(Inner::sync_file(draft->inner, SyncSite::draft_data));
      if (is(Mutant::data_synced_after_its_rename)) static_cast<void>(Inner::sync_file(draft->inner, SyncSite::draft_data));
    }
    return result;
  }
  static IoResult rename_manifest(const Folder& in, const std::string& from, const std::string& to) {
    state().in_segment = false;
    if (is(Mutant::manifest_in_place)) return hit();
    const auto remove_old = [&](std::string_view prefix, std::size_t keep) {
      const auto all = names(in, prefix);
      for (std::size_t i = 0; i + keep < all.size(); ++i) hit(), static_cast<void>(Inner::remove(in.inner, all[i]));
    };
    if (is(Mutant::old_manifest_removed_too_early)) remove_old(detail::manifest_prefix, 0);
    if (is(Mutant::old_log_removed_too_early)) remove_old(detail::log_prefix, 1);
    if (is(Mutant::old_deletes_removed_too_early)) remove_old(detail::deletes_prefix, 1);
    const auto result = rename(in, from, to);
    for (const auto& [temp, name] : std::exchange(state().late_names, {})) {
      static_cast<void>(Inner::rename_new(in.inner, temp, name));
      if (name.find('/') != std::string::npos) static_cast<void>(sync_path((in.path / name).parent_path(), SyncSite::published_name));
    }
    for (const auto& path : std::exchange(state().late_syncs, {})) {
      typename Inner::File file;
      const auto name = final_name(path.lexically_relative(in.path).string());
      if (Inner::open_file(in.inner, name, file)) static_cast<void>(Inner::sync_file(file, SyncSite::draft_data));
    }
    return result;
  }
  static IoResult copy(const Folder& in, const std::string& from, const std::string& to) {
    typename Inner::File source, target;
    FolderEntry entry;
    if (const auto result = Inner::open_file(in.inner, from, source); !result) return result;
    if (const auto result = Inner::describe(source, entry); !result) return result;
    Bytes bytes(static_cast<std::size_t>(entry.size));
    if (const auto result = Inner::read_at(source, bytes, 0); !result) return result;
    if (const auto result = Inner::create_file(in.inner, to, target); !result) return result;
    if (const auto result = Inner::write_at(target, bytes, 0); !result) return result;
    return hit(), Inner::remove(in.inner, from);
  }
};

}  // namespace quiver::test
