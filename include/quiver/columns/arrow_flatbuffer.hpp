// A forward writer of FlatBuffers, just enough for Arrow's messages: a table first, then what it refers to, so that references point ahead as the
// format demands. Source: FlatBuffers internals, https://flatbuffers.dev/internals.
#pragma once

#include <quiver/core/bytes.hpp>

#include <algorithm>
#include <array>
#include <initializer_list>

namespace quiver::detail {

/// One field of a table: a scalar of `size` bytes stored in place, or a reference (4 bytes) that is linked later.
struct FlatField {
  std::size_t slot = 0;
  std::size_t size = 0;
  std::uint64_t bits = 0;
};

template <Scalar T>
[[nodiscard]] FlatField flat_value(std::size_t slot, T value) noexcept {
  FlatField field{slot, sizeof(T), 0};
  std::memcpy(&field.bits, &value, sizeof(T));
  return field;
}
[[nodiscard]] inline FlatField flat_reference(std::size_t slot) noexcept { return {slot, 4, 0}; }

/// A table in a FlatBuffer: where it is, and where its fields are.
struct FlatTable {
  static constexpr std::size_t max_slots = 8;
  std::size_t position = 0;
  std::array<std::size_t, max_slots> fields{};
};

/// A FlatBuffer as it grows. Positions count from its beginning, which must come to lie at a multiple of 8 for readers that map it. One thread.
class FlatBuffer {
 public:
  FlatBuffer() : bytes_(4) {}

  /// Appends a vtable and its table. REQUIRES: slots below FlatTable::max_slots, each once.
  FlatTable put_table(std::initializer_list<FlatField> fields) {
    std::array<std::uint16_t, FlatTable::max_slots> places{};
    std::size_t slots = 0, end = 4;
    for (const std::size_t size : {8u, 4u, 2u, 1u}) {  // widest first: every field aligned, little padding
      for (const auto& field : fields) {
        if (field.size != size) continue;
        end = static_cast<std::size_t>(align_up(end, size));
        places[field.slot] = static_cast<std::uint16_t>(end);
        end += size;
        slots = std::max(slots, field.slot + 1);
      }
    }
    const std::size_t vtable_size = 4 + 2 * slots;
    bytes_.resize(static_cast<std::size_t>(align_up(bytes_.size() + vtable_size, 8)) - vtable_size);
    const auto vtable = bytes_.size();
    append(bytes_, static_cast<std::uint16_t>(vtable_size));
    append(bytes_, static_cast<std::uint16_t>(end));
    for (std::size_t slot = 0; slot < slots; ++slot) append(bytes_, places[slot]);

    FlatTable table;
    table.position = bytes_.size();
    bytes_.resize(table.position + end);
    store(&bytes_[table.position], static_cast<std::int32_t>(table.position - vtable));
    for (const auto& field : fields) {
      table.fields[field.slot] = table.position + places[field.slot];
      std::memcpy(&bytes_[table.fields[field.slot]], &field.bits, field.size);
    }
    return table;
  }
  FlatTable put_root(std::initializer_list<FlatField> fields) {
    const auto table = put_table(fields);
    link(0, table.position);
    return table;
  }
  std::size_t put_string(std::string_view text) {
    const auto position = begin_vector(text.size(), 4);
    append(bytes_, as_bytes(text));
    bytes_.push_back(std::byte{0});
    return position;
  }
  /// A vector of `count` references; entry i is linked at reference_at(position, i).
  std::size_t put_references(std::size_t count) {
    const auto position = begin_vector(count, 4);
    bytes_.resize(bytes_.size() + 4 * count);
    return position;
  }
  [[nodiscard]] static std::size_t reference_at(std::size_t position, std::size_t i) noexcept { return position + 4 + 4 * i; }

  /// Begins a vector of `count` elements that the caller appends with put(); elements are aligned to `alignment`, 4 or 8.
  std::size_t begin_vector(std::size_t count, std::size_t alignment) {
    bytes_.resize(static_cast<std::size_t>(align_up(bytes_.size() + 4, alignment)) - 4);
    append(bytes_, static_cast<std::uint32_t>(count));
    return bytes_.size() - 4;
  }
  template <Scalar T>
  void put(T value) {
    append(bytes_, value);
  }
  /// Makes the reference at `from` point to `target`. REQUIRES: target lies behind from.
  void link(std::size_t from, std::size_t target) noexcept { store(&bytes_[from], static_cast<std::uint32_t>(target - from)); }

  /// The finished buffer, padded to a multiple of 8.
  [[nodiscard]] Bytes take() {
    bytes_.resize(static_cast<std::size_t>(align_up(bytes_.size(), 8)));
    return std::move(bytes_);
  }

 private:
  Bytes bytes_;
};

}  // namespace quiver::detail
