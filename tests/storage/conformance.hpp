// What the conformance suite runs on: every policy there is, and a fresh store for each test of each.
#pragma once

#include <quiver/storage/checked_mmap.hpp>
#include <quiver/storage/file_read.hpp>
#include <quiver/storage/memory.hpp>
#include <quiver/storage/mmap.hpp>
#include <quiver/storage/mmap_read.hpp>

#include "storage/readme_policy.hpp"
#include "support/archetype_policy.hpp"
#include "support/counting_policy.hpp"
#include "support/error_code.hpp"
#include "support/recording_file_system.hpp"
#include "support/sample_file.hpp"
#include "support/strict_policy.hpp"
#include "support/temp_folder.hpp"

#include <boost/test/unit_test.hpp>

#include <optional>
#include <tuple>

namespace quiver::test {

using WritablePolicies = std::tuple<MMapPolicy, CheckedMMapPolicy, MemoryPolicy, my::ShelfPolicy, StrictPolicy, CountingPolicy<MMapPolicy>, WritingArchetype,
                                    BasicMMapPolicy<RecordingFileSystem>>;

using ReadOnlyPolicies = std::tuple<MMapReadPolicy, FileReadPolicy, CountingPolicy<FileReadPolicy>, ReadingArchetype, BasicFileReadPolicy<RecordingFileSystem>>;

using AllPolicies = decltype(std::tuple_cat(std::declval<WritablePolicies>(), std::declval<ReadOnlyPolicies>()));

/// A policy that writes what P reads, and where a store of P may be.
template <class P>
struct Habitat {
  using Writer = std::conditional_t<WritableStoragePolicy<P>, P, MMapPolicy>;
  static std::filesystem::path path(const TempFolder& temp) { return temp / "store"; }
};
template <template <class> class B>
struct Habitat<B<RecordingFileSystem>> {
  using Writer = std::conditional_t<WritableStoragePolicy<B<RecordingFileSystem>>, B<RecordingFileSystem>, BasicMMapPolicy<RecordingFileSystem>>;
  static std::filesystem::path path(const TempFolder&) {
    RecordingFileSystem::reset();
    return "/stores/store";
  }
};

/// A store made by the writer of P, with its lock held, and P's own view of it.
template <class P>
struct Place {
  using Writer = typename Habitat<P>::Writer;

  TempFolder temp;
  std::filesystem::path path = Habitat<P>::path(temp);
  typename Writer::Options writer_options{};
  typename P::Options options{};
  typename Writer::Store writer = Writer::create_store(path, writer_options);

  [[nodiscard]] typename P::Store open() const { return P::open_store(path, options, OpenMode::read_only); }
  SampleFile add(std::string_view name, std::size_t size, std::uint64_t seed = 1) {
    auto sample = make_sample(sample_bytes(size, seed));
    publish_sample(writer, name, sample);
    return sample;
  }
  void add_bytes(std::string_view name, ByteSpan bytes) {
    auto draft = writer.create(name);
    draft.append(bytes);
    writer.publish(std::move(draft));
  }
  /// The names of the store's files, but temporary ones and the lock.
  [[nodiscard]] Strings names() const {
    Strings names;
    for (auto& file : open().list())
      if (!file.name.ends_with(".tmp") && file.name != "LOCK") names.push_back(std::move(file.name));
    return names;
  }
};

[[nodiscard]] inline bool same(ByteSpan a, ByteSpan b) { return std::ranges::equal(a, b); }

}  // namespace quiver::test
