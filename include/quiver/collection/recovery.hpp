// Finding the state of a store: the highest manifest and the versions that are kept.
#pragma once

#include <quiver/collection/log.hpp>
#include <quiver/collection/view.hpp>
#include <quiver/manifest/codec.hpp>

#include <algorithm>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace quiver::detail {

/// A manifest as it was read.
struct ReadManifest {
  Version version;
  std::uint64_t bytes = 0;
};

/// Reads manifest `number`, which is there or listed by another: corruption where it is missing.
template <StoragePolicy P>
[[nodiscard]] ReadManifest read_manifest(const typename P::Store& store, std::uint64_t number) {
  const auto name = manifest_name(number);
  try {
    const auto bytes = store.read_small(name);
    return {decode_version(bytes, store.path() / name), bytes.size()};
  } catch (const Error& e) {
    if (e.code() != Errc::not_found) throw;
    fail(Errc::corruption, store.path() / name, "version " + std::to_string(number) + " is retained, and its manifest is not there; restore it from a backup");
  }
}

/// What the names in a store say of its versions: the numbers of the manifests, ascending, and the highest of a log; 0: there is none.
struct StoreNumbers {
  std::vector<std::uint64_t> manifests;
  std::uint64_t last_log = 0;

  [[nodiscard]] std::optional<std::uint64_t> newest() const noexcept { return manifests.empty() ? std::nullopt : std::optional(manifests.back()); }
};

template <StoragePolicy P>
[[nodiscard]] StoreNumbers store_numbers(const typename P::Store& store) {
  StoreNumbers out;
  auto& manifests = out.manifests;
  for (const auto& file : store.list()) {
    // A folder that stands in a manifest's place counts as that manifest: reading it then says what is wrong.
    if (const auto number = parse_manifest_name(std::string_view(file.name).substr(0, file.name.find('/')))) manifests.push_back(*number);
    if (const auto number = parse_log_name(file.name)) out.last_log = std::max(out.last_log, *number);
  }
  std::sort(manifests.begin(), manifests.end());
  manifests.erase(std::unique(manifests.begin(), manifests.end()), manifests.end());
  return out;
}
template <StoragePolicy P>
[[nodiscard]] std::vector<std::uint64_t> manifest_numbers(const typename P::Store& store) {
  return store_numbers<P>(store).manifests;
}

/// The same, of one moment: a long folder is read in several steps, and while versions come and go each may miss what came behind it. newest() is not older
/// than the newest version at the time of the call.
template <StoragePolicy P>
[[nodiscard]] StoreNumbers settled_numbers(const typename P::Store& store) {
  for (auto numbers = store_numbers<P>(store);;) {
    auto again = store_numbers<P>(store);
    if (numbers.newest() == again.newest()) return again;
    numbers = std::move(again);
  }
}

/// A store without a manifest is a create() that was cut short, unless published files of ours are in it.
template <StoragePolicy P>
void require_no_orphans(const typename P::Store& store) {
  for (const auto& file : store.list()) {
    bool orphan = is_data_file_name(file.name);
    if (parse_log_name(file.name)) {
      const auto log = store.read_log(file.name);
      Bytes bytes(static_cast<std::size_t>(log.size()));
      log.read(0, bytes);
      // A create that was cut short leaves a log without records, perhaps without a header.
      constexpr auto begun = wal_header_size + wal_mark_size;
      orphan = bytes.size() > begun && !all_zero(ByteSpan(bytes).subspan(begun));
    }
    if (orphan)
      fail(Errc::corruption, store.path() / file.name, "the folder holds data files but no manifest; nothing was changed, restore the manifest from a backup");
  }
}

/// settled_numbers(), without a manifest only where there is no collection: files without one are judged once none came meanwhile.
template <StoragePolicy P>
[[nodiscard]] StoreNumbers found_numbers(const typename P::Store& store) {
  for (;;) {
    auto numbers = settled_numbers<P>(store);
    if (numbers.newest()) return numbers;
    try {
      require_no_orphans<P>(store);
      return numbers;
    } catch (const Error&) {
      if (!store_numbers<P>(store).newest()) throw;
    }
  }
}

/// The newest version, opened, and what then(version) makes of it: `before` itself where it still is the newest, and else its open files are taken over.
/// not_found: there is no collection. While a writer of another process prunes, all of it starts again.
template <StoragePolicy P, class Then>
[[nodiscard]] auto open_newest(const std::shared_ptr<typename P::Store>& store, const std::shared_ptr<const OpenVersion<P>>& before, Then&& then) {
  for (std::optional<std::uint64_t> last;;) {
    const auto numbers = found_numbers<P>(*store);
    const auto newest = numbers.newest();
    if (!newest) fail(Errc::not_found, store->path(), "there is no collection here; create one first");
    const auto check = [&](const Version& version) {
      if (version.log.number != 0 && numbers.last_log > version.log.number) require_newest<P>(*store, version);
    };
    try {
      if (before && before->manifest.number == newest) {
        check(before->manifest);
        return then(before);
      }
      auto manifest = read_manifest<P>(*store, *newest);
      check(manifest.version);
      return then(open_version<P>(store, std::move(manifest.version), manifest.bytes, before.get()));
    } catch (const Error&) {
      // Only a manifest that grew old meanwhile excuses a missing file; the same number twice is the store's own fault.
      const auto now = store_numbers<P>(*store).newest();
      if (newest == last || !now || now == newest) throw;
      last = newest;
    }
  }
}

template <StoragePolicy P>
[[nodiscard]] std::shared_ptr<const OpenVersion<P>> open_newest(const std::shared_ptr<typename P::Store>& store) {
  return open_newest<P>(store, nullptr, [](std::shared_ptr<const OpenVersion<P>> version) { return version; });
}

/// A version, and the log of what came after it.
template <StoragePolicy P>
struct Recovered {
  std::shared_ptr<const OpenVersion<P>> version;
  ReadLog log;
  std::shared_ptr<Memtable> memtable;  // the log's rows
  DeleteSet deletes;                   // the version's and the log's
  std::uint64_t deleted = 0;

  /// A version by itself.
  [[nodiscard]] static Recovered of(std::shared_ptr<const OpenVersion<P>> version) {
    const auto& manifest = version->manifest;
    auto memtable = std::make_shared<Memtable>(manifest.schema, DocId{manifest.next_doc_id});
    return {version, {}, std::move(memtable), version->deletes, manifest.deletes.count};
  }
  [[nodiscard]] std::shared_ptr<const View<P>> view() const { return std::make_shared<const View<P>>(version, memtable, memtable->mark(), deletes, deleted); }

  /// Adds what the log says behind `known`, or all of it. An error leaves rows in the memtable that view() must not show.
  void read_on(const LogPlace* known) {
    const auto& manifest = version->manifest;
    if (manifest.log.number == 0) return;
    log = read_log<P>(*version->store, manifest, known);
    const Rows<P> rows(version->parts, nullptr, {}, {}, 0);
    auto scope = std::as_const(*version->store).read_scope();
    const auto erased = replay(log, *memtable, manifest, version->store->path() / log_name(manifest.log.number), [&](DocId id) {
      scope.renew();
      return !deletes.contains(id) && (id.value >= manifest.next_doc_id || rows.find(scope, id).has_value());
    });
    deletes = deletes.with(erased);
    deleted += erased.size();
  }
};

/// What open() shows: the newest version and everything in its log. Writes nothing.
template <StoragePolicy P>
[[nodiscard]] Recovered<P> recover(const std::shared_ptr<typename P::Store>& store) {
  return open_newest<P>(store, nullptr, [](std::shared_ptr<const OpenVersion<P>> version) {
    auto out = Recovered<P>::of(std::move(version));
    out.read_on(nullptr);
    return out;
  });
}

/// The same for who showed `before`, of whose log `known` was read, with its rows in `memtable`: where the version is still the newest, only what was
/// appended to the log since is read, and its rows are appended to the memtable.
template <StoragePolicy P>
[[nodiscard]] Recovered<P> recover_after(const View<P>& before, const std::shared_ptr<Memtable>& memtable, const LogPlace& known) {
  const auto shown = before.version_pointer();
  return open_newest<P>(shown->store, shown, [&](std::shared_ptr<const OpenVersion<P>> version) {
    if (version != shown) {
      auto out = Recovered<P>::of(std::move(version));
      out.read_on(nullptr);
      return out;
    }
    // Rows of a call that failed, which nobody saw.
    if (memtable->rows() != before.mark().rows) memtable->truncate(before.mark());
    Recovered<P> out{std::move(version), {.place = known}, memtable, before.rows().deletes(), before.rows().deleted()};
    out.read_on(&known);
    return out;
  });
}

/// Version `number`, if the newest manifest keeps it. not_found: it does not, or a writer of another process removed it meanwhile.
template <StoragePolicy P>
[[nodiscard]] std::shared_ptr<const OpenVersion<P>> open_at(const std::shared_ptr<typename P::Store>& store, std::uint64_t number) {
  const auto newest_that_keeps_it = [&] {
    auto newest = open_newest<P>(store);
    const auto& kept = newest->manifest.retained;
    if (listed_number(newest->manifest) != number && std::none_of(kept.begin(), kept.end(), [&](const auto& v) { return v.number == number && !v.continues; }))
      fail(Errc::not_found, store->path(), "version " + std::to_string(number) + " is not retained; versions() lists those that are");
    return newest;
  };
  const auto newest = newest_that_keeps_it();
  if (newest->manifest.number == number) return newest;
  try {
    auto manifest = read_manifest<P>(*store, number);
    if (manifest.version.store_id != newest->manifest.store_id)
      fail(Errc::corruption, store->path() / manifest_name(number), "this manifest belongs to another collection; restore the file from a backup");
    return open_version<P>(store, std::move(manifest.version), manifest.bytes, newest.get());
  } catch (const Error&) {
    // Files are removed once no manifest lists their version: one that is listed still is damaged.
    static_cast<void>(newest_that_keeps_it());
    throw;
  }
}

inline void add_names(const Version& version, std::set<std::string>& to) {
  for (const auto& segment : version.segments)
    for (const auto& block : segment.blocks)
      for (const auto* file : block.files()) to.insert(file->name);
  for (const auto& run : version.id_runs) to.insert(run.name);
  if (!version.deletes.file.name.empty()) to.insert(version.deletes.file.name);
}

}  // namespace quiver::detail
