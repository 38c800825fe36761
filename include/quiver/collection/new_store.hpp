// The beginning of a collection: an empty store under the writer's lock, and the first manifest in it.
#pragma once

#include <quiver/collection/flush.hpp>

#include <memory>
#include <utility>

namespace quiver::detail {

/// A store without a collection, and the right to write in it.
template <WritableStoragePolicy P>
struct NewStore {
  std::shared_ptr<typename P::Store> store;
  typename P::Lock lock;
};

/// Takes an empty or missing folder, or one that a create() left that was cut short, and clears the drafts away. already_exists: there is a collection, or
/// something else.
template <WritableStoragePolicy P>
[[nodiscard]] NewStore<P> claim_new_store(const std::filesystem::path& path, const typename P::Options& options) {
  if (!P::caps.volatile_store && path.empty()) fail(Errc::invalid_argument, "the path of a collection must not be empty");
  auto store = std::make_shared<typename P::Store>(P::create_store(path, options));
  const auto refuse = [&] {
    if (!manifest_numbers<P>(*store).empty()) fail(Errc::already_exists, path, "there is a collection here already; open it, or choose another folder");
  };
  refuse();
  auto lock = store->lock_for_writing();
  refuse();  // another process may have been faster
  require_no_orphans<P>(*store);
  for (const auto& file : store->list())
    if (is_temporary_name(file.name)) store->remove(file.name);
  return {std::move(store), std::move(lock)};
}

/// What a Collection that writes is made of.
template <WritableStoragePolicy P>
struct NewCollection {
  std::shared_ptr<typename P::Store> store;
  typename P::Lock lock;
  std::unique_ptr<LogWriter<P>> log;  // null if volatile
  Recovered<P> recovered;
};

/// Publishes the first manifest, under a log of its own. REQUIRES: what it names is published.
template <WritableStoragePolicy P>
[[nodiscard]] NewCollection<P> begin_collection(NewStore<P> fresh, Version first) {
  std::unique_ptr<LogWriter<P>> log;
  if (!P::caps.volatile_store || !fresh.store->path().empty()) {
    log = std::make_unique<LogWriter<P>>(*fresh.store, first.store_id, 1, first.last_sequence + 1);
    first.log = log->ref();
  }
  const auto bytes = publish_manifest<P>(*fresh.store, first);
  if (log) log->mark();
  auto recovered = Recovered<P>::of(open_version<P>(fresh.store, std::move(first), bytes, nullptr));
  return {std::move(fresh.store), std::move(fresh.lock), std::move(log), std::move(recovered)};
}

}  // namespace quiver::detail
