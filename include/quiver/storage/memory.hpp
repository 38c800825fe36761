// MemoryPolicy: every file whole in memory, verified while it is loaded; without a path nothing is created anywhere.
#pragma once

#include <quiver/storage/memory_file.hpp>
#include <quiver/storage/posix_file_system.hpp>

#include <variant>

namespace quiver {

struct MemoryOptions {};

/// With a path: a store in files like any other, of which each file is read once, when it is opened; reads never touch the disk afterwards.
/// Without one: a volatile store, gone with its last Store, reader, draft and lock; open_store finds none. Views alias memory that only the process changes and
/// never fail.
template <FileSystem FS>
struct BasicMemoryPolicy {
  static constexpr std::string_view name = "memory";
  static constexpr StorageCaps caps{.writable = true, .zero_copy = true, .volatile_store = true};

  using Options = MemoryOptions;
  using ReadScope = detail::EmptyReadScope;
  using Log = typename detail::Directory<FS>::Log;
  using LogReader = typename detail::Directory<FS>::LogReader;

  /// Shares the bytes with its copies.
  class Reader {
   public:
    explicit Reader(std::shared_ptr<const detail::MemoryFile> file) noexcept : file_(std::move(file)), data_(file_->memory.data()) {}
    [[nodiscard]] std::uint64_t size() const noexcept { return file_->size; }
    [[nodiscard]] std::uint64_t resident() const noexcept { return file_->size; }
    [[nodiscard]] const std::filesystem::path& path() const noexcept { return file_->path; }
    [[nodiscard]] const std::byte* data() const noexcept { return data_; }
    [[nodiscard]] ByteSpan view(ReadScope&, std::uint64_t offset, std::size_t length) const noexcept { return {data_ + offset, length}; }
    void prefetch(ReadScope&, std::span<const Range>) const noexcept {}

   private:
    std::shared_ptr<const detail::MemoryFile> file_;
    const std::byte* data_;
  };

  /// A draft in a folder or in memory.
  class Draft {
   public:
    void append(ByteSpan bytes) {
      std::visit([bytes](auto& draft) { draft.append(bytes); }, draft_);
    }

   private:
    friend BasicMemoryPolicy;
    using Either = std::variant<typename detail::Directory<FS>::Draft, detail::VolatileFiles::Draft>;
    explicit Draft(Either draft) : draft_(std::move(draft)) {}
    Either draft_;
  };

  /// The right to write, until destroyed.
  class Lock {
   private:
    friend BasicMemoryPolicy;
    using Either = std::variant<typename detail::Directory<FS>::Lock, detail::VolatileFiles::Lock>;
    explicit Lock(Either lock) : lock_(std::move(lock)) {}
    Either lock_;
  };

  class Store {
   public:
    [[nodiscard]] Reader open(std::string_view file, const FileIdentity& identity) const {
      if (directory_) return Reader(detail::load_file(*directory_, file, identity));
      auto found = volatile_->find(file);
      // The data was never anywhere else than where it is: identity and footer tell enough.
      verify_file(found->bytes(), identity, VerifyLevel::directory, found->path);
      return Reader(std::move(found));
    }
    [[nodiscard]] Bytes read_small(std::string_view file) const {
      if (directory_) return directory_->read_small(file);
      const auto found = volatile_->find(file);
      return Bytes(found->bytes().begin(), found->bytes().end());
    }
    /// A volatile store has no logs: there is nothing that one could save.
    [[nodiscard]] LogReader read_log(std::string_view file) const {
      if (!directory_) detail::fail(Errc::not_found, path() / file, "a volatile store has no logs");
      return directory_->read_log(file);
    }
    [[nodiscard]] Log append_log(std::string_view file, ByteSpan first) {
      if (!directory_) detail::fail(Errc::unsupported, path() / file, "a volatile store has no logs");
      return directory_->append_log(file, first);
    }
    [[nodiscard]] std::vector<FileInfo> list() const { return directory_ ? directory_->list() : volatile_->list(); }
    [[nodiscard]] const std::filesystem::path& path() const { return directory_ ? directory_->path() : volatile_->path(); }
    [[nodiscard]] ReadScope read_scope() const { return {}; }

    [[nodiscard]] Draft create(std::string_view file) {
      if (directory_) return Draft(directory_->create_draft(file));
      return Draft(volatile_->create_draft(file));
    }
    /// The folder itself, for what another store may share of it; null if volatile.
    [[nodiscard]] const detail::Directory<FS>* directory() const noexcept { return directory_.get(); }
    /// As Directory::link_draft; nullopt if volatile.
    [[nodiscard]] std::optional<Draft> link(std::string_view file, const detail::Directory<FS>& from, const FileIdentity& identity) {
      if (!directory_) return std::nullopt;
      auto draft = directory_->link_draft(file, from, identity);
      return draft ? std::optional(Draft(std::move(*draft))) : std::nullopt;
    }
    void publish(Draft&& draft) { publish(std::span(&draft, 1)); }
    void publish(std::span<Draft> drafts) {
      if (directory_) return directory_->publish(drafts, [](Draft& draft) -> auto& { return inner<0>(draft); });
      volatile_->publish(drafts, [](Draft& draft) -> auto& { return inner<1>(draft); });
    }
    void remove(std::string_view file) { directory_ ? directory_->remove(file) : volatile_->remove(file); }
    [[nodiscard]] Lock lock_for_writing() {
      if (directory_) return Lock(directory_->lock());
      return Lock(volatile_->lock());
    }

   private:
    friend BasicMemoryPolicy;
    explicit Store(std::shared_ptr<detail::Directory<FS>> directory) : directory_(std::move(directory)) {}
    explicit Store(std::shared_ptr<detail::VolatileFiles> files) : volatile_(std::move(files)) {}

    template <std::size_t which>
    static auto& inner(Draft& draft) {
      auto* found = std::get_if<which>(&draft.draft_);
      if (found == nullptr) detail::fail(Errc::invalid_argument, "a draft can be published only by the store that created it");
      return *found;
    }

    // Exactly one is set.
    std::shared_ptr<detail::Directory<FS>> directory_;
    std::shared_ptr<detail::VolatileFiles> volatile_;
  };

  [[nodiscard]] static Store create_store(const std::filesystem::path& path, const Options& = {}) {
    return path.empty() ? Store(std::make_shared<detail::VolatileFiles>()) : Store(detail::Directory<FS>::create(path));
  }
  [[nodiscard]] static Store open_store(const std::filesystem::path& path, const Options&, OpenMode mode) {
    return Store(detail::Directory<FS>::open(path, mode));
  }
};

using MemoryPolicy = BasicMemoryPolicy<PosixFileSystem>;

static_assert(WritableStoragePolicy<MemoryPolicy>);

}  // namespace quiver
