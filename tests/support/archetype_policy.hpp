// The poorest policies that conform: nothing can be done with their parts but what the concepts ask for.
#pragma once

#include <quiver/storage/memory.hpp>

#include <memory>
#include <utility>

namespace quiver::test {

/// Holds a T and can only be moved, and only into a new one: no default, no copy, no assignment, no comparison.
template <class T>
class OnlyMovable {
 public:
  explicit OnlyMovable(T value) : value_(std::make_unique<T>(std::move(value))) {}
  OnlyMovable(OnlyMovable&&) noexcept = default;
  OnlyMovable& operator=(OnlyMovable&&) = delete;

 protected:
  std::unique_ptr<T> value_;
};

/// MemoryPolicy stripped to the letter of StoragePolicy. Options are made and passed on, never copied or compared.
struct ReadingArchetype {
  static constexpr std::string_view name = "archetype";
  static constexpr StorageCaps caps{};

  struct Options {};

  class ReadScope : OnlyMovable<MemoryPolicy::ReadScope> {
   public:
    using OnlyMovable::OnlyMovable;
    void renew() noexcept { value_->renew(); }

   private:
    friend ReadingArchetype;
  };
  class Reader : OnlyMovable<MemoryPolicy::Reader> {
   public:
    using OnlyMovable::OnlyMovable;
    std::uint64_t size() const noexcept { return value_->size(); }
    const std::filesystem::path& path() const noexcept { return value_->path(); }
    ByteSpan view(ReadScope& scope, std::uint64_t offset, std::size_t length) const { return value_->view(inner(scope), offset, length); }
    void prefetch(ReadScope& scope, std::span<const Range> ranges) const noexcept { value_->prefetch(inner(scope), ranges); }
  };
  class LogReader : OnlyMovable<MemoryPolicy::LogReader> {
   public:
    using OnlyMovable::OnlyMovable;
    std::uint64_t size() const { return value_->size(); }
    void read(std::uint64_t offset, std::span<std::byte> to) const { value_->read(offset, to); }
  };
  class Store : protected OnlyMovable<MemoryPolicy::Store> {
   public:
    using OnlyMovable::OnlyMovable;
    Reader open(std::string_view file, const FileIdentity& identity) const { return Reader(value_->open(file, identity)); }
    Bytes read_small(std::string_view file) const { return value_->read_small(file); }
    LogReader read_log(std::string_view file) const { return LogReader(value_->read_log(file)); }
    std::vector<FileInfo> list() const { return value_->list(); }
    const std::filesystem::path& path() const { return value_->path(); }
    ReadScope read_scope() const { return ReadScope(value_->read_scope()); }
  };

  static Store open_store(const std::filesystem::path& path, const Options&, OpenMode mode) {
    if (mode != OpenMode::read_only) throw Error(Errc::read_only, "the archetype only reads", path);
    return Store(MemoryPolicy::open_store(path, {}, mode));
  }

 private:
  static MemoryPolicy::ReadScope& inner(ReadScope& scope) noexcept { return *scope.value_; }
};

/// And to the letter of WritableStoragePolicy.
struct WritingArchetype {
  static constexpr std::string_view name = "writing_archetype";
  static constexpr StorageCaps caps{.writable = true};

  using Options = ReadingArchetype::Options;
  using Reader = ReadingArchetype::Reader;
  using ReadScope = ReadingArchetype::ReadScope;
  using LogReader = ReadingArchetype::LogReader;

  class Draft : OnlyMovable<MemoryPolicy::Draft> {
   public:
    using OnlyMovable::OnlyMovable;
    void append(ByteSpan bytes) { value_->append(bytes); }

   private:
    friend WritingArchetype;
  };
  using Lock = OnlyMovable<MemoryPolicy::Lock>;
  class Log : OnlyMovable<MemoryPolicy::Log> {
   public:
    using OnlyMovable::OnlyMovable;
    void append(ByteSpan bytes) { value_->append(bytes); }
    void sync() { value_->sync(); }
  };

  class Store : public ReadingArchetype::Store {
   public:
    using ReadingArchetype::Store::Store;
    Draft create(std::string_view file) { return Draft(value_->create(file)); }
    void publish(Draft&& draft) { value_->publish(std::move(inner(draft))); }
    void publish(std::span<Draft> drafts) {
      std::vector<MemoryPolicy::Draft> all;
      for (auto& draft : drafts) all.push_back(std::move(inner(draft)));
      value_->publish(all);
    }
    Log append_log(std::string_view file, ByteSpan first) { return Log(value_->append_log(file, first)); }
    void remove(std::string_view file) { value_->remove(file); }
    Lock lock_for_writing() { return Lock(value_->lock_for_writing()); }
  };

  static Store create_store(const std::filesystem::path& path, const Options&) { return Store(MemoryPolicy::create_store(path)); }
  static Store open_store(const std::filesystem::path& path, const Options&, OpenMode mode) { return Store(MemoryPolicy::open_store(path, {}, mode)); }

 private:
  static MemoryPolicy::Draft& inner(Draft& draft) noexcept { return *draft.value_; }
};

static_assert(StoragePolicy<ReadingArchetype> && !WritableStoragePolicy<ReadingArchetype>);
static_assert(WritableStoragePolicy<WritingArchetype>);

}  // namespace quiver::test
