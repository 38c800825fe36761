// Cereal archives over bytes in memory: fixed little-endian fields out, and a reader in that trusts no length.
#pragma once

#include <quiver/core/bytes.hpp>

#include <cereal/cereal.hpp>
#include <cereal/types/string.hpp>

#include <string>
#include <type_traits>
#include <utility>

namespace quiver::detail {

/// Writes into bytes that it owns: arithmetic values little endian and of their own width, bool as one byte, lengths as u64. One thread.
class ByteOutputArchive : public cereal::OutputArchive<ByteOutputArchive, 0> {
 public:
  ByteOutputArchive() : cereal::OutputArchive<ByteOutputArchive, 0>(this) {}

  template <Scalar T>
  void write(T value) {
    detail::append(bytes_, value);
  }
  void write(ByteSpan bytes) { detail::append(bytes_, bytes); }

  [[nodiscard]] Bytes take() noexcept { return std::exchange(bytes_, {}); }

 private:
  Bytes bytes_;
};

/// Reads from a span that it does not own. Whatever the bytes are, it throws cereal::Exception before it reads past the end
/// and before anything is sized beyond what the bytes left can hold. One thread.
class ByteInputArchive : public cereal::InputArchive<ByteInputArchive, 0> {
 public:
  explicit ByteInputArchive(ByteSpan bytes) : cereal::InputArchive<ByteInputArchive, 0>(this), bytes_(bytes), budget_(bytes.size()) {}

  [[nodiscard]] std::size_t position() const noexcept { return at_; }
  [[nodiscard]] std::size_t left() const noexcept { return bytes_.size() - at_; }

  [[nodiscard]] ByteSpan take(std::uint64_t length) {
    if (length > left()) throw cereal::Exception("a field of " + std::to_string(length) + " bytes where " + std::to_string(left()) + " are left");
    const auto part = bytes_.subspan(at_, static_cast<std::size_t>(length));
    at_ += static_cast<std::size_t>(length);
    return part;
  }
  template <Scalar T>
  [[nodiscard]] T take() {
    return load<T>(take(sizeof(T)).data());
  }

  /// Called before anything is resized to `count` elements, each of which takes at least `least` bytes here. Elements of the whole
  /// archive share one budget, so that nested lists cannot multiply.
  void expect(std::uint64_t count, std::size_t least) {
    if (count > left() / least) throw cereal::Exception("a list of " + std::to_string(count) + " elements where " + std::to_string(left()) + " bytes are left");
    if (count > budget_) throw cereal::Exception("more elements than bytes");
    budget_ -= static_cast<std::size_t>(count);
  }
  /// Bytes that nothing has read are an error.
  void done() const {
    if (left() != 0) throw cereal::Exception(std::to_string(left()) + " bytes that belong to nothing");
  }

 private:
  ByteSpan bytes_;
  std::size_t at_ = 0;
  std::size_t budget_;
};

template <class T>
  requires std::is_arithmetic_v<T>
void CEREAL_SAVE_FUNCTION_NAME(ByteOutputArchive& out, const T& value) {
  if constexpr (std::is_same_v<T, bool>) {
    out.write(static_cast<std::uint8_t>(value ? 1 : 0));
  } else {
    out.write(value);
  }
}

template <class T>
  requires std::is_arithmetic_v<T>
void CEREAL_LOAD_FUNCTION_NAME(ByteInputArchive& in, T& value) {
  if constexpr (std::is_same_v<T, bool>) {
    const auto byte = in.take<std::uint8_t>();
    if (byte > 1) throw cereal::Exception("a truth value of " + std::to_string(byte));
    value = byte == 1;
  } else {
    value = in.take<T>();
  }
}

template <class T>
void CEREAL_SAVE_FUNCTION_NAME(ByteOutputArchive& out, const cereal::SizeTag<T>& tag) {
  out.write(static_cast<std::uint64_t>(tag.size));
}

template <class T>
void CEREAL_LOAD_FUNCTION_NAME(ByteInputArchive& in, cereal::SizeTag<T>& tag) {
  const auto count = in.take<std::uint64_t>();
  in.expect(count, 1);
  tag.size = static_cast<std::remove_reference_t<decltype(tag.size)>>(count);
}

template <class T>
void CEREAL_SAVE_FUNCTION_NAME(ByteOutputArchive& out, const cereal::BinaryData<T>& data) {
  out.write(ByteSpan(reinterpret_cast<const std::byte*>(data.data), static_cast<std::size_t>(data.size)));
}

template <class T>
void CEREAL_LOAD_FUNCTION_NAME(ByteInputArchive& in, cereal::BinaryData<T>& data) {
  const auto part = in.take(data.size);
  // memcpy must not see the null pointer of an empty target.
  if (!part.empty()) std::memcpy(data.data, part.data(), part.size());
}

/// An enum as its underlying number; a number that `known` denies is refused.
template <class E>
struct EnumField {
  E& value;
  bool (*known)(E);
};
template <class E>
[[nodiscard]] EnumField<E> enum_field(E& value, std::type_identity_t<bool (*)(E)> known) noexcept {
  return {value, known};
}

template <class E>
void CEREAL_SAVE_FUNCTION_NAME(ByteOutputArchive& out, const EnumField<E>& field) {
  out.write(static_cast<std::underlying_type_t<E>>(field.value));
}

template <class E>
void CEREAL_LOAD_FUNCTION_NAME(ByteInputArchive& in, EnumField<E>& field) {
  const auto number = in.take<std::underlying_type_t<E>>();
  const auto value = static_cast<E>(number);
  if (!field.known(value)) throw cereal::Exception("the unknown kind " + std::to_string(number));
  field.value = value;
}

/// A vector of structs, each of at least `least` bytes in the archive: the length is held against that before the vector is sized.
template <class List>
struct ListField {
  List& list;
  std::size_t least;
};
template <class List>
[[nodiscard]] ListField<List> list_field(List& list, std::size_t least) noexcept {
  return {list, least};
}

template <class List>
void CEREAL_SAVE_FUNCTION_NAME(ByteOutputArchive& out, const ListField<List>& field) {
  out.write(static_cast<std::uint64_t>(field.list.size()));
  for (const auto& element : field.list) out(element);
}

template <class List>
void CEREAL_LOAD_FUNCTION_NAME(ByteInputArchive& in, ListField<List>& field) {
  const auto count = in.take<std::uint64_t>();
  in.expect(count, field.least);
  field.list.resize(static_cast<std::size_t>(count));
  for (auto& element : field.list) in(element);
}

}  // namespace quiver::detail

// Each archive is the other's counterpart, and both are binary.
CEREAL_SETUP_ARCHIVE_TRAITS(quiver::detail::ByteInputArchive, quiver::detail::ByteOutputArchive)
