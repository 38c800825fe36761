// StrictPolicy: catches code that keeps a view longer than its scope, with and without a sanitizer.
#pragma once

#include <quiver/storage/memory.hpp>

#include "support/wrapped_policy.hpp"

#include <algorithm>
#include <memory>
#include <new>

namespace quiver::test {

/// Every view is a copy of exactly its length, aligned to 64 as the file is and no more; renew() overwrites it and frees it.
template <class P>
struct BasicStrictPolicy : WrappedWriting<P> {
  static constexpr std::string_view name = "strict";
  static constexpr StorageCaps caps{.writable = P::caps.writable, .zero_copy = false, .volatile_store = P::caps.volatile_store};
  static constexpr std::byte poison{0xDB};

  using Options = typename P::Options;

  class ReadScope {
   public:
    explicit ReadScope(typename P::ReadScope inner) : inner_(std::move(inner)) {}
    ReadScope(ReadScope&& other) noexcept : inner_(std::move(other.inner_)), copies_(std::exchange(other.copies_, {})) {}
    ~ReadScope() { drop(); }
    void renew() noexcept {
      drop();
      inner_.renew();
    }

   private:
    friend BasicStrictPolicy;
    static constexpr std::align_val_t alignment{64};
    struct Copy {
      std::byte* block;
      std::size_t size;
    };
    ByteSpan keep(ByteSpan view, std::size_t lead) {
      copies_.reserve(copies_.size() + 1);
      const auto size = lead + view.size();
      auto* block = static_cast<std::byte*>(::operator new(size, alignment));
      std::copy(view.begin(), view.end(), block + lead);
      copies_.push_back({block, size});
      return {block + lead, view.size()};
    }
    void drop() noexcept {
      for (const auto& copy : copies_) {
        volatile std::byte* bytes = copy.block;  // or the compiler leaves out stores to what is freed next
        for (std::size_t i = 0; i < copy.size; ++i) bytes[i] = poison;
        ::operator delete(copy.block, alignment);
      }
      copies_.clear();
    }
    typename P::ReadScope inner_;
    std::vector<Copy> copies_;
  };

  class Reader {
   public:
    explicit Reader(typename P::Reader inner) : inner_(std::move(inner)) {}
    [[nodiscard]] std::uint64_t size() const noexcept { return inner_.size(); }
    [[nodiscard]] const std::filesystem::path& path() const noexcept { return inner_.path(); }
    [[nodiscard]] ByteSpan view(ReadScope& scope, std::uint64_t offset, std::size_t length) const {
      return scope.keep(inner_.view(scope.inner_, offset, length), static_cast<std::size_t>(offset % 64));
    }
    void prefetch(ReadScope& scope, std::span<const Range> ranges) const noexcept { inner_.prefetch(scope.inner_, ranges); }

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

using StrictPolicy = BasicStrictPolicy<MemoryPolicy>;

static_assert(WritableStoragePolicy<StrictPolicy>);

}  // namespace quiver::test
