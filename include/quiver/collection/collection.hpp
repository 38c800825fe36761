// Collection<Policy>: documents with vectors and fields under one storage policy.
#pragma once

#include <quiver/collection/copy.hpp>
#include <quiver/collection/dump.hpp>
#include <quiver/collection/snapshot.hpp>
#include <quiver/collection/state.hpp>
#include <quiver/collection/verify.hpp>
#include <quiver/segment/segment.hpp>

#include <functional>
#include <initializer_list>
#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace quiver {

/// A collection of documents in a folder (or, volatile, in memory). Move-only; the destructor closes and swallows errors, close() reports them.
///
/// Thread rule: any number of threads may read (fetch, scan, search, count, snapshot, stats) while others insert and flush; writes are
/// serialized inside. Moving, closing and destroying need the object alone. One process writes at a time, readers are not limited. A forked
/// process may read what its parent had opened and must open the collection again to write: Errc::closed until then, and its destructor writes nothing. Until
/// it destroys the object or ends, the writer's lock stays taken, though the parent closed.
///
/// Durability: a batch is in the write-ahead log before it is visible. With Durability::sync, the default, it survives a crash and a power cut once the call
/// returned; with buffered the death of the process; what flush() or close() returned from survives both. What survives is a prefix of the batches, each whole.
/// A batch that changes nothing has the batches before it survive as much as it asks for.
template <StoragePolicy P>
class Collection {
 public:
  using Policy = P;

  /// Makes a new collection in the folder `path`, which may be there if it is empty. already_exists: there is a collection, or something else.
  [[nodiscard]] static Collection create(const std::filesystem::path& path, const Schema& schema, const CreateOptions<P>& options = {}) {
    static_assert(P::caps.writable, "quiver: this storage policy is read-only; create the collection with a writable one such as MMapPolicy");
    if constexpr (P::caps.writable) return make(path, schema, options);
  }
  /// A volatile collection: no path, no file anywhere; it ends with the object.
  [[nodiscard]] static Collection create(const Schema& schema, const CreateOptions<P>& options = {})
    requires(P::caps.volatile_store)
  {
    return make({}, schema, options);
  }

  /// Opens what is in `path`. not_found: no collection; locked: another writer lives (in this process too); corruption, with file and offset;
  /// version_mismatch: written by a newer quiver; read_only: the medium is, or the policy. With at_version, or OpenMode::read_only, nothing is written.
  [[nodiscard]] static Collection open(const std::filesystem::path& path, const OpenOptions<P>& options = {}) {
    if (path.empty()) detail::fail(Errc::invalid_argument, "the path of a collection must not be empty");
    const bool writable = options.mode == OpenMode::read_write && !options.at_version;
    if constexpr (!P::caps.writable) {
      if (options.mode == OpenMode::read_write)
        detail::fail(Errc::read_only, path, "the policy '" + std::string(P::name) + "' only reads; open with OpenMode::read_only");
    }
    auto store = std::make_shared<typename P::Store>(P::open_store(path, options.storage, writable ? OpenMode::read_write : OpenMode::read_only));
    if constexpr (P::caps.writable) {
      if (writable) {
        if (detail::manifest_numbers<P>(*store).empty()) (void)detail::open_newest<P>(store);  // says why there is none, before a lock file is made
        auto lock = store->lock_for_writing();
        auto recovered = detail::recover<P>(store);
        const auto& manifest = recovered.version->manifest;
        if (!manifest.writable())
          detail::fail(Errc::version_mismatch, path, "a newer quiver wrote this collection; this one may only read it: open with OpenMode::read_only");
        detail::collect_garbage<P>(*store, manifest);
        std::unique_ptr<detail::LogWriter<P>> log;
        if (!recovered.log.batches.empty()) {
          // What was replayed is durable before it is served: copied into a log of this process, which a manifest names.
          log = std::make_unique<detail::LogWriter<P>>(*store, manifest.store_id, manifest.log.number + 1, manifest.last_sequence + 1,
                                                       std::span<const detail::LoggedBatch>(recovered.log.batches));
          auto next = detail::continued(manifest, log->ref());
          const auto bytes = detail::publish_manifest<P>(*store, next);
          log->mark();
          // What that one does not list any more because it grew old.
          detail::collect_garbage<P>(*store, next);
          recovered.version = detail::open_version<P>(store, std::move(next), bytes, recovered.version.get());
        }
        return Collection(std::make_unique<State>(std::move(store), std::move(lock), std::move(log), std::move(recovered), options.durability, true),
                          options.background_compaction, options.live_index);
      }
    }
    auto recovered = options.at_version ? detail::Recovered<P>::of(detail::open_at<P>(store, *options.at_version)) : detail::recover<P>(store);
    return Collection(std::make_unique<State>(std::move(store), typename detail::LockOf<P>::type{}, typename detail::LogOf<P>::type{}, std::move(recovered),
                                              options.durability, false, options.at_version.has_value()));
  }

  /// A new collection in the folder `path` from what dump() wrote into `folder`, with documents in the same order under new ids; the bits of every value are
  /// the same. It appears under its name when it is whole and durable; until then it is built beside, in `path`.loading, and what a load left there that was
  /// killed, or ended before it had that folder for itself, is cleared away. Errors leave neither: not_found, no whole dump; corruption, with file and offset;
  /// version_mismatch, a newer quiver's; already_exists, something is at `path`, or beside it and no load's; locked, another load to `path` is at work;
  /// duplicate_key and the other errors of insert(), with the line. io_error after all was written may leave the whole. Memory is bounded but for the policy's
  /// own. O(bytes). Safe from any thread.
  [[nodiscard]] static Collection load(const std::filesystem::path& folder, const std::filesystem::path& path, const LoadOptions<P>& options = {}) {
    static_assert(P::caps.writable, "quiver: load needs a writable storage policy, and this one is read-only; load with a writable one such as MMapPolicy");
    if constexpr (P::caps.writable) {
      if (path.empty()) detail::fail(Errc::invalid_argument, "the path of a collection must not be empty");
      return detail::load_dump<PosixFileSystem, Collection>(folder, path, options);
    }
  }
  /// The same as a volatile collection.
  [[nodiscard]] static Collection load(const std::filesystem::path& folder, const LoadOptions<P>& options = {})
    requires(P::caps.volatile_store)
  {
    return detail::load_dump<PosixFileSystem, Collection>(folder, options);
  }

  Collection(Collection&&) noexcept = default;
  Collection& operator=(Collection&& other) noexcept {
    if (this != &other) {
      close_quietly();
      state_ = std::move(other.state_);
    }
    return *this;
  }
  Collection(const Collection&) = delete;
  Collection& operator=(const Collection&) = delete;
  ~Collection() { close_quietly(); }

  /// Adds documents: all of them, or with an error none. duplicate_key: a key is there already, or twice in the batch; schema_mismatch,
  /// type_mismatch, dimension_mismatch, invalid_vector, invalid_argument: the message names document and field. Visible when the call returns.
  /// Flushes first where more than flush_bytes are in memory. O(documents x (values + log n)).
  void insert(const Document& document, const WriteOptions& options = {}) {
    static_assert(P::caps.writable, "quiver: insert needs a writable storage policy, and this one is read-only; use MMapPolicy or MemoryPolicy");
    if constexpr (P::caps.writable) insert(std::span(&document, 1), options);
  }
  void insert(std::span<const Document> batch, const WriteOptions& options = {}) {
    static_assert(P::caps.writable, "quiver: insert needs a writable storage policy, and this one is read-only; use MMapPolicy or MemoryPolicy");
    if constexpr (P::caps.writable) put_all(batch, options, [](auto& to, const Document& document) { to.insert(document); });
  }
  void insert(std::initializer_list<Document> batch, const WriteOptions& options = {}) {
    static_assert(P::caps.writable, "quiver: insert needs a writable storage policy, and this one is read-only; use MMapPolicy or MemoryPolicy");
    if constexpr (P::caps.writable) insert(std::span(batch.begin(), batch.size()), options);
  }
  /// As insert(), but a document takes the place of the one that bears its key; of a key twice in the batch the last one counts. A document that was replaced
  /// is gone with all its fields, and the new one has a new id.
  void upsert(const Document& document, const WriteOptions& options = {}) {
    static_assert(P::caps.writable, "quiver: upsert needs a writable storage policy, and this one is read-only; use MMapPolicy or MemoryPolicy");
    if constexpr (P::caps.writable) upsert(std::span(&document, 1), options);
  }
  void upsert(std::span<const Document> batch, const WriteOptions& options = {}) {
    static_assert(P::caps.writable, "quiver: upsert needs a writable storage policy, and this one is read-only; use MMapPolicy or MemoryPolicy");
    if constexpr (P::caps.writable) put_all(batch, options, [](auto& to, const Document& document) { to.upsert(document); });
  }
  void upsert(std::initializer_list<Document> batch, const WriteOptions& options = {}) {
    static_assert(P::caps.writable, "quiver: upsert needs a writable storage policy, and this one is read-only; use MMapPolicy or MemoryPolicy");
    if constexpr (P::caps.writable) upsert(std::span(batch.begin(), batch.size()), options);
  }
  /// Replaces the named fields of a document and keeps the others; it gets a new id. False, and nothing happened: no such key. schema_mismatch: no such field;
  /// type_mismatch, dimension_mismatch, invalid_vector: a value; corruption: what is kept cannot be read; and the errors of insert().
  bool update(const Name& key, std::span<const NamedValue> fields, const WriteOptions& options = {}) {
    static_assert(P::caps.writable, "quiver: update needs a writable storage policy, and this one is read-only; use MMapPolicy or MemoryPolicy");
    if constexpr (P::caps.writable) return state().write(options, 1, [&](auto& batch) { return batch.update(key.view(), fields); });
  }
  bool update(const Name& key, std::initializer_list<NamedValue> fields, const WriteOptions& options = {}) {
    static_assert(P::caps.writable, "quiver: update needs a writable storage policy, and this one is read-only; use MMapPolicy or MemoryPolicy");
    if constexpr (P::caps.writable) return update(key, std::span(fields.begin(), fields.size()), options);
  }
  /// Deletes a document; false: no such key. invalid_argument: a key that none can have; io_error, no_space, read_only, closed as insert(). O(log segments).
  bool erase(const Name& key, const WriteOptions& options = {}) {
    static_assert(P::caps.writable, "quiver: erase needs a writable storage policy, and this one is read-only; use MMapPolicy or MemoryPolicy");
    if constexpr (P::caps.writable) return state().write(options, 0, [&](auto& batch) { return batch.erase(key.view()); });
  }
  /// Deletes documents in one batch and returns how many there were; a key that is not there, or is named twice, counts once at most.
  std::size_t erase(std::span<const std::string> keys, const WriteOptions& options = {}) {
    static_assert(P::caps.writable, "quiver: erase needs a writable storage policy, and this one is read-only; use MMapPolicy or MemoryPolicy");
    if constexpr (P::caps.writable) return erase_all(keys, options);
  }
  std::size_t erase(std::initializer_list<Name> keys, const WriteOptions& options = {}) {
    static_assert(P::caps.writable, "quiver: erase needs a writable storage policy, and this one is read-only; use MMapPolicy or MemoryPolicy");
    if constexpr (P::caps.writable) return erase_all(keys, options);
  }

  /// Writes what is in memory as blocks and makes a new version; with nothing in memory, nothing. Durable when it returns.
  /// io_error, no_space: the documents stay in memory and readable. After an error while publishing, writing needs a new open. O(documents in memory); other
  /// writers wait.
  void flush() {
    static_assert(P::caps.writable, "quiver: flush needs a writable storage policy, and this one is read-only");
    if constexpr (P::caps.writable) state().flush();
  }
  /// Flushes, then merges neighbouring segments and drops the rows of deleted documents, as a new version; doc ids and their order stay. Where nothing is to be
  /// merged, nothing happens. Others read and write meanwhile and wait for two short steps at most; the files before are removed once no retained version names
  /// them. cancelled: the progress function said so; corruption: a file is damaged, which is found before it is copied; io_error, no_space. After any error the
  /// collection is as it was, and after one while publishing, writing needs a new open. invalid_argument: the progress function itself called optimize(); it
  /// may call anything else. O(rows of the segments that are merged), in bounded memory.
  void optimize(const OptimizeOptions& options = {}) {
    static_assert(P::caps.writable, "quiver: optimize needs a writable storage policy, and this one is read-only");
    if constexpr (P::caps.writable) state().compact(detail::CompactionLimits::all(), options);
  }
  /// Gives a vector field another index, quantizer or metric: create_index("v", {.index = Hnsw{.m = 32}, .quantizer = Sq8{}}). Flushes, builds beside readers
  /// and writers what is missing, and publishes it with the schema as one version; until then searches go by the index before. In the background: the schema
  /// changes at once, rows are looked at one by one until a thread of this object's own has built the rest; stats().background_error says where it fails. What
  /// is there already: nothing happens. The index of one field is of no concern to others.
  /// Another metric: every search goes by one metric, before that version the old, from it on the new; snapshots, readers until they refresh() and older
  /// versions keep theirs, rollback_to() brings it back. To cosine, the vectors of the field are written anew with their norms beside readers and writers, in
  /// the background too before the call returns. Last, writers (never readers) wait for a flush, and to cosine until what came meanwhile is written once more.
  /// invalid_argument: there is no such vector field, or the schema refuses the index, or the progress function calls it; invalid_vector, with the key of a
  /// document whose vector is all zeros: under cosine there can be none; cancelled and all other errors as optimize(). After any error the field is as it
  /// was. In a read-only collection: read_only.
  void create_index(const Name& field, const IndexSpec& spec, const IndexOptions& options = {}) {
    static_assert(P::caps.writable, "quiver: create_index needs a writable storage policy, and this one is read-only");
    if constexpr (P::caps.writable) state().create_index(field.view(), spec, options);
  }
  /// Takes index and quantizer off a vector field: every row is looked at. Errors as create_index().
  void drop_index(const Name& field) {
    static_assert(P::caps.writable, "quiver: drop_index needs a writable storage policy, and this one is read-only");
    if constexpr (P::caps.writable) state().create_index(field.view(), {.index = Flat{}}, {});
  }
  /// Makes a new version with the documents of version `number`; what is there now, unflushed documents too, is the version before it and can be gone back to
  /// in turn. Doc ids go on from where they were. not_found: that version is not retained. Waits for no reader; O(files of that version).
  void rollback_to(std::uint64_t number) {
    static_assert(P::caps.writable, "quiver: rollback_to needs a writable storage policy, and this one is read-only");
    if constexpr (P::caps.writable) state().rollback_to(number);
  }
  /// Where the collection was opened for reading: moves to the present, that is to every batch that a writer, of any process, was told to be written before
  /// this call (but with Durability::none), each whole. Snapshots stay where they are. Does nothing to a writer, which is always there, or under at_version.
  /// Errors as open(), and then nothing changed. Where no version came meanwhile, only what was appended to the log is read: O(what is new); else
  /// O(documents that are not flushed + files that are new). In a forked child, closed: a thread was in refresh() at the fork.
  void refresh() { state().refresh(); }
  /// Flushes and gives up lock and files, and reports errors. Closing again does nothing; any other use afterwards is Errc::closed.
  void close() {
    if (state_) state_->close();
  }

  /// The document under a key or id; nullopt where there is none. Empty `fields`: every field, vectors too. invalid_argument: an unknown field, a key that
  /// none can have; corruption, io_error: the file. O(log segments + the fields). Any number of threads.
  [[nodiscard]] std::optional<Document> fetch(const Name& key, const FieldNames& fields = {}) const { return view()->fetch(key, fields); }
  [[nodiscard]] std::optional<Document> fetch(DocId id, const FieldNames& fields = {}) const { return view()->fetch(id, fields); }

  /// The k nearest by (distance, doc id): all of them where the field has no index, else those that a walk finds, each at its own distance all the same, and
  /// always k where there are k. invalid_argument: unknown field; dimension_mismatch, invalid_vector, type_mismatch (a field of int8 or uint8): the query. Any
  /// number of threads.
  [[nodiscard]] SearchResult search(const SearchRequest& request) const { return view()->search(request); }
  /// One result per query, equal to search() of each.
  [[nodiscard]] std::vector<SearchResult> search_batch(const SearchBatchRequest& request) const { return view()->search_batch(request); }
  /// All documents in doc-id order, as of now.
  [[nodiscard]] ScanResult scan(const ScanRequest& request = {}) const { return snapshot().scan(request); }
  /// Documents as of now, without the deleted ones. O(1).
  [[nodiscard]] std::size_t count() const { return static_cast<std::size_t>(view()->count()); }
  /// This moment, which stays readable through whatever is written afterwards; its files stay open, so their room on disk is given back with it. O(1).
  [[nodiscard]] Snapshot<P> snapshot() const { return Snapshot<P>(view()); }
  /// Writes the documents of this moment, in doc-id order, into `folder` as files that other programs read: JSON lines and, per vector field, npy; durable when
  /// it returns. load() makes a collection of them. Deleted documents are not in it, nor are older versions. Folders are made as needed; others may write
  /// meanwhile. already_exists: the folder holds something; io_error, no_space, read_only, unsupported (a network drive), corruption: nothing of it is left. A
  /// folder without schema.json is what a crash left of a dump. Memory: a document, and 256 KiB per file. O(bytes). Any number of threads.
  void dump(const std::filesystem::path& folder) const { detail::write_dump<PosixFileSystem>(view(), folder); }

  /// The schema; the reference lives as long as the collection object.
  [[nodiscard]] const Schema& schema() const {
    (void)view();
    return state_->schema();
  }
  /// The versions that at_version can open, oldest first, the present one last.
  [[nodiscard]] std::vector<VersionInfo> versions() const {
    const auto now = view();
    const auto& manifest = now->version().manifest;
    std::vector<VersionInfo> out;
    const auto add = [&out](std::uint64_t number, std::int64_t time, std::uint64_t documents) {
      out.push_back({number, std::chrono::sys_time<std::chrono::microseconds>(std::chrono::microseconds(time)), documents});
    };
    for (const auto& version : manifest.retained)
      if (!version.continues) add(version.number, version.time, version.documents);
    if (!manifest.continues) add(manifest.number, manifest.time, manifest.documents);
    return out;
  }
  /// The segments in doc-id order, without what is not flushed. O(segments).
  [[nodiscard]] std::vector<SegmentInfo> segments() const {
    const auto now = view();
    std::vector<SegmentInfo> out;
    for (const auto& segment : now->version().manifest.segments) {
      SegmentInfo info{segment.id, segment.rows(), 0, 0, segment.sealed};
      info.deleted = now->rows().deletes().count(segment.blocks.front().first, segment.blocks.back().last);
      for (const auto& block : segment.blocks) info.bytes += block.bytes();
      out.push_back(info);
    }
    return out;
  }
  /// Counts, and bytes in memory and on disk; sizes of manifests and logs are asked of the folder: io_error. O(files). Any number of threads.
  [[nodiscard]] Stats stats() const {
    const auto now = view();
    const auto& manifest = now->version().manifest;
    Stats out;
    out.documents = now->count();
    out.deleted = now->rows().deleted();
    out.segments = manifest.segments.size();
    const auto all = versions();
    out.version = all.back().number;
    out.versions = all.size();
    out.memtable_documents = now->rows().memtable_rows();
    out.resident = now->rows().memtable_bytes() + detail::bytes_in_memory(now->version());
    if (const auto& graphs = now->rows().memtable()->graphs()) {
      out.memtable_linked = graphs->linked(now->schema(), out.memtable_documents);
      out.resident += graphs->bytes();
    }
    for (const auto& segment : manifest.segments)
      for (const auto& block : segment.blocks) {
        (block.type == detail::BlockType::scalar ? out.bytes.scalar : out.bytes.vector_index) += block.file.identity.length + block.graph.identity.length;
        out.bytes.vector_quant += block.codes.identity.length;
      }
    for (const auto& run : manifest.id_runs) out.bytes.ids += run.identity.length;
    out.bytes.deletes = manifest.deletes.file.identity.length;
    for (const auto& file : state_->store()->list()) {
      if (detail::parse_manifest_name(file.name)) out.bytes.manifests += file.size;
      if (detail::parse_log_name(file.name)) out.bytes.wal += file.size;
    }
    out.bytes.total =
        out.bytes.scalar + out.bytes.vector_index + out.bytes.vector_quant + out.bytes.ids + out.bytes.deletes + out.bytes.wal + out.bytes.manifests;
    out.background_error = state_->background_error();
    return out;
  }
  /// Checks the files of every retained version and the log; damage is in the report, not thrown. VerifyLevel::full reads every byte and looks every document
  /// up by its key: O(bytes), in memory bounded but for what is not flushed. Any number of threads; beside a writer too.
  [[nodiscard]] VerifyReport verify(VerifyLevel level = VerifyLevel::full) const {
    (void)view();
    return detail::Verifier<P>(*state_->store(), level).run();
  }

  /// Makes a collection of its own of what this one holds now, unflushed documents and deletes included, in the folder `path`, which may be there if it is
  /// empty: already_exists otherwise. Block files are shared with it by hard links where the file system can, else copied and verified; either way both
  /// collections are independent, and nothing is ever written to a file that both name. What is shared is as damaged there as here: verify() tells. Document
  /// ids stay; versions are counted from 1 again, older ones are not taken along. Durable when it returns. Others may read and write meanwhile, from any
  /// thread; the collection may be open for reading. no_space, io_error, corruption, cancelled: no collection is there, and the call can be made again (after a
  /// power cut: in another folder). O(files) with links, else O(bytes); O(unflushed documents) besides.
  void backup(const std::filesystem::path& path, const BackupOptions& options = {}) const {
    static_assert(P::caps.writable, "quiver: backup needs a writable storage policy, and this one is read-only; use copy_to<MMapPolicy>(path)");
    if constexpr (P::caps.writable) copied<P>(path, {}, options.links, options.progress).close();
  }
  /// As backup() without links, under any policy that writes, and returns the copy, open for writing: a move from one backend to another.
  template <StoragePolicy To>
  Collection<To> copy_to(const std::filesystem::path& path, const CopyOptions<To>& options = {}) const {
    static_assert(To::caps.writable, "quiver: copy_to needs a writable storage policy to copy to, and this one is read-only; use MMapPolicy or MemoryPolicy");
    if constexpr (To::caps.writable) return copied<To>(path, options.storage, false, options.progress);
  }
  /// The same into memory: no path, no file anywhere.
  template <StoragePolicy To>
  Collection<To> copy_to(const CopyOptions<To>& options = {}) const
    requires(To::caps.volatile_store)
  {
    return copied<To>({}, options.storage, false, options.progress);
  }

 private:
  template <StoragePolicy>
  friend class Collection;
  using State = detail::CollectionState<P>;

  template <class Put>
  void put_all(std::span<const Document> batch, const WriteOptions& options, Put&& put) {
    state().write(options, batch.size(), [&](auto& to) {
      for (const auto& document : batch) put(to, document);
      return true;
    });
  }
  template <class Keys>
  std::size_t erase_all(const Keys& keys, const WriteOptions& options) {
    return state().write(options, 0, [&](auto& batch) {
      std::size_t erased = 0;
      for (const auto& key : keys) erased += std::size_t{batch.erase(Name(key).view())};
      return erased;
    });
  }
  explicit Collection(std::unique_ptr<State> state, bool compacts = false, bool indexes = false) : state_(std::move(state)) {
    if (compacts) state_->compact_in_background();
    if (indexes) state_->index_live();
  }
  template <class New>
  explicit Collection(New fresh, bool compacts, bool indexes)
      : Collection(std::make_unique<State>(std::move(fresh.store), std::move(fresh.lock), std::move(fresh.log), std::move(fresh.recovered), std::nullopt, true),
                   compacts, indexes) {}
  template <class To>
  [[nodiscard]] Collection<To> copied(const std::filesystem::path& path, const typename To::Options& storage, bool links,
                                      const std::function<bool(const Progress&)>& progress) const {
    const auto now = view();
    return Collection<To>(detail::Copy<To, P>(*now, links, progress).run(path, storage), false, true);
  }

  [[nodiscard]] static Collection make(const std::filesystem::path& path, const Schema& schema, const CreateOptions<P>& options) {
    if (options.segment_rows == 0) detail::fail(Errc::invalid_argument, path, "segment_rows must be at least 1");
    if (options.retain.versions == 0) detail::fail(Errc::invalid_argument, path, "retain.versions must be at least 1");
    if (options.retain.age.count() < 0) detail::fail(Errc::invalid_argument, path, "retain.age must not be negative");
    if (options.preferred_policy.size() > detail::max_note_size)
      detail::fail(Errc::invalid_argument, path, "preferred_policy must not be longer than 256 bytes");
    auto fresh = detail::claim_new_store<P>(path, options.storage);
    detail::Version first;
    first.number = 1;
    first.store_id = detail::random_file_id();
    first.time = detail::now_microseconds();
    first.schema = schema;
    first.next_doc_id = first.next_segment = first.next_block = first.next_run = 1;
    first.flush_bytes = options.flush_bytes;
    first.segment_rows = options.segment_rows;
    first.retain_versions = options.retain.versions;
    first.retain_age_seconds = options.retain.age.count();
    first.preferred_policy = options.preferred_policy;
    first.library_version = library_version;
    first.durability = options.durability;
    return Collection(detail::begin_collection<P>(std::move(fresh), std::move(first)), options.background_compaction, options.live_index);
  }

  [[nodiscard]] State& state() const {
    if (!state_) detail::fail(Errc::closed, "the collection was moved from");
    return *state_;
  }
  [[nodiscard]] std::shared_ptr<const detail::View<P>> view() const { return state().view(); }
  void close_quietly() noexcept {
    try {
      close();
    } catch (...) {
    }
    // What a thread of the parent waits at cannot be destroyed here, where that thread does not exist.
    if (state_ && state_->forked()) static_cast<void>(state_.release());
  }

  std::unique_ptr<State> state_;
};

template <StoragePolicy P>
Segment<P> Segment<P>::open(const std::filesystem::path& path, SegmentId id, const typename P::Options& options) {
  auto store = std::make_shared<typename P::Store>(P::open_store(path, options, OpenMode::read_only));
  const auto version = detail::open_newest<P>(store);
  std::size_t first = 0;
  for (const auto& segment : version->manifest.segments) {
    const auto count = detail::part_files(version->manifest.schema, segment).size();
    if (segment.id == id) {
      const auto begin = version->parts.begin() + static_cast<std::ptrdiff_t>(first);
      const auto deleted = version->deletes.count(segment.blocks.front().first, segment.blocks.back().last);
      detail::Rows<P> rows({begin, begin + static_cast<std::ptrdiff_t>(count)}, nullptr, {}, version->deletes, deleted);
      return Segment(store, std::make_shared<const Schema>(version->manifest.schema), id, std::move(rows));
    }
    first += count;
  }
  detail::fail(Errc::not_found, path, "there is no segment " + std::to_string(id.value) + "; segments() lists those that are");
}

}  // namespace quiver
