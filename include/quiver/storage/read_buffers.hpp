// The buffers that explicit reads fill, owned by a read scope, and found again by the next view that wants the same bytes.
#pragma once

#include <quiver/core/types.hpp>

#include <algorithm>
#include <map>
#include <memory>
#include <new>
#include <span>

namespace quiver::detail {

/// Bytes at a page boundary, not zeroed. Move-only.
class AlignedBytes {
 public:
  AlignedBytes() = default;
  explicit AlignedBytes(std::size_t size) : bytes_(static_cast<std::byte*>(::operator new(size, alignment))), size_(size) {}
  [[nodiscard]] std::byte* data() const noexcept { return bytes_.get(); }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

 private:
  static constexpr std::align_val_t alignment{4096};
  struct Free {
    void operator()(std::byte* bytes) const noexcept { ::operator delete(bytes, alignment); }
  };
  std::unique_ptr<std::byte, Free> bytes_;
  std::size_t size_ = 0;
};

/// Verified stretches of files, until renew(). One thread. Owns the buffers and keeps the files that they came from.
class ReadBuffers {
 public:
  /// The bytes [offset, offset + length) of `file` if one buffer holds them all, else null.
  [[nodiscard]] const std::byte* find(const void* file, std::uint64_t offset, std::size_t length) const noexcept {
    // The last that begins at or before `offset`. An older one that reaches further may be missed: then bytes are read twice, no more.
    auto next = held_.upper_bound(Key{file, offset});
    if (next == held_.begin()) return nullptr;
    const auto& [key, held] = *--next;
    if (key.file != file || offset + length > key.offset + held.length) return nullptr;
    return held.bytes.data() + (offset - key.offset);
  }
  /// A buffer of at least `length` bytes, of those that were given back if one fits.
  [[nodiscard]] AlignedBytes take(std::size_t length) {
    const auto fit = std::find_if(spare_.begin(), spare_.end(), [length](const AlignedBytes& b) { return b.size() >= length; });
    if (fit == spare_.end()) return AlignedBytes((length + granule - 1) / granule * granule);
    auto bytes = std::move(*fit);
    spare_bytes_ -= bytes.size();
    spare_.erase(fit);
    return bytes;
  }
  /// Holds `length` verified bytes from `offset` of `file` and gives their place, good until renew().
  const std::byte* hold(std::shared_ptr<const void> file, std::uint64_t offset, std::size_t length, AlignedBytes bytes) {
    const Key key{file.get(), offset};
    return held_.emplace(key, Held{std::move(file), length, std::move(bytes)})->second.bytes.data();
  }
  void renew() noexcept {
    for (auto& [key, held] : held_) {
      if (spare_.size() == spare_.capacity() || spare_bytes_ + held.bytes.size() > spare_limit) continue;
      spare_bytes_ += held.bytes.size();
      spare_.push_back(std::move(held.bytes));
    }
    held_.clear();
  }

  ReadBuffers() { spare_.reserve(16); }

 private:
  static constexpr std::size_t granule = 4096;
  static constexpr std::size_t spare_limit = std::size_t{4} << 20;

  struct Key {
    const void* file;
    std::uint64_t offset;
    friend bool operator<(const Key& a, const Key& b) noexcept { return a.file != b.file ? std::less<>{}(a.file, b.file) : a.offset < b.offset; }
  };
  struct Held {
    std::shared_ptr<const void> file;  // no other file may get its address while its bytes are here
    std::size_t length;
    AlignedBytes bytes;
  };

  std::multimap<Key, Held> held_;
  std::vector<AlignedBytes> spare_;
  std::size_t spare_bytes_ = 0;
};

}  // namespace quiver::detail
