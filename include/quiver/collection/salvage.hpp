// What can be saved of a damaged collection: which manifests, files and records are whole, and the state that loses least. Reads only.
#pragma once

#include <quiver/collection/recovery.hpp>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace quiver::detail {

/// A version of which the manifest could be read, and which of its files are whole.
template <StoragePolicy P>
struct SavedVersion {
  Version version;
  std::vector<std::shared_ptr<const Part<P>>> parts;  // in order; null where a file of the part is damaged
  bool runs_whole = true;
  bool deletes_whole = true;
  std::vector<std::string> lost_indexes;  // damaged graphs and codes; `version` does not name them any more
  DeleteSet deletes;

  [[nodiscard]] bool parts_whole() const noexcept {
    return std::all_of(parts.begin(), parts.end(), [](const auto& part) { return part != nullptr; });
  }
  [[nodiscard]] bool whole() const noexcept { return runs_whole && deletes_whole && lost_indexes.empty() && parts_whole(); }
};

/// The state that a repair makes: a version without its damaged parts, and the batches behind it.
template <StoragePolicy P>
struct RepairPlan {
  const SavedVersion<P>* base = nullptr;
  std::shared_ptr<const Rows<P>> rows;  // with the batches
  std::uint64_t lost = 0;
  std::uint64_t reached = 0;       // the sequence of the last batch
  std::uint64_t batches_lost = 0;  // behind it
};

/// Looks at everything in a store and decides. Errors that are neither damage nor absence pass through. One thread, one use.
template <StoragePolicy P>
class Salvage {
 public:
  explicit Salvage(const typename P::Store& store) : store_(store) {
    look_at_manifests();
    if (blocked_ || saved_.empty()) return;
    look_at_logs();
    choose();
  }

  [[nodiscard]] const std::vector<Problem>& problems() const noexcept { return problems_; }
  /// Null: there is no way that does not lose more than it says.
  [[nodiscard]] const RepairPlan<P>* plan() const noexcept { return plan_ ? &*plan_ : nullptr; }
  /// Of the versions that the newest readable manifest lists, the newest first.
  [[nodiscard]] const std::vector<SavedVersion<P>>& versions() const noexcept { return saved_; }
  /// The newest manifest and all that it lists could be read: what none of them names is garbage.
  [[nodiscard]] bool all_read() const noexcept { return all_read_; }
  /// The highest sequence and document id that were ever given, as far as anything tells.
  [[nodiscard]] std::uint64_t highest_sequence() const noexcept { return highest_; }
  [[nodiscard]] std::uint64_t next_doc_id() const noexcept { return next_doc_id_; }

 private:
  struct Batch {
    ByteSpan payload;
    const std::filesystem::path* path = nullptr;
    std::uint64_t offset = 0;
  };
  struct Log {
    std::filesystem::path path;
    Bytes bytes;
  };

  void problem(Errc code, const std::filesystem::path& path, std::string what, std::optional<std::uint64_t> offset = {}) {
    problems_.push_back({code, path, offset, std::move(what)});
  }
  /// True if check() found nothing wrong. Damage becomes a problem, a newer format one that no repair may touch; all else is not ours to judge.
  template <class Check>
  bool guarded(const std::filesystem::path& path, Check&& check) {
    try {
      check();
      return true;
    } catch (const Error& e) {
      if (e.code() != Errc::corruption && e.code() != Errc::not_found && e.code() != Errc::version_mismatch) throw;
      blocked_ = blocked_ || e.code() == Errc::version_mismatch;
      problem(e.code(), e.path().empty() ? path : e.path(), e.what(), e.offset());
      return false;
    }
  }
  [[nodiscard]] std::optional<Version> manifest(std::uint64_t number) {
    std::optional<Version> out;
    guarded(store_.path() / manifest_name(number), [&] { out = read_manifest<P>(store_, number).version; });
    return out;
  }

  void look_at_manifests() {
    const auto numbers = manifest_numbers<P>(store_);
    if (numbers.empty())
      guarded(store_.path(), [&] {
        require_no_orphans<P>(store_);
        fail(Errc::not_found, store_.path(), "there is no collection here");
      });
    for (auto number = numbers.rbegin(); number != numbers.rend() && saved_.empty() && !blocked_; ++number)
      if (auto version = manifest(*number)) add(std::move(*version));
    if (saved_.empty() || blocked_) return;
    const auto newest = saved_.front().version;
    const bool gone = newest.number == numbers.back() && newest.log.number != 0 && later_log_in_use<P>(store_, newest);
    newest_read_ = all_read_ = newest.number == numbers.back() && !gone;
    if (!newest.writable()) {
      blocked_ = true;
      return problem(Errc::version_mismatch, store_.path(), "a newer quiver wrote this collection; repair it with that one");
    }
    if (!newest_read_)
      problem(Errc::corruption, store_.path() / manifest_name(gone ? newest.number + 1 : numbers.back()),
              "the newest manifest is " + std::string(gone ? "gone" : "damaged") +
                  "; what it changed besides documents (a schema, a rollback) is not known, version " + std::to_string(newest.number) +
                  " and the logs behind it are");
    for (auto older = newest.retained.rbegin(); older != newest.retained.rend(); ++older) {
      // One that the lost manifest had pruned is not missed.
      if (!newest_read_ && !std::binary_search(numbers.begin(), numbers.end(), older->number)) continue;
      auto version = manifest(older->number);
      all_read_ = all_read_ && version.has_value();
      if (version && version->store_id == newest.store_id)
        add(std::move(*version));
      else if (version)
        problem(Errc::corruption, store_.path() / manifest_name(older->number), "this manifest belongs to another collection; restore the file from a backup");
    }
  }
  void add(Version version) {
    SavedVersion<P> saved;
    // Searches go without a graph or codes that are damaged, and the next optimize() builds others.
    const auto keep = [&](FileRef& file, BlockKind kind, auto&& opened) {
      if (file.name.empty() || block(file, kind, holds_links, opened)) return;
      saved.lost_indexes.push_back(file.name);
      file = {};
    };
    for (auto& segment : version.segments)
      for (auto& each : segment.blocks) {
        const auto* const field = version.schema.find_vector(each.field);
        if (each.type != BlockType::vector_index || field == nullptr) continue;
        keep(each.graph, BlockKind::vector_graph,
             [&](auto reader, auto& scope) { typename Part<P>::Graph(std::move(reader), scope, each.graph.identity, each.rows); });
        keep(each.codes, BlockKind::vector_quant, [&](auto reader, auto& scope) {
          typename Part<P>::Codes(std::move(reader), scope, each.codes.identity, field->metric(), field->dimension(), each.rows);
        });
      }
    for (const auto& segment : version.segments)
      for (const auto& files : part_files(version.schema, segment)) {
        bool whole = block(files.scalar, BlockKind::scalar, files.holds(version.schema));
        for (std::size_t i = 0; i < files.vectors.size(); ++i)
          whole = block(files.vectors[i], BlockKind::vector_index, files.holds(version.schema, i)) && whole;
        auto& part = saved.parts.emplace_back();
        if (whole) guarded(store_.path() / files.scalar.name, [&] { part = std::make_shared<const Part<P>>(store_, version.schema, files); });
      }
    for (const auto& run : version.id_runs) saved.runs_whole = block(run, BlockKind::id_run, holds_keys) && saved.runs_whole;
    if (const auto& file = version.deletes.file; !file.name.empty()) {
      saved.deletes_whole = block(file, BlockKind::deletes, holds_deletes) && guarded(store_.path() / file.name, [&] {
                              auto scope = store_.read_scope();
                              saved.deletes = read_deletes(open_named_file<P>(store_, file), scope, file.identity);
                            });
    }
    next_doc_id_ = std::max(next_doc_id_, version.next_doc_id);
    highest_ = std::max(highest_, version.last_sequence);
    saved.version = std::move(version);
    saved_.push_back(std::move(saved));
  }
  bool block(const FileRef& file, BlockKind kind, const std::string& holds) {
    return block(file, kind, holds, [](const auto&, const auto&) {});
  }
  /// A file by itself, every byte, and then whether it can be opened as what it is to be; looked at once, however many versions name it. `holds` says what
  /// depends on it.
  template <class Opened>
  bool block(const FileRef& file, BlockKind kind, const std::string& holds, Opened&& opened) {
    const auto [known, is_new] = blocks_.emplace(file.name, true);
    if (is_new) {
      known->second = guarded(store_.path() / file.name, [&] {
        auto scope = store_.read_scope();
        Block<typename P::Reader>(open_named_file<P>(store_, file), scope, file.identity, kind).verify(scope);
        opened(open_named_file<P>(store_, file), scope);
      });
      if (!known->second) problems_.back().what += holds;
    }
    return known->second;
  }

  /// What the logs hold, by sequence: those that a readable manifest names, and, where the newest manifest cannot be read, those behind them.
  void look_at_logs() {
    const auto& newest = saved_.front().version;
    for (const auto& file : store_.list()) {
      const auto number = parse_log_name(file.name);
      if (!number) continue;
      const auto owner = std::find_if(saved_.begin(), saved_.end(), [&](const auto& saved) { return saved.version.log.number == *number; });
      if (owner == saved_.end() && (newest_read_ || *number < newest.log.number)) continue;
      look_at_log(file.name, *number, owner == saved_.end() ? nullptr : &owner->version);
    }
    if (newest.log.number != 0 && !logs_.contains(log_name(newest.log.number)))
      problem(Errc::corruption, store_.path() / log_name(newest.log.number),
              "the log of version " + std::to_string(newest.number) + " is not there; what was written after that version is lost, nobody can say how much");
  }
  void look_at_log(const std::string& name, std::uint64_t number, const Version* owner) {
    auto& log = logs_[name];
    log.path = store_.path() / name;
    std::optional<WalHeader> header;
    const bool needed = owner == nullptr || owner == &saved_.front().version;
    guarded_if(needed, log.path, [&] {
      const auto reader = store_.read_log(name);
      log.bytes.resize(static_cast<std::size_t>(reader.size()));
      reader.read(0, log.bytes);
      const auto found = decode_wal_header(log.bytes, log.path);
      const bool owned = owner == nullptr || (found.id == owner->log.id && found.first_sequence == owner->last_sequence + 1);
      if (found.store != saved_.front().version.store_id || found.number != number || !owned)
        fail(Errc::corruption, log.path, 16, "this is not the log of this collection that belongs here");
      header = found;
    });
    // A manifest knows all that the header says.
    if (!header && owner != nullptr) header = WalHeader{owner->log.id, owner->store_id, number, owner->last_sequence + 1};
    if (!header || log.bytes.size() < wal_header_size) return;
    if (header->first_sequence > 1) highest_ = std::max(highest_, header->first_sequence - 1);
    bool twin = false;
    const auto take = [&](std::uint64_t sequence, ByteSpan payload) {
      if (twin) return;
      const Batch batch{payload, &log.path, static_cast<std::uint64_t>(payload.data() - log.bytes.data())};
      const auto [there, is_new] = batches_.emplace(sequence, batch);
      // A batch that is in two logs was copied from one to the other.
      twin = !is_new && !std::equal(payload.begin(), payload.end(), there->second.payload.begin(), there->second.payload.end());
      if (twin)
        problem(Errc::corruption, log.path, "batch " + std::to_string(sequence) + " is another one in the log before; this log was left out", batch.offset);
      else
        highest_ = std::max(highest_, sequence);
    };
    if (!guarded_if(needed, log.path, [&] { static_cast<void>(scan_wal(log.bytes, *header, log.path, take)); }))
      take_what_verifies(log.bytes, header->id, take);
  }
  /// The log of an older version is a help; without it nothing is wrong.
  template <class Check>
  bool guarded_if(bool needed, const std::filesystem::path& path, Check&& check) {
    const auto before = problems_.size();
    const bool blocked = blocked_;
    const bool fine = guarded(path, check);
    if (!needed) problems_.resize(before), blocked_ = blocked;
    return fine;
  }
  /// Every record of a damaged log that verifies where it lies.
  template <class Take>
  void take_what_verifies(ByteSpan file, FileId id, Take&& take) {
    for (std::uint64_t at = wal_header_size; at < file.size();) {
      const auto record = wal_record_at(file, id, at);
      const auto payload = record && !record->mark ? wal_payload_at(file, id, at, record->length) : std::nullopt;
      if (payload) take(record->sequence, *payload);
      if (record) highest_ = std::max(highest_, record->sequence);
      at += payload ? wal_record_size(record->length) : wal_alignment;
    }
  }

  void choose() {
    for (const auto& saved : saved_) {
      if (auto plan = plan_from(saved); plan && (!plan_ || plan->lost < plan_->lost)) plan_ = std::move(plan);
      if (plan_ && plan_->lost == 0) break;
    }
    const auto& newest = saved_.front();
    for (const auto& [sequence, batch] : batches_) {
      try {
        WalRow row;
        decode_wal_rows(
            batch.payload, newest.version.schema, *batch.path, batch.offset, row, [&](const WalRow& put) { seen(put.id()); }, [](DocId) {});
      } catch (const Error&) {
        // A schema that the newest readable manifest does not have; its ids are in blocks, if anywhere.
      }
    }
    if (!newest_read_) look_at_unnamed_blocks();
    if (const auto next = plan_ ? batches_.find(plan_->reached + 1) : batches_.end(); next != batches_.end())
      problem(Errc::corruption, *next->second.path,
              "batch " + std::to_string(next->first) + " cannot follow what is before it; it was left out, and all behind it", next->second.offset);
    if (plan_ && plan_->base->version.schema != newest.version.schema)
      problem(Errc::corruption, store_.path() / manifest_name(newest.version.number),
              "version " + std::to_string(plan_->base->version.number) +
                  " takes the place of this one, and a vector field has the metric or index that it had then; create_index() changes it again");
    if (plan_ && highest_ > plan_->reached) {
      plan_->batches_lost = highest_ - plan_->reached;
      problem(Errc::corruption, store_.path(),
              "batches " + std::to_string(plan_->reached + 1) + " to " + std::to_string(highest_) +
                  " are lost: documents that they deleted come back, and those that they replaced are as they were before");
    }
    if (!plan_)
      problem(
          Errc::corruption, store_.path() / newest.version.deletes.file.name,
          "nothing that is whole says which documents are deleted, and no earlier version leads here with its logs: deleted documents would come back; restore "
          "the file from a backup");
  }
  void seen(DocId id) { next_doc_id_ = std::max(next_doc_id_, id.value + (id.value == ~std::uint64_t{0} ? 0 : 1)); }
  /// Blocks of a version whose manifest is lost: their ids must not be given again, and what no log leads to is shown by them to have been there.
  void look_at_unnamed_blocks() {
    std::map<std::uint64_t, std::uint64_t> ranges;  // of ids: first, and behind the last
    for (const auto& file : store_.list()) {
      const auto name = parse_block_name(file.name);
      if (!name || name->type != BlockType::scalar || blocks_.contains(file.name)) continue;
      try {
        const auto raw = store_.read_log(file.name);
        const auto size = raw.size();
        if (size < trailer_size + tail_frame_size) continue;
        Bytes tail(tail_frame_size), bytes(trailer_size);
        raw.read(size - tail.size(), tail);
        const auto at = locate_trailer(tail, size, file.name);
        raw.read(at, bytes);
        const auto trailer = parse_trailer(bytes, at, size, file.name);
        const FileIdentity identity{trailer.id, size, trailer.footer_checksum};
        auto scope = store_.read_scope();
        const ScalarBlock<typename P::Reader> block(store_.open(file.name, identity), scope, identity, saved_.front().version.schema);
        const auto groups = block.groups();
        seen(groups.back().last_doc_id);
        auto& end = ranges[groups.front().first_doc_id.value];
        end = std::max(end, groups.back().last_doc_id.value + 1);
      } catch (const Error& e) {
        if (e.code() != Errc::corruption && e.code() != Errc::not_found && e.code() != Errc::version_mismatch) throw;
      }
    }
    if (!plan_) return;
    std::uint64_t at = plan_->base->version.next_doc_id + plan_->rows->memtable_rows(), shown = 0;
    for (const auto& [first, end] : ranges) {
      const auto from = std::max(first, at);
      if (from < end) shown += end - from, at = end;
    }
    plan_->lost = std::max(plan_->lost, shown);
  }

  /// How far the batches behind a version go without a gap, and what they do.
  struct Reach {
    ReadLog log;
    std::uint64_t last = 0, puts = 0;
    std::set<std::uint64_t> deletes;  // of documents that the version holds
  };
  [[nodiscard]] Reach reach_of(const Version& version, std::uint64_t most) const {
    Reach out;
    out.last = version.last_sequence;
    for (auto at = batches_.find(out.last + 1); at != batches_.end() && at->first == out.last + 1 && at->first <= most; ++at) {
      std::uint64_t next = version.next_doc_id + out.puts;
      std::vector<std::uint64_t> deletes;
      const auto& batch = at->second;
      try {
        WalRow row;
        decode_wal_rows(
            batch.payload, version.schema, *batch.path, batch.offset, row,
            [&](const WalRow& put) {
              if (put.id().value != next++) fail(Errc::corruption, *batch.path, batch.offset, "a document is out of order");
            },
            [&](DocId id) { deletes.push_back(id.value); });
        if (std::any_of(deletes.begin(), deletes.end(), [next](std::uint64_t id) { return id >= next; })) break;
      } catch (const Error&) {
        break;
      }
      out.puts = next - version.next_doc_id;
      out.deletes.insert(deletes.begin(), deletes.end());
      out.log.batches.push_back({at->first, batch.payload, batch.offset});
      out.last = at->first;
    }
    return out;
  }
  /// Whether a document under one is one under the other: a change of metric has new files for the same vectors.
  [[nodiscard]] static bool same_documents(const Schema& a, const Schema& b) {
    const auto same = [](const VectorField& x, const VectorField& y) {
      return x.name() == y.name() && x.dimension() == y.dimension() && x.element() == y.element();
    };
    return a.fields() == b.fields() && std::equal(a.vectors().begin(), a.vectors().end(), b.vectors().begin(), b.vectors().end(), same);
  }
  /// An older version takes the place of the newest only if its batches lead to the very same documents.
  [[nodiscard]] bool leads_to_newest(const Version& older) const {
    const auto& newest = saved_.front().version;
    if (older.number == newest.number) return true;
    const auto reach = reach_of(older, newest.last_sequence);
    return same_documents(older.schema, newest.schema) && reach.last == newest.last_sequence && older.next_doc_id + reach.puts == newest.next_doc_id &&
           older.documents + reach.puts - reach.deletes.size() == newest.documents;
  }
  [[nodiscard]] std::optional<RepairPlan<P>> plan_from(const SavedVersion<P>& base) const {
    const auto& version = base.version;
    if ((!base.deletes_whole && version.deletes.count != 0) || !leads_to_newest(version)) return std::nullopt;
    auto reach = reach_of(version, ~std::uint64_t{0});

    typename Rows<P>::Parts parts;
    std::vector<std::pair<DocId, DocId>> gone;  // the ids that damaged parts span
    std::uint64_t dropped = 0;
    std::size_t i = 0;
    for (const auto& segment : version.segments)
      for (const auto& files : part_files(version.schema, segment)) {
        if (const auto& part = base.parts[i++])
          parts.push_back(part);
        else
          gone.emplace_back(files.first, files.last), dropped += files.rows;
      }
    const Rows<P> flushed(parts, nullptr, {}, {}, 0);
    auto scope = store_.read_scope();
    // Deletes of rows that no block holds any more go with them: what merges counts them by ranges of ids.
    const auto deletes = gone.empty() ? base.deletes : base.deletes.filtered([&](DocId id) {
      scope.renew();
      return flushed.find(scope, id).has_value();
    });
    const auto deleted = gone.empty() ? version.deletes.count : deletes.size();
    // Those that are deleted in parts that are gone are not lost.
    dropped -= std::min(dropped, version.deletes.count - deleted);
    for (const auto& [first, last] : gone)
      for (auto id = reach.deletes.lower_bound(first.value); id != reach.deletes.end() && *id <= last.value; ++id)
        if (dropped != 0 && !base.deletes.contains(DocId{*id})) --dropped;

    auto memtable = std::make_shared<Memtable>(version.schema, DocId{version.next_doc_id});
    const auto erased = replay(reach.log, *memtable, version, store_.path(), [&](DocId id) {
      scope.renew();
      return id.value >= version.next_doc_id || (!base.deletes.contains(id) && flushed.find(scope, id).has_value());
    });
    RepairPlan<P> plan;
    plan.base = &base;
    plan.reached = reach.last;
    plan.lost = dropped + behind(reach.last, version.schema);
    const auto mark = memtable->mark();
    plan.rows = std::make_shared<const Rows<P>>(std::move(parts), std::move(memtable), mark, deletes.with(erased), deleted + erased.size());
    return plan;
  }
  /// Documents of the batches behind `sequence`; of one that cannot be read, one.
  [[nodiscard]] std::uint64_t behind(std::uint64_t sequence, const Schema& schema) const {
    std::uint64_t lost = 0, read = 0;
    for (auto at = batches_.upper_bound(sequence); at != batches_.end(); ++at, ++read) {
      try {
        lost += WalBatchReader(at->second.payload, schema, *at->second.path, at->second.offset).puts();
      } catch (const Error&) {
        ++lost;
      }
    }
    return lost + (highest_ > sequence ? highest_ - sequence - std::min(read, highest_ - sequence) : 0);
  }

  const typename P::Store& store_;
  std::vector<Problem> problems_;
  std::vector<SavedVersion<P>> saved_;
  std::map<std::string, bool> blocks_;  // by name: whole
  std::map<std::string, Log> logs_;
  std::map<std::uint64_t, Batch> batches_;
  std::optional<RepairPlan<P>> plan_;
  std::uint64_t highest_ = 0, next_doc_id_ = 0;
  bool blocked_ = false, newest_read_ = false, all_read_ = false;
};

}  // namespace quiver::detail
