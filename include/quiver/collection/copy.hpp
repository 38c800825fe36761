// A collection's moment as a collection of its own: backups, and moves from one policy to another.
#pragma once

#include <quiver/collection/new_store.hpp>

#include <algorithm>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace quiver::detail {

/// A draft that is the file `name` of another store, where both are folders that can share it; else nullopt.
template <WritableStoragePolicy To, class From>
[[nodiscard]] std::optional<typename To::Draft> link_draft(typename To::Store& to, const From& from, const FileRef& file) {
  if constexpr (requires { to.link(file.name, *from.directory(), file.identity); }) {
    if (const auto* folder = from.directory()) return to.link(file.name, *folder, file.identity);
  }
  return std::nullopt;
}

/// Brings what a view shows into a new store, which has nothing in it that a later error leaves behind. One thread, one use.
template <WritableStoragePolicy To, StoragePolicy From>
class Copy {
 public:
  Copy(const View<From>& view, bool links, const std::function<bool(const Progress&)>& progress) : view_(view), links_(links), progress_(progress) {
    for_each_file([this](const FileRef& file, const auto&) { progress_now_.total += file.identity.length; });
  }

  /// Errors as create(), and of reading what is copied. Everything is durable when this returns.
  [[nodiscard]] NewCollection<To> run(const std::filesystem::path& path, const typename To::Options& options) {
    if (!view_.version().manifest.writable())
      fail(Errc::version_mismatch, view_.version().store->path(), "a newer quiver wrote this collection; this one may read it, but not write another like it");
    tell();
    auto fresh = claim_new_store<To>(path, options);
    store_ = fresh.store;
    try {
      auto scope = view_.scope();
      for_each_file([&](const FileRef& file, const auto& block) { take(file, block, scope); });
      publish();
      auto first = first_version();
      drafts_ = draft_flush<To>(*store_, view_.rows(), first);
      names_of_drafts(first);
      publish();
      return begin_collection<To>(std::move(fresh), std::move(first));
    } catch (...) {
      drafts_.clear();
      take_back();
      throw;
    }
  }

 private:
  static constexpr std::size_t most_drafts = 32;  // each is an open file

  /// Calls visit(FileRef, Block) for each file that the target gets as it is.
  template <class Visit>
  void for_each_file(Visit&& visit) const {
    const auto& version = view_.version();
    auto part = version.parts.begin();
    for (const auto& segment : version.manifest.segments)
      for (const auto& files : part_files(version.manifest.schema, segment)) {
        visit(files.scalar, (*part)->scalars().block());
        for (std::size_t i = 0; i < files.vectors.size(); ++i) {
          visit(files.vectors[i], (*part)->vectors(i).block());
          if (const auto* graph = (*part)->graph(i)) visit(files.graphs[i], graph->block());
          if (const auto* codes = (*part)->codes(i)) visit(files.codes[i], codes->block());
        }
        ++part;
      }
    for (std::size_t i = 0; i < version.runs.size(); ++i) visit(version.manifest.id_runs[i], version.runs[i]->block());
  }
  template <class Block, class Scope>
  void take(const FileRef& file, const Block& block, Scope& scope) {
    auto draft = links_ ? link_draft<To>(*store_, *view_.version().store, file) : std::nullopt;
    if (draft) {
      drafts_.push_back(std::move(*draft));
      tell(file.identity.length);
    } else {
      drafts_.push_back(store_->create(file.name));
      block.verify(scope, [&](ByteSpan bytes) {
        drafts_.back().append(bytes);
        const auto count = bytes.size();
        scope.renew();  // no view is held while the caller's function runs
        tell(count);
      });
    }
    names_.push_back(file.name);
    if (drafts_.size() >= most_drafts) publish();
  }
  void publish() {
    store_->publish(std::span(drafts_));
    drafts_.clear();
  }
  /// The same documents and ids under the same names, and a history of its own.
  [[nodiscard]] Version first_version() const {
    auto first = view_.version().manifest;
    first.number = 1;
    first.parent = 0;
    first.continues = false;
    first.retained.clear();
    first.store_id = random_file_id();
    first.time = now_microseconds();
    first.library_version = library_version;
    first.log = {};
    first.last_sequence = 0;
    first.deletes = {};  // those of the moment are written anew
    first.next_doc_id += view_.rows().memtable_rows();
    first.documents = view_.rows().documents();
    return first;
  }
  void names_of_drafts(const Version& version) {
    std::set<std::string> all;
    add_names(version, all);
    names_.assign(all.begin(), all.end());
  }
  void tell(std::uint64_t bytes = 0) {
    progress_now_.done += bytes;
    if (progress_ && !progress_(progress_now_)) fail(Errc::cancelled, store_ ? store_->path() : std::filesystem::path(), "the copy was stopped by its caller");
  }
  /// After an error: leaves a folder that create() takes, unless a manifest is there, or may be.
  void take_back() noexcept {
    try {
      if (!manifest_numbers<To>(*store_).empty()) return;
      for (const auto& name : names_) store_->remove(name);
      store_->remove(log_name(1));
    } catch (...) {
      // What nobody names is no collection: opening says so.
    }
  }

  const View<From>& view_;
  bool links_;
  const std::function<bool(const Progress&)>& progress_;
  Progress progress_now_{"copy", 0, 0};
  std::shared_ptr<typename To::Store> store_;
  std::vector<typename To::Draft> drafts_;
  std::vector<std::string> names_;  // of what is in the target, published or about to be
};

}  // namespace quiver::detail
