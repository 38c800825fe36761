// repair(): making a damaged collection open again, and saying first what that costs.
#pragma once

#include <quiver/collection/flush.hpp>
#include <quiver/collection/salvage.hpp>
#include <quiver/storage/file_read.hpp>
#include <quiver/storage/mmap.hpp>

#include <algorithm>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace quiver {
namespace detail {

/// The number behind the last: corruption where there is none.
[[nodiscard]] inline std::uint64_t number_behind(std::uint64_t number, const std::filesystem::path& path) {
  if (number == ~std::uint64_t{0}) fail(Errc::corruption, path, "the name of a file in this folder uses up the last number; move that file elsewhere");
  return number + 1;
}

/// The highest numbers that the names in a store use.
struct UsedNumbers {
  std::uint64_t manifest = 0, log = 0;
  NextNumbers next;

  UsedNumbers(const std::vector<FileInfo>& files, const std::filesystem::path& path) {
    const auto behind = [&path](std::uint64_t& next_number, std::uint64_t number) { next_number = std::max(next_number, number_behind(number, path)); };
    for (const auto& file : files) {
      const auto whole = std::string_view(file.name);
      const auto name = is_temporary_name(whole) ? whole.substr(0, whole.size() - temp_suffix.size()) : whole;
      const auto first = name.substr(0, name.find('/'));
      if (const auto number = parse_manifest_name(first)) manifest = std::max(manifest, *number);
      if (const auto number = parse_log_name(first)) log = std::max(log, *number);
      if (const auto number = parse_run_name(first)) behind(next.run, *number);
      if (const auto number = parse_deletes_name(first)) behind(next.deletes, *number);
      if (const auto segment = parse_segment_folder(first)) behind(next.segment, segment->value);
      if (const auto block = parse_block_name(name)) behind(next.block, block->number);
    }
  }
};

/// Carries a plan out: new files, second names for what the new state does not name, and the new manifest last. REQUIRES: the writer's lock is held.
template <FileSystem FS>
class Repair {
 public:
  using Writing = BasicMMapPolicy<FS>;
  using Reading = BasicFileReadPolicy<FS>;

  Repair(typename Writing::Store& store, const typename Reading::Store& source, const Salvage<Reading>& salvage)
      : store_(store), source_(source), salvage_(salvage), base_(*salvage.plan()->base), files_(store.list()), used_(files_, store.path()) {}

  void run() {
    auto next = next_version();
    auto drafts = draft_flush<Writing>(store_, *salvage_.plan()->rows, next);
    if (!base_.runs_whole) {
      const auto name = run_name(next.next_run++);
      drafts.push_back(store_.create(name));
      next.id_runs.insert(next.id_runs.begin(), {name, write_id_run(drafts.back(), keys())});
    }
    if (next.number == 0 || !find_fault(next).empty()) fail(Errc::corruption, store_.path(), "what is left does not make a version: " + find_fault(next));
    store_.keep_aside(set_aside(next), "damaged-" + padded(next.number, 14));
    store_.publish(std::span(drafts));
    LogWriter<Writing> log(store_, next.store_id, number_behind(std::max(used_.log, next.log.number), store_.path()), next.last_sequence + 1);
    next.log = log.ref();
    publish_manifest<Writing>(store_, next);
    log.mark();
  }

 private:
  /// The version without what is damaged, before the batches behind it are added.
  [[nodiscard]] Version next_version() const {
    const auto& plan = *salvage_.plan();
    auto next = base_.version;
    next.parent = next.number;
    next.number = number_behind(used_.manifest, store_.path());
    next.time = now_microseconds();
    next.library_version = library_version;
    next.continues = false;
    next.retained.clear();
    for (const auto& saved : salvage_.versions())
      if (saved.whole()) next.retained.push_back({saved.version.number, saved.version.time, saved.version.documents, saved.version.continues});
    std::reverse(next.retained.begin(), next.retained.end());

    std::size_t part = 0;
    const auto step = static_cast<std::ptrdiff_t>(1 + next.schema.vectors().size());
    for (auto& segment : next.segments) {
      for (auto block = segment.blocks.begin(); block != segment.blocks.end();)
        block = base_.parts[part++] ? block + step : segment.blocks.erase(block, block + step);
    }
    std::erase_if(next.segments, [](const auto& segment) { return segment.blocks.empty(); });
    if (!base_.runs_whole) next.id_runs.clear();
    next.deletes = {};  // written anew
    next.documents = plan.rows->documents();
    next.last_sequence = std::max(plan.reached, salvage_.highest_sequence());
    next.next_doc_id = std::max(next.next_doc_id + plan.rows->memtable_rows(), salvage_.next_doc_id());
    next.next_segment = std::max(next.next_segment, used_.next.segment);
    next.next_block = std::max(next.next_block, used_.next.block);
    next.next_run = std::max(next.next_run, used_.next.run);
    next.next_deletes = std::max(next.next_deletes, used_.next.deletes);
    return next;
  }
  /// A run of all keys that blocks hold.
  [[nodiscard]] std::vector<std::pair<std::uint64_t, DocId>> keys() const {
    const auto& rows = *salvage_.plan()->rows;
    const auto count = rows.size() - rows.memtable_rows();  // those of the memtable have a run of their own
    std::vector<std::pair<std::uint64_t, DocId>> entries;
    entries.reserve(static_cast<std::size_t>(count));
    auto scope = source_.read_scope();
    for (std::uint64_t row = 0; row < count; ++row, scope.renew()) entries.emplace_back(fingerprint(rows.key(scope, row)), rows.doc_id(scope, row));
    return entries;
  }
  /// What the next open that writes would take for garbage and is not proven to be any.
  [[nodiscard]] std::vector<std::string> set_aside(const Version& next) const {
    std::set<std::string> named, known;
    add_names(next, named);
    for (const auto& saved : salvage_.versions()) {
      add_names(saved.version, known);
      known.insert(saved.lost_indexes.begin(), saved.lost_indexes.end());
      known.insert({manifest_name(saved.version.number), log_name(saved.version.log.number)});
      if (!saved.whole()) continue;
      add_names(saved.version, named);
      named.insert(manifest_name(saved.version.number));
    }
    std::vector<std::string> out;
    for (const auto& file : files_) {
      const bool ours = is_data_file_name(file.name) || parse_manifest_name(file.name) || parse_log_name(file.name);
      if (ours && !named.contains(file.name) && (!salvage_.all_read() || known.contains(file.name))) out.push_back(file.name);
    }
    return out;
  }

  typename Writing::Store& store_;
  const typename Reading::Store& source_;
  const Salvage<Reading>& salvage_;
  const SavedVersion<Reading>& base_;
  std::vector<FileInfo> files_;
  UsedNumbers used_;
};

template <FileSystem FS>
[[nodiscard]] RepairReport repair_store(const std::filesystem::path& path, const RepairOptions& options) {
  using Writing = BasicMMapPolicy<FS>;
  using Reading = BasicFileReadPolicy<FS>;
  const auto source = Reading::open_store(path, {}, OpenMode::read_only);
  std::optional<typename Writing::Store> store;
  std::optional<typename Writing::Lock> lock;
  if (!options.dry_run && !manifest_numbers<Reading>(source).empty()) {
    store.emplace(Writing::open_store(path, {}, OpenMode::read_write));
    lock.emplace(store->lock_for_writing());
  }
  const Salvage<Reading> salvage(source);
  RepairReport report;
  report.problems = salvage.problems();
  if (const auto* plan = salvage.plan()) {
    report.possible = true;
    report.version = plan->base->version.number;
    report.documents_lost = plan->lost;
    report.batches_lost = plan->batches_lost;
    if (store && !report.problems.empty()) Repair<FS>(*store, source, salvage).run();
  }
  return report;
}

}  // namespace detail

/// Looks at every byte of a collection that may be damaged, says what is wrong and what a repair would lose, and, with dry_run = false, makes it one that opens
/// and verifies again: the newest version whose manifest can be read, without the parts whose files are damaged, with the batches that the logs hold behind it,
/// as a new version. An older version takes its place where its logs lead to the same documents with less lost, with the metrics and indexes that it had, which
/// `problems` says. Where nothing is wrong nothing is changed.
///
/// Nothing is deleted: what the new version does not name gets a second name in the folder damaged-<number of the new version>, for whoever can make more of
/// it. possible = false: no manifest can be read, or the file that says what is deleted is lost and nothing makes up for it, or a newer quiver wrote it.
/// Batches of the log that are lost are counted: what they deleted comes back. The new manifest is published last; a crash before leaves the collection as it
/// was.
///
/// not_found: there is no such folder. locked (dry_run = false): a writer has it open; with dry_run no lock is taken, and beside a writer the report may be of
/// a state that is over. no_space, io_error, read_only: nothing was changed. One thread. Reads everything: O(bytes), memory as an open takes and 16 bytes per
/// document where a run of the id map is rebuilt.
/// (A template so that only programs which call it compile it.)
template <class = void>
RepairReport repair(const std::filesystem::path& path, const RepairOptions& options = {}) {
  return detail::repair_store<PosixFileSystem>(path, options);
}

}  // namespace quiver
