// Checking a whole collection: every manifest, file and reference.
#pragma once

#include <quiver/collection/recovery.hpp>

#include <set>
#include <string>
#include <utility>

namespace quiver::detail {

/// Collects what is wrong instead of stopping at the first problem.
template <StoragePolicy P>
class Verifier {
 public:
  Verifier(const typename P::Store& store, VerifyLevel level) : store_(store), level_(level) {}

  /// Looks at every retained version, from the newest. What a writer removes meanwhile, because it keeps that version no longer, is no problem.
  [[nodiscard]] VerifyReport run() {
    std::optional<std::uint64_t> first;
    guarded(store_.path(), [&] {
      first = found_numbers<P>(store_).newest();
      if (!first) fail(Errc::not_found, store_.path(), "there is no collection here");
      const auto newest = check_version(*first);
      if (!newest) return;
      for (const auto& older : newest->retained) check_version(older.number, &newest->store_id);
      if (newest->log.number != 0) check_log(*newest);
    });
    if (first && !report_.problems.empty()) forget_pruned(*first);
    return std::move(report_);
  }

 private:
  /// Problems of files that no version names any more; `first` was the newest when the look at them began.
  void forget_pruned(std::uint64_t first) {
    for (;;) {
      const auto newest = settled_numbers<P>(store_).newest();
      if (!newest || newest == first) return;
      try {
        const auto names = names_of(*newest);
        std::erase_if(report_.problems, [&](const Problem& problem) {
          const auto name = problem.path.lexically_relative(store_.path()).generic_string();
          const bool ours = is_data_file_name(name) || parse_manifest_name(name) || parse_log_name(name);
          return ours && !names.contains(name);
        });
        return;
      } catch (const Error&) {
        if (store_numbers<P>(store_).newest() == newest) return;
      }
    }
  }
  [[nodiscard]] std::set<std::string> names_of(std::uint64_t newest) const {
    const auto version = read_manifest<P>(store_, newest).version;
    std::set<std::string> names{manifest_name(newest), log_name(version.log.number)};
    add_names(version, names);
    for (const auto& older : version.retained) {
      names.insert(manifest_name(older.number));
      add_names(read_manifest<P>(store_, older.number).version, names);
    }
    return names;
  }
  template <class Check>
  void guarded(const std::filesystem::path& path, Check&& check) {
    try {
      check();
    } catch (const Error& e) {
      report_.problems.push_back({e.code(), e.path().empty() ? path : e.path(), e.offset(), e.what()});
    }
  }
  std::optional<Version> check_version(std::uint64_t number, const FileId* store_id = nullptr) {
    std::optional<Version> out;
    guarded(store_.path() / manifest_name(number), [&] {
      ++report_.files;
      auto manifest = read_manifest<P>(store_, number);
      report_.bytes += manifest.bytes;
      if (store_id != nullptr && manifest.version.store_id != *store_id)
        fail(Errc::corruption, store_.path() / manifest_name(number), "this manifest belongs to another collection; restore the file from a backup");
      out = std::move(manifest.version);
    });
    if (out) check_files(*out);
    return out;
  }
  /// The log, record by record.
  void check_log(const Version& version) {
    const auto path = store_.path() / log_name(version.log.number);
    guarded(path, [&] {
      ++report_.files;
      const auto log = read_log<P>(store_, version);
      report_.bytes += wal_header_size + log.bytes.size();
      if (level_ != VerifyLevel::full) return;
      Memtable rows(version.schema, DocId{version.next_doc_id});
      (void)replay(log, rows, version, path, [](DocId) { return true; });
    });
    guarded(path, [&] {
      // Beside a writer there may be a newer one by now.
      if (later_log_in_use<P>(store_, version) && store_numbers<P>(store_).newest() == version.number) require_newest<P>(store_, version);
    });
  }
  void check_files(const Version& version) {
    std::vector<std::shared_ptr<const Part<P>>> parts;
    bool whole = true;
    for (const auto& segment : version.segments) {
      for (const auto& files : part_files(version.schema, segment)) {
        const auto problems = report_.problems.size();
        check_block(files.scalar, BlockKind::scalar, files.holds(version.schema));
        for (std::size_t i = 0; i < files.vectors.size(); ++i) {
          check_block(files.vectors[i], BlockKind::vector_index, files.holds(version.schema, i));
          if (!files.graphs[i].name.empty()) check_block(files.graphs[i], BlockKind::vector_graph, holds_links);
          if (!files.codes[i].name.empty()) check_block(files.codes[i], BlockKind::vector_quant, holds_links);
        }
        whole = whole && report_.problems.size() == problems;
        if (whole) guarded(files.scalar.name, [&] { parts.push_back(std::make_shared<const Part<P>>(store_, version.schema, files)); });
        whole = whole && report_.problems.size() == problems;
      }
    }
    for (const auto& run : version.id_runs) whole = check_block(run, BlockKind::id_run, holds_keys) && whole;
    if (const auto& deletes = version.deletes.file; !deletes.name.empty()) whole = check_block(deletes, BlockKind::deletes, holds_deletes) && whole;
    if (whole && level_ == VerifyLevel::full) check_keys(version, std::move(parts));
  }
  /// One file by itself; each is looked at once, however many versions name it. `holds` says what depends on it.
  bool check_block(const FileRef& file, BlockKind kind, const std::string& holds) {
    if (!seen_.insert(file.name).second) return !broken_.contains(file.name);
    const auto problems = report_.problems.size();
    guarded(store_.path() / file.name, [&] {
      ++report_.files;
      report_.bytes += file.identity.length;
      auto scope = store_.read_scope();
      const Block<typename P::Reader> block(open_named_file<P>(store_, file), scope, file.identity, kind);
      if (level_ == VerifyLevel::full) block.verify(scope);
    });
    if (report_.problems.size() == problems) return true;
    report_.problems.back().what += holds;
    broken_.insert(file.name);
    return false;
  }
  /// Every document's key must lead back to it through the id runs, every column must decode, and as many rows must be deleted as the manifest says.
  void check_keys(const Version& version, typename Rows<P>::Parts parts) {
    guarded(store_.path(), [&] {
      auto scope = store_.read_scope();
      std::vector<std::unique_ptr<const IdRun<typename P::Reader>>> runs;
      for (const auto& file : version.id_runs)
        runs.push_back(std::make_unique<const IdRun<typename P::Reader>>(open_named_file<P>(store_, file), scope, file.identity));
      const Projection all(version.schema, {}, true);
      DeleteSet deletes;
      if (const auto& file = version.deletes.file; !file.name.empty()) deletes = read_deletes(open_named_file<P>(store_, file), scope, file.identity);
      const Rows<P> rows(std::move(parts), nullptr, {}, deletes, version.deletes.count);
      std::uint64_t deleted = 0;
      for (std::uint64_t ordinal = 0; ordinal < rows.size(); ++ordinal) {
        scope.renew();
        const auto document = rows.read(scope, version.schema, all, ordinal);
        if (deletes.contains(document.id())) {
          ++deleted;
          continue;
        }
        const auto print = fingerprint(document.key());
        // As a fetch looks for it: the newest row with the key.
        std::optional<DocId> found;
        for (auto run = runs.rbegin(); run != runs.rend() && !found; ++run)
          (*run)->find(scope, print, [&](DocId id) {
            const auto at = rows.find(scope, id);
            if (!at || rows.key(scope, *at) != document.key()) return false;
            found = id;
            return true;
          });
        if (found != document.id())
          fail(Errc::corruption, store_.path(),
               "the id runs of version " + std::to_string(version.number) + " do not lead from key '" + document.key() + "' to document " +
                   std::to_string(document.id().value));
      }
      if (deleted != version.deletes.count)
        fail(Errc::corruption, store_.path() / manifest_name(version.number),
             std::to_string(deleted) + " documents are deleted, the manifest counts " + std::to_string(version.deletes.count));
    });
  }

  const typename P::Store& store_;
  VerifyLevel level_;
  VerifyReport report_;
  std::set<std::string> seen_, broken_;
};

}  // namespace quiver::detail
