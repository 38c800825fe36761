// The halves of a Store that policies over files share.
#pragma once

#include <quiver/storage/directory_link.hpp>
#include <quiver/storage/directory_log.hpp>

namespace quiver::detail {

/// For readers whose views live as long as their file is open: there is nothing to hold.
struct EmptyReadScope {
  void renew() noexcept {}
};

/// The folder of a store for a policy that cannot write. read_only: asked to.
template <FileSystem FS>
[[nodiscard]] std::shared_ptr<Directory<FS>> open_read_only(const std::filesystem::path& path, OpenMode mode, std::string_view policy) {
  if (mode != OpenMode::read_only)
    fail(Errc::read_only, path, "the policy '" + std::string(policy) + "' only reads; open with OpenMode::read_only, or with a policy that writes");
  return Directory<FS>::open(path, mode);
}

/// What stores in folders share for reading. Copies share one directory.
template <FileSystem FS>
class FolderStore {
 public:
  explicit FolderStore(std::shared_ptr<Directory<FS>> directory) : directory_(std::move(directory)) {}

  using LogReader = typename Directory<FS>::LogReader;

  [[nodiscard]] LogReader read_log(std::string_view name) const { return directory_->read_log(name); }
  [[nodiscard]] Bytes read_small(std::string_view name) const { return directory_->read_small(name); }
  [[nodiscard]] std::vector<FileInfo> list() const { return directory_->list(); }
  [[nodiscard]] const std::filesystem::path& path() const { return directory_->path(); }
  /// The folder itself, for what another store may share of it.
  [[nodiscard]] const Directory<FS>* directory() const noexcept { return directory_.get(); }

 protected:
  std::shared_ptr<Directory<FS>> directory_;
};

/// And for writing.
template <FileSystem FS>
class WritableFolderStore : public FolderStore<FS> {
 public:
  using FolderStore<FS>::FolderStore;
  using Draft = typename Directory<FS>::Draft;
  using Log = typename Directory<FS>::Log;

  [[nodiscard]] Draft create(std::string_view name) { return this->directory_->create_draft(name); }
  /// As Directory::link_draft.
  [[nodiscard]] std::optional<Draft> link(std::string_view name, const Directory<FS>& from, const FileIdentity& identity) {
    return this->directory_->link_draft(name, from, identity);
  }
  /// As Directory::keep_aside: second names within `folder`, durable when this returns.
  void keep_aside(std::span<const std::string> names, const std::string& folder) {
    for (const auto& name : names) {
      auto second = folder + '/';
      std::replace_copy(name.begin(), name.end(), std::back_inserter(second), '/', '-');
      this->directory_->keep_aside(name, second);
    }
    if (!names.empty()) this->directory_->sync_aside(folder);
  }
  void publish(Draft&& draft) { this->directory_->publish(std::span(&draft, 1)); }
  void publish(std::span<Draft> drafts) { this->directory_->publish(drafts); }
  [[nodiscard]] Log append_log(std::string_view name, ByteSpan first) { return this->directory_->append_log(name, first); }
  void remove(std::string_view name) { this->directory_->remove(name); }
  [[nodiscard]] typename Directory<FS>::Lock lock_for_writing() { return this->directory_->lock(); }
};

}  // namespace quiver::detail
