// One batch of writes while it is made: what it adds to the memtable, what it deletes, and its record for the log.
#pragma once

#include <quiver/collection/view.hpp>
#include <quiver/wal/batch.hpp>

#include <boost/unordered/unordered_flat_set.hpp>

#include <string>
#include <utility>
#include <vector>

namespace quiver::detail {

/// Rows go into the memtable behind what is published, so nobody sees them yet; rollback() takes them back. Sees its own writes. Refers to all it is given.
/// One thread, the writer's.
template <StoragePolicy P>
class WriteBatch {
 public:
  WriteBatch(const View<P>& before, Memtable& memtable, WalBatch& record)
      : before_(before), memtable_(memtable), record_(record), mark_(memtable.mark()), scope_(before.scope()) {
    record_.clear();
  }

  /// duplicate_key: the key lives. Else errors as bind_document.
  void insert(const Document& document) {
    bind_document(schema(), document, bound_);
    const auto print = fingerprint(document.key());
    if (live(document.key(), print))
      fail(Errc::duplicate_key, path(), "key '" + document.key() + "' is taken; nothing of this batch was inserted, upsert() would replace the document");
    put(document.key(), print);
  }
  /// A new document, in the place of the one that bears its key.
  void upsert(const Document& document) {
    bind_document(schema(), document, bound_);
    const auto print = fingerprint(document.key());
    if (const auto old = live(document.key(), print)) remove(*old);
    put(document.key(), print);
  }
  /// The document of that key with some fields replaced, as a new one; false where there is none.
  bool update(std::string_view key, std::span<const NamedValue> fields) {
    check_key(key);
    const auto print = fingerprint(key);
    const auto old = live(key, print);
    if (!old) {
      check_fields(key, fields);
      return false;
    }
    auto document = before_.rows().read(scope_, schema(), Projection(schema(), {}, true), *before_.rows().find(scope_, *old));
    scope_.renew();
    for (const auto& field : fields) document.set(field.name(), field.value());
    bind_document(schema(), document, bound_);
    remove(*old);
    put(key, print);
    return true;
  }
  /// False where no document bears the key.
  bool erase(std::string_view key) {
    check_key(key);
    const auto old = live(key, fingerprint(key));
    if (old) remove(*old);
    return old.has_value();
  }

  [[nodiscard]] bool empty() const noexcept { return deleted_.empty() && memtable_.rows() == mark_.rows; }
  /// The moment after this batch. `version` holds what the one before it does.
  [[nodiscard]] std::shared_ptr<const View<P>> view(const std::shared_ptr<const OpenVersion<P>>& version,
                                                    const std::shared_ptr<const Memtable>& memtable) const {
    const auto& rows = before_.rows();
    return std::make_shared<const View<P>>(version, memtable, memtable->mark(), deleted_.empty() ? rows.deletes() : rows.deletes().with(deleted_),
                                           rows.deleted() + deleted_.size());
  }
  void rollback() { memtable_.truncate(mark_); }

 private:
  [[nodiscard]] const Schema& schema() const noexcept { return before_.schema(); }
  [[nodiscard]] const std::filesystem::path& path() const { return before_.version().store->path(); }

  /// The document that bears a key after what this batch did so far. The newest row of a key decides.
  [[nodiscard]] std::optional<DocId> live(std::string_view key, std::uint64_t print) {
    DocId id;
    if (const auto row = memtable_.find(key, print, memtable_.rows())) {
      id = memtable_.doc_id(*row);
    } else {
      const auto ordinal = before_.find_flushed(scope_, key, print);
      if (ordinal) id = before_.rows().doc_id(scope_, *ordinal);
      scope_.renew();
      if (!ordinal) return std::nullopt;
    }
    if (before_.rows().deletes().contains(id) || gone_.contains(id.value)) return std::nullopt;
    return id;
  }
  void put(std::string_view key, std::uint64_t print) {
    if (memtable_.rows() >= Memtable::max_rows) fail(Errc::invalid_argument, path(), "a batch of so many documents is too large; split it");
    record_.put(memtable_.doc_id(memtable_.rows()), key, bound_);
    memtable_.append(key, print, bound_);
  }
  void remove(DocId id) {
    record_.erase(id);
    gone_.insert(id.value);
    deleted_.push_back(id);
  }
  /// As an update of a document would find them wrong, where there is none to update.
  void check_fields(std::string_view key, std::span<const NamedValue> fields) const {
    for (const auto& field : fields)
      if (schema().find(field.name()) == nullptr && schema().find_vector(field.name()) == nullptr)
        fail(Errc::schema_mismatch, path(), "document '" + std::string(key) + "': there is no field '" + std::string(field.name()) + "' in the schema");
  }

  const View<P>& before_;
  Memtable& memtable_;
  WalBatch& record_;
  Memtable::Mark mark_;
  typename P::ReadScope scope_;
  BoundRow bound_;
  std::vector<DocId> deleted_;
  boost::unordered_flat_set<std::uint64_t> gone_;  // the same, to look up
};

}  // namespace quiver::detail
