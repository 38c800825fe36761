// CountingPolicy<P>: P, and how often what of it was used.
#pragma once

#include "support/wrapped_policy.hpp"

#include <atomic>

namespace quiver::test {

/// What readers and scopes of one CountingPolicy did, in the whole process.
struct Counts {
  std::atomic<std::uint64_t> opened{0}, views{0}, bytes{0}, prefetched{0}, scopes{0}, renewed{0};
  void reset() noexcept { opened = views = bytes = prefetched = scopes = renewed = 0; }
};

template <StoragePolicy P>
struct CountingPolicy : WrappedWriting<P> {
  static constexpr std::string_view name = "counting";
  static constexpr StorageCaps caps = P::caps;
  static inline Counts counts;

  using Options = typename P::Options;

  class ReadScope {
   public:
    explicit ReadScope(typename P::ReadScope inner) : inner_(std::move(inner)) { ++counts.scopes; }
    void renew() noexcept {
      ++counts.renewed;
      inner_.renew();
    }

   private:
    friend CountingPolicy;
    typename P::ReadScope inner_;
  };

  class Reader {
   public:
    explicit Reader(typename P::Reader inner) : inner_(std::move(inner)) { ++counts.opened; }
    [[nodiscard]] std::uint64_t size() const noexcept { return inner_.size(); }
    [[nodiscard]] const std::filesystem::path& path() const noexcept { return inner_.path(); }
    [[nodiscard]] const std::byte* data() const noexcept
      requires(P::caps.zero_copy)
    {
      return inner_.data();
    }
    [[nodiscard]] ByteSpan view(ReadScope& scope, std::uint64_t offset, std::size_t length) const noexcept(P::caps.zero_copy) {
      ++counts.views;
      counts.bytes += length;
      return inner_.view(scope.inner_, offset, length);
    }
    void prefetch(ReadScope& scope, std::span<const Range> ranges) const noexcept {
      counts.prefetched += ranges.size();
      inner_.prefetch(scope.inner_, ranges);
    }

   private:
    typename P::Reader inner_;
  };

  class Store : public WrappedStore<P> {
   public:
    using WrappedStore<P>::WrappedStore;
    [[nodiscard]] Reader open(std::string_view file, const FileIdentity& identity) const { return Reader(this->inner_.open(file, identity)); }
    [[nodiscard]] ReadScope read_scope() const { return ReadScope(this->inner_.read_scope()); }
  };

  [[nodiscard]] static Store open_store(const std::filesystem::path& path, const Options& options, OpenMode mode) {
    return Store(P::open_store(path, options, mode));
  }
  [[nodiscard]] static Store create_store(const std::filesystem::path& path, const Options& options = {})
    requires WritableStoragePolicy<P>
  {
    return Store(P::create_store(path, options));
  }
};

}  // namespace quiver::test
