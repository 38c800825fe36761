// The bugs that the crash harness must find, each with the script that finds it soonest.
#pragma once

#include <array>
#include <cerrno>
#include <cstdint>
#include <string_view>

namespace quiver::test {

/// A way to do the storage protocol wrongly; mutant_file_system.hpp does them.
enum class Mutant : std::uint8_t {
  none,
  // Publishing.
  manifest_in_place,
  rename_by_copy,
  data_synced_after_its_rename,
  data_synced_after_the_manifest,
  only_the_first_draft_synced,
  last_draft_not_synced,
  manifest_written_after_its_rename,
  block_named_after_the_manifest,
  id_run_named_after_the_manifest,
  deletes_named_after_the_manifest,
  folder_synced_before_the_rename,
  segment_folder_synced_as_the_store,
  store_folder_synced_as_the_one_above,
  new_folder_not_synced,
  // The log.
  log_synced_before_it_is_written,
  log_synced_by_half,
  batch_acknowledged_before_its_sync,
  every_second_sync_does_nothing,
  log_growth_not_synced,
  log_sync_goes_to_the_lock_file,
  manifest_sync_goes_to_the_lock_file,
  log_begin_synced_before_it_is_written,
  log_name_synced_before_it_is_made,
  recovered_log_not_synced,
  recovered_log_name_not_synced,
  // Removing and finding.
  old_manifest_removed_too_early,
  old_log_removed_too_early,
  old_deletes_removed_too_early,
  newest_log_removed,
  newest_manifest_removed,
  nothing_removed,
  newest_manifest_not_listed,
  lock_granted_to_all,
  // Errors and bytes.
  write_error_believed,
  short_write_believed,
  failed_sync_believed,
  failed_sync_retried,
  interrupted_sync_believed,
  failed_folder_sync_believed,
  failed_rename_believed,
  log_byte_changed,
  block_byte_changed,
  id_run_byte_changed,
  deletes_byte_changed,
  manifest_byte_changed
};

/// A mutant, and what to try first: all crashes of a script, or with an error every call of it failing so, once. EAGAIN: two writers at once.
struct MutantCase {
  Mutant mutant{};
  std::string_view name, script;
  int error = 0;
};

// clang-format off
#define QUIVER_MUTANT(name, ...) MutantCase{Mutant::name, #name, __VA_ARGS__}
inline constexpr std::array mutant_cases{
    QUIVER_MUTANT(manifest_in_place, "s"),
    QUIVER_MUTANT(rename_by_copy, "s"),
    QUIVER_MUTANT(data_synced_after_its_rename, "s"),
    QUIVER_MUTANT(data_synced_after_the_manifest, "sf"),
    QUIVER_MUTANT(only_the_first_draft_synced, "sf"),
    QUIVER_MUTANT(last_draft_not_synced, "sf"),
    QUIVER_MUTANT(manifest_written_after_its_rename, "s"),
    QUIVER_MUTANT(block_named_after_the_manifest, "sf"),
    QUIVER_MUTANT(id_run_named_after_the_manifest, "sf"),
    QUIVER_MUTANT(deletes_named_after_the_manifest, "sfdf"),
    QUIVER_MUTANT(folder_synced_before_the_rename, "s"),
    QUIVER_MUTANT(segment_folder_synced_as_the_store, "sf"),
    QUIVER_MUTANT(store_folder_synced_as_the_one_above, "s"),
    QUIVER_MUTANT(new_folder_not_synced, "sf"),
    QUIVER_MUTANT(log_synced_before_it_is_written, "s"),
    QUIVER_MUTANT(log_synced_by_half, "s"),
    QUIVER_MUTANT(batch_acknowledged_before_its_sync, "s"),
    QUIVER_MUTANT(every_second_sync_does_nothing, "ss"),
    QUIVER_MUTANT(log_growth_not_synced, "SSSSSSS"),
    QUIVER_MUTANT(log_sync_goes_to_the_lock_file, "s"),
    QUIVER_MUTANT(manifest_sync_goes_to_the_lock_file, "s"),
    QUIVER_MUTANT(log_begin_synced_before_it_is_written, "s"),
    QUIVER_MUTANT(log_name_synced_before_it_is_made, "s"),
    QUIVER_MUTANT(recovered_log_not_synced, "bk"),
    QUIVER_MUTANT(recovered_log_name_not_synced, "bk"),
    QUIVER_MUTANT(old_manifest_removed_too_early, "s"),
    QUIVER_MUTANT(old_log_removed_too_early, "sf"),
    QUIVER_MUTANT(old_deletes_removed_too_early, "sfdfdf"),
    QUIVER_MUTANT(newest_log_removed, "sfsf"),
    QUIVER_MUTANT(newest_manifest_removed, "sfksf"),
    QUIVER_MUTANT(nothing_removed, "bk"),
    QUIVER_MUTANT(newest_manifest_not_listed, "sf"),
    QUIVER_MUTANT(lock_granted_to_all, "", EAGAIN),
    QUIVER_MUTANT(write_error_believed, "sf", EIO),
    QUIVER_MUTANT(short_write_believed, "s"),
    QUIVER_MUTANT(failed_sync_believed, "s", EIO),
    QUIVER_MUTANT(failed_sync_retried, "s", EIO),
    QUIVER_MUTANT(interrupted_sync_believed, "s", EINTR),
    QUIVER_MUTANT(failed_folder_sync_believed, "sf", EIO),
    QUIVER_MUTANT(failed_rename_believed, "sf", EIO),
    QUIVER_MUTANT(log_byte_changed, "s"),
    QUIVER_MUTANT(block_byte_changed, "sf"),
    QUIVER_MUTANT(id_run_byte_changed, "sf"),
    QUIVER_MUTANT(deletes_byte_changed, "sfdf"),
    QUIVER_MUTANT(manifest_byte_changed, "s")};
#undef QUIVER_MUTANT
// clang-format on

}  // namespace quiver::test
