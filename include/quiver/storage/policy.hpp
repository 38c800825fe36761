// The storage seam: what Segment and Collection ask of a backend. README.md beside this file teaches writing one.
#pragma once

#include <quiver/core/trailer.hpp>

#include <concepts>
#include <filesystem>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace quiver {

/// How a store or a collection is opened. A read-only policy takes read_only alone.
enum class OpenMode { read_write, read_only };

/// How much of a file is verified: its identity alone, its footer too (directory and checksums), or every chunk as well.
enum class VerifyLevel { none, directory, full };

/// One file of a store: its name relative to the store, folders separated by '/', and its bytes.
struct FileInfo {
  std::string name;
  std::uint64_t size = 0;
};

/// What a policy claims at compile time.
struct StorageCaps {
  bool writable = false;        ///< has drafts, publish, remove, lock: WritableStoragePolicy
  bool zero_copy = false;       ///< views never fail and alias one stable range that Reader::data() exposes
  bool volatile_store = false;  ///< an empty path means a store that lives and dies with its Store object
};

// clang-format off

/// A claim of zero copy is held: data() is there and view() cannot throw.
template <class P>
concept ZeroCopyClaimHolds = !P::caps.zero_copy ||
    requires(const typename P::Reader& reader, typename P::ReadScope& scope, std::uint64_t offset, std::size_t length) {
      { reader.data() } noexcept -> std::same_as<const std::byte*>;
      { reader.view(scope, offset, length) } noexcept -> std::same_as<ByteSpan>;
    };

/// Reading: what every backend can do. A Store and its Readers may be used from any thread at once; a ReadScope belongs to one thread.
/// A view lives until its scope is renewed or destroyed, and no longer; scopes may nest on a thread. A Reader outlives its Store's handle.
template <class P>
concept StoragePolicy =
    std::default_initializable<typename P::Options> && std::move_constructible<typename P::Store> && std::move_constructible<typename P::Reader> &&
    std::move_constructible<typename P::ReadScope> && std::same_as<std::remove_cvref_t<decltype(P::caps)>, StorageCaps> &&
    requires(const typename P::Store& store, const typename P::Reader& reader, typename P::ReadScope& scope, const std::filesystem::path& path,
             const typename P::Options& options, OpenMode mode, const FileIdentity& identity, std::string_view name, std::uint64_t offset, std::size_t length,
             std::span<const Range> ranges) {
      typename std::integral_constant<std::size_t, std::string_view(P::name).size()>;  // "mmap", "memory": a constant
      typename std::bool_constant<P::caps.zero_copy>;                                  // claims are constants
      { P::open_store(path, options, mode) } -> std::same_as<typename P::Store>;       // not_found; read_only
      { store.open(name, identity) } -> std::same_as<typename P::Reader>;              // not_found, corruption, version_mismatch, io_error
      { store.read_small(name) } -> std::same_as<Bytes>;                               // manifests: whole, no trailer
      { store.read_log(name) } -> std::same_as<typename P::LogReader>;                 // not_found
      { store.list() } -> std::same_as<std::vector<FileInfo>>;
      { store.path() } -> std::same_as<const std::filesystem::path&>;                  // for messages; empty if volatile
      { store.read_scope() } -> std::same_as<typename P::ReadScope>;
      { reader.size() } noexcept -> std::same_as<std::uint64_t>;
      { reader.path() } noexcept -> std::same_as<const std::filesystem::path&>;        // for messages
      { reader.view(scope, offset, length) } -> std::same_as<ByteSpan>;                // io_error or corruption, nothing else. REQUIRES: within size()
      { reader.prefetch(scope, ranges) } noexcept;                                     // what it reads ahead is owned by the scope
      { scope.renew() } noexcept;
    } && requires(const typename P::LogReader& log, std::uint64_t offset, std::span<std::byte> to) {
      { log.size() } -> std::same_as<std::uint64_t>;                                   // may grow between two looks
      { log.read(offset, to) };                                                        // io_error; corruption where the log ends before
    } && std::move_constructible<typename P::LogReader> && ZeroCopyClaimHolds<P>;

/// Writing: everything is write once. A draft is invisible until published; publishing never replaces.
/// Any thread may write, beside others; one thread per draft, and per log one that appends.
template <class P>
concept WritableStoragePolicy = StoragePolicy<P> && P::caps.writable && std::move_constructible<typename P::Draft> && std::move_constructible<typename P::Lock> &&
    std::move_constructible<typename P::Log> &&
    requires(typename P::Store& store, typename P::Draft& draft, typename P::Log& log, std::span<typename P::Draft> drafts, const std::filesystem::path& path,
             const typename P::Options& options, std::string_view name, ByteSpan bytes) {
      { P::create_store(path, options) } -> std::same_as<typename P::Store>;  // makes the folder where it is missing; already_exists if foreign files are in it
      { store.create(name) } -> std::same_as<typename P::Draft>;              // discarded by its destructor unless published
      { draft.append(bytes) };                                                // io_error, no_space
      { store.publish(std::move(draft)) };                                    // durable, then visible; already_exists
      { store.publish(drafts) };                                              // several: all durable before the first is visible
      { store.append_log(name, bytes) } -> std::same_as<typename P::Log>;     // a new one that begins with these bytes, durable
      { log.append(bytes) };                                                  // no_space: nothing was written; io_error: no more writing
      { log.sync() };                                                         // what was appended is durable
      { store.remove(name) };                                                 // a missing file is no error
      { store.lock_for_writing() } -> std::same_as<typename P::Lock>;         // Errc::locked at once, in this process too
    };

// clang-format on

}  // namespace quiver
