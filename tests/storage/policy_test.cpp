#include <quiver/storage/policy.hpp>

#include <quiver/storage/mmap.hpp>

#include "support/archetype_policy.hpp"

#include <boost/test/unit_test.hpp>

// What the concepts accept and, one requirement at a time, what they refuse. The accepted types are those that the conformance suite runs.

BOOST_AUTO_TEST_SUITE(storage_concepts)

using namespace quiver;
using namespace quiver::test;

namespace {

// Each differs from a conforming policy in the one point its name says.
struct WithoutName : MMapPolicy {
  static constexpr int name = 0;
};
struct WithNameFoundAtRunTime : MMapPolicy {
  static inline std::string_view name = "late";
};
struct WithCapsFoundAtRunTime : MMapPolicy {
  static inline StorageCaps caps{};
};
struct WithOptionsThatNeedArguments : MMapPolicy {
  struct Options {
    explicit Options(int) {}
  };
};
struct WithStoreThatStays : MMapPolicy {
  struct Store : MMapPolicy::Store {
    Store(Store&&) = delete;
  };
};
struct WithoutReadLog : MMapPolicy {
  struct Store : MMapPolicy::Store {
    LogReader read_log(std::string_view) const = delete;
  };
  static Store open_store(const std::filesystem::path&, const Options&, OpenMode);
};
struct WithScopeThatThrows : MMapPolicy {
  struct ReadScope : MMapPolicy::ReadScope {
    void renew() {}
  };
  struct Reader : MMapPolicy::Reader {
    ByteSpan view(ReadScope&, std::uint64_t, std::size_t) const noexcept;
    void prefetch(ReadScope&, std::span<const Range>) const noexcept;
  };
  struct Store : MMapPolicy::Store {
    Reader open(std::string_view, const FileIdentity&) const;
    ReadScope read_scope() const;
  };
  static Store open_store(const std::filesystem::path&, const Options&, OpenMode);
};

// A reader with parts exchanged, and the policy around it.
template <class R>
struct Around {
  static constexpr std::string_view name = "around";
  static constexpr StorageCaps caps = R::caps;
  struct Options {};
  using Reader = R;
  using ReadScope = detail::EmptyReadScope;
  using LogReader = typename R::LogReader;
  struct Store {
    Reader open(std::string_view, const FileIdentity&) const;
    Bytes read_small(std::string_view) const;
    LogReader read_log(std::string_view) const;
    std::vector<FileInfo> list() const;
    const std::filesystem::path& path() const;
    ReadScope read_scope() const;
  };
  static Store open_store(const std::filesystem::path&, const Options&, OpenMode);
};
struct PlainLogReader {
  std::uint64_t size() const;
  void read(std::uint64_t, std::span<std::byte>) const;
};
struct PlainReader {
  static constexpr StorageCaps caps{};
  using LogReader = PlainLogReader;
  std::uint64_t size() const noexcept;
  const std::filesystem::path& path() const noexcept;
  ByteSpan view(detail::EmptyReadScope&, std::uint64_t, std::size_t) const;
  void prefetch(detail::EmptyReadScope&, std::span<const Range>) const noexcept;
};
struct SizeThrows : PlainReader {
  std::uint64_t size() const;
};
struct ViewsAreWritable : PlainReader {
  std::span<std::byte> view(detail::EmptyReadScope&, std::uint64_t, std::size_t) const;
};
struct PrefetchThrows : PlainReader {
  void prefetch(detail::EmptyReadScope&, std::span<const Range>) const;
};
struct LogWithoutSize : PlainReader {
  struct LogReader : PlainLogReader {
    std::uint64_t size() const = delete;
  };
};
struct LogReadWithoutOffset : PlainReader {
  struct LogReader : PlainLogReader {
    void read(std::span<std::byte>) const;
  };
};
struct LogReaderThatChanges : PlainReader {
  struct LogReader : PlainLogReader {
    void read(std::uint64_t, std::span<std::byte>);
  };
};
struct LogReaderThatStays : PlainReader {
  struct LogReader : PlainLogReader {
    LogReader(LogReader&&) = delete;
  };
};
struct ZeroCopyWithoutData : PlainReader {
  static constexpr StorageCaps caps{.zero_copy = true};
  ByteSpan view(detail::EmptyReadScope&, std::uint64_t, std::size_t) const noexcept;
};
struct ZeroCopyThatThrows : PlainReader {
  static constexpr StorageCaps caps{.zero_copy = true};
  const std::byte* data() const noexcept;
};
struct ZeroCopy : ZeroCopyThatThrows {
  ByteSpan view(detail::EmptyReadScope&, std::uint64_t, std::size_t) const noexcept;
};

static_assert(StoragePolicy<Around<PlainReader>>);
static_assert(StoragePolicy<Around<ZeroCopy>>);
static_assert(!StoragePolicy<WithoutName>);
static_assert(!StoragePolicy<WithNameFoundAtRunTime>);
static_assert(!StoragePolicy<WithCapsFoundAtRunTime>);
static_assert(!StoragePolicy<WithOptionsThatNeedArguments>);
static_assert(!StoragePolicy<WithStoreThatStays>);
static_assert(!StoragePolicy<WithoutReadLog>);
static_assert(!StoragePolicy<WithScopeThatThrows>);
static_assert(!StoragePolicy<Around<SizeThrows>>);
static_assert(!StoragePolicy<Around<ViewsAreWritable>>);
static_assert(!StoragePolicy<Around<PrefetchThrows>>);
static_assert(!StoragePolicy<Around<LogWithoutSize>>);
static_assert(!StoragePolicy<Around<LogReadWithoutOffset>>);
static_assert(!StoragePolicy<Around<LogReaderThatChanges>>);
static_assert(!StoragePolicy<Around<LogReaderThatStays>>);
static_assert(!StoragePolicy<Around<ZeroCopyWithoutData>>);
static_assert(!StoragePolicy<Around<ZeroCopyThatThrows>>);
static_assert(!StoragePolicy<int>);

struct NotClaimingToWrite : MMapPolicy {
  static constexpr StorageCaps caps{.writable = false, .zero_copy = true};
};
struct WritesOneByOne : WritingArchetype {
  struct Store : WritingArchetype::Store {
    using WritingArchetype::Store::Store;
    void publish(Draft&& draft) { WritingArchetype::Store::publish(std::move(draft)); }
  };
  static Store create_store(const std::filesystem::path&, const Options&);
  static Store open_store(const std::filesystem::path&, const Options&, OpenMode);
};
struct CannotCreateStores : ReadingArchetype {
  static constexpr StorageCaps caps{.writable = true};
  using Draft = WritingArchetype::Draft;
  using Lock = WritingArchetype::Lock;
  using Log = WritingArchetype::Log;
  using Store = WritingArchetype::Store;
  static Store open_store(const std::filesystem::path&, const Options&, OpenMode);
};
// The writing archetype around a log of one's own.
template <class L>
struct WithLog : WritingArchetype {
  using Log = L;
  struct Store : WritingArchetype::Store {
    using WritingArchetype::Store::Store;
    Log append_log(std::string_view, ByteSpan);
  };
  static Store create_store(const std::filesystem::path&, const Options&);
  static Store open_store(const std::filesystem::path&, const Options&, OpenMode);
};
struct PlainLog {
  void append(ByteSpan);
  void sync();
};
struct LogThatNeverSyncs {
  void append(ByteSpan);
};
struct LogThatTakesNothing {
  void sync();
};
struct LogThatStays : PlainLog {
  LogThatStays(LogThatStays&&) = delete;
};
struct WithoutLog : WritingArchetype {
  using Log = void;
};
struct CannotBeginLogs : WithLog<PlainLog> {
  struct Store : WithLog<PlainLog>::Store {
    Log append_log(std::string_view, ByteSpan) = delete;
  };
  static Store create_store(const std::filesystem::path&, const Options&);
  static Store open_store(const std::filesystem::path&, const Options&, OpenMode);
};

static_assert(StoragePolicy<NotClaimingToWrite> && !WritableStoragePolicy<NotClaimingToWrite>);
static_assert(StoragePolicy<WritesOneByOne> && !WritableStoragePolicy<WritesOneByOne>);
static_assert(StoragePolicy<CannotCreateStores> && !WritableStoragePolicy<CannotCreateStores>);
static_assert(WritableStoragePolicy<WithLog<PlainLog>>);
static_assert(StoragePolicy<WithLog<LogThatNeverSyncs>> && !WritableStoragePolicy<WithLog<LogThatNeverSyncs>>);
static_assert(StoragePolicy<WithLog<LogThatTakesNothing>> && !WritableStoragePolicy<WithLog<LogThatTakesNothing>>);
static_assert(StoragePolicy<WithLog<LogThatStays>> && !WritableStoragePolicy<WithLog<LogThatStays>>);
static_assert(StoragePolicy<WithoutLog> && !WritableStoragePolicy<WithoutLog>);
static_assert(StoragePolicy<CannotBeginLogs> && !WritableStoragePolicy<CannotBeginLogs>);

// File systems.
struct WithoutSites : PosixFileSystem {
  static IoResult sync_file(File&);
};
struct WithoutAllocation : PosixFileSystem {
  static IoResult allocate(File&, std::uint64_t, std::size_t) = delete;
};
struct WithoutLocks : PosixFileSystem {
  static IoResult try_lock(File&) = delete;
};
struct WithThrowingMapping : PosixFileSystem {
  struct Mapping {
    const std::byte* data() const;
    void will_need(std::uint64_t, std::size_t) const noexcept;
  };
  static IoResult map_ro(const File&, std::size_t, const MapHints&, Mapping&);
};

static_assert(FileSystem<PosixFileSystem>);
static_assert(!FileSystem<WithoutSites>);
static_assert(!FileSystem<WithoutAllocation>);
static_assert(!FileSystem<WithoutLocks>);
static_assert(!FileSystem<WithThrowingMapping>);
static_assert(!FileSystem<int>);

}  // namespace

BOOST_AUTO_TEST_CASE(names_of_policies_differ) {
  BOOST_TEST(MMapPolicy::name == "mmap");
  BOOST_TEST(MemoryPolicy::name == "memory");
  BOOST_TEST(MMapPolicy::name != MemoryPolicy::name);
}

BOOST_AUTO_TEST_SUITE_END()
