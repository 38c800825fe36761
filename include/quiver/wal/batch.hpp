// The payload of a log record: the documents that one batch puts and deletes. README.md beside this file shows the bytes.
#pragma once

#include <quiver/core/bytes.hpp>
#include <quiver/schema/bind.hpp>
#include <quiver/schema/document.hpp>
#include <quiver/schema/schema.hpp>

#include <algorithm>
#include <concepts>
#include <cstring>
#include <filesystem>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace quiver::detail {

/// Lengths and counts are 32 bits wide: Errc::invalid_argument for one that is not.
[[nodiscard]] inline std::uint32_t wal_length(std::size_t length) {
  if (length > std::numeric_limits<std::uint32_t>::max())
    fail(Errc::invalid_argument, "a text, bytes or list of " + std::to_string(length) + " is too long for the log; give fewer than 4 Gi");
  return static_cast<std::uint32_t>(length);
}

/// Encodes batches one after another into a buffer of its own, which is kept: no allocation once warm. Puts and deletes are two lists; no order is kept
/// between a put and a delete, and none is needed, as an id is never used again. Refers to the schema. One thread.
class WalBatch {
 public:
  explicit WalBatch(const Schema& schema) : schema_(&schema) { clear(); }

  void clear() {
    bytes_.resize(counts_size);
    puts_end_ = counts_size;
    puts_ = 0;
    deletes_.clear();
  }

  /// Adds a document that bind_document accepted under the schema. Errc::invalid_argument, and the batch as it was, where a text or a list has 4 Gi or more.
  void put(DocId id, std::string_view key, const BoundRow& row) {
    bytes_.resize(puts_end_);
    const auto puts = wal_length(puts_ + 1);
    append(bytes_, id.value);
    append_text(as_bytes(key));
    const auto& fields = schema_->fields();
    for (std::size_t i = 0; i < fields.size(); ++i) append_scalar(fields[i].type(), row.scalars[i]);
    for (std::size_t i = 0; i < schema_->vectors().size(); ++i) append(bytes_, row.vectors[i]);
    // Nothing counts before this: what a failure left behind is cut off by the next call.
    puts_end_ = bytes_.size();
    puts_ = puts;
  }
  void erase(DocId id) {
    static_cast<void>(wal_length(deletes_.size() + 1));
    deletes_.push_back(id);
  }

  [[nodiscard]] std::size_t puts() const noexcept { return puts_; }
  [[nodiscard]] std::size_t deletes() const noexcept { return deletes_.size(); }

  /// The payload; valid until the batch is changed.
  [[nodiscard]] ByteSpan bytes() {
    bytes_.resize(puts_end_);
    for (const auto id : deletes_) append(bytes_, id.value);
    store(bytes_.data(), wal_length(puts_));
    store(bytes_.data() + 4, wal_length(deletes_.size()));
    return bytes_;
  }

 private:
  static constexpr std::size_t counts_size = 8;

  void append_text(ByteSpan text) {
    append(bytes_, wal_length(text.size()));
    append(bytes_, text);
  }
  template <class T>
  void append_number(const Value& value) {
    T converted{};
    // bind_document has shown that it converts.
    (void)convert(value, converted);
    append(bytes_, converted);
  }
  void append_scalar(FieldType type, const Value* value) {
    const bool null = value == nullptr;
    append(bytes_, static_cast<std::uint8_t>(null ? 0 : 1));
    if (null) return;
    switch (type) {
      case FieldType::boolean:
        return append(bytes_, static_cast<std::uint8_t>(std::get<bool>(value->storage()) ? 1 : 0));
      case FieldType::int32:
        return append_number<std::int32_t>(*value);
      case FieldType::int64:
        return append_number<std::int64_t>(*value);
      case FieldType::uint32:
        return append_number<std::uint32_t>(*value);
      case FieldType::uint64:
        return append_number<std::uint64_t>(*value);
      case FieldType::float32:
        return append_number<float>(*value);
      case FieldType::float64:
        return append_number<double>(*value);
      case FieldType::string:
        return append_text(as_bytes(std::string_view(std::get<std::string>(value->storage()))));
      case FieldType::bytes:
        return append_text(std::get<Bytes>(value->storage()));
      case FieldType::strings: {
        const auto& list = std::get<Strings>(value->storage());
        append(bytes_, wal_length(list.size()));
        for (const auto& text : list) append_text(as_bytes(std::string_view(text)));
        return;
      }
    }
  }

  const Schema* schema_;
  Bytes bytes_;               // counts, puts, and what is left of the deletes of the last bytes()
  std::size_t puts_end_ = 0;  // in bytes_
  std::size_t puts_ = 0;
  std::vector<DocId> deletes_;
};

/// A document of a payload as a bound row; refers to the payload and to itself. Reused from one row to the next: no allocation once warm but for texts.
class WalRow {
 public:
  [[nodiscard]] DocId id() const noexcept { return id_; }
  [[nodiscard]] std::string_view key() const noexcept { return key_; }
  [[nodiscard]] const BoundRow& bound() const noexcept { return bound_; }
  /// Gives away what bound() refers to, which is not to be used afterwards.
  [[nodiscard]] Value take_scalar(std::size_t field) noexcept { return std::exchange(values_[field], {}); }

 private:
  friend class WalBatchReader;
  DocId id_;
  std::string_view key_;
  BoundRow bound_;
  std::vector<Value> values_;
  std::vector<float> room_;
};

/// Reads a payload; its members are the checks.
class WalBatchReader {
 public:
  WalBatchReader(ByteSpan payload, const Schema& schema, const std::filesystem::path& path, std::uint64_t base)
      : in_(payload, path, base), schema_(schema), path_(path) {
    puts_ = in_.take<std::uint32_t>();
    deletes_ = in_.take<std::uint32_t>();
    std::uint64_t least_put = sizeof(std::uint64_t) + sizeof(std::uint32_t) + schema.fields().size();
    for (const auto& field : schema.vectors()) least_put += field.dimension() * element_bytes(field.element());
    if (puts_ > in_.left() / least_put) in_.broken(std::to_string(puts_) + " puts do not fit into " + std::to_string(in_.left()) + " bytes");
    if (deletes_ > (in_.left() - puts_ * least_put) / sizeof(std::uint64_t))
      in_.broken(std::to_string(deletes_) + " deletes do not fit behind " + std::to_string(puts_) + " puts");
  }

  [[nodiscard]] std::uint64_t puts() const noexcept { return puts_; }
  [[nodiscard]] std::uint64_t deletes() const noexcept { return deletes_; }

  /// The next document: one that bind_document accepts. REQUIRES: a row has been used with no other schema.
  void put(WalRow& row) {
    const auto at = in_.position();
    const auto& fields = schema_.fields();
    const auto& vectors = schema_.vectors();
    row.id_ = DocId{in_.take<std::uint64_t>()};
    row.key_ = as_text(text());
    row.values_.resize(fields.size());
    row.bound_.scalars.resize(fields.size());
    row.bound_.vectors.resize(vectors.size());
    for (std::size_t i = 0; i < fields.size(); ++i) {
      row.values_[i] = scalar(fields[i].type());
      row.bound_.scalars[i] = row.values_[i].is_null() ? nullptr : &row.values_[i];
    }
    for (std::size_t i = 0; i < vectors.size(); ++i) row.bound_.vectors[i] = in_.take(vectors[i].dimension() * element_bytes(vectors[i].element()));
    try {
      check(row);
    } catch (const Error& e) {
      fail(Errc::corruption, path_, at, "a document of the log is not one that could have been written: " + std::string(e.what()));
    }
  }
  [[nodiscard]] DocId erase() { return {in_.take<std::uint64_t>()}; }
  void expect_end() const { in_.expect_end(); }

 private:
  [[nodiscard]] ByteSpan text() { return in_.take(in_.take<std::uint32_t>()); }
  /// What bind_document checks and decoding does not: types fit by now.
  void check(WalRow& row) const {
    check_key(row.key());
    const auto whose = [&] { return "document " + quote(row.key()) + ": "; };
    for (std::size_t i = 0; i < row.values_.size(); ++i) {
      const auto& field = schema_.fields()[i];
      const auto& value = row.values_[i];
      if (value.is_null() && !field.is_nullable()) fail(Errc::schema_mismatch, whose() + "field " + quote(field.name()) + " is null, but not nullable");
      check_text(field, value, whose);
    }
    for (std::size_t i = 0; i < schema_.vectors().size(); ++i) check_stored(schema_.vectors()[i], row.bound_.vectors[i], row.room_, whose);
  }
  /// One byte that is 0 or 1.
  [[nodiscard]] bool flag(const char* what) {
    const auto at = in_.position();
    const auto byte = in_.take<std::uint8_t>();
    if (byte > 1) fail(Errc::corruption, path_, at, std::string(what) + " is " + std::to_string(byte) + ", neither 0 nor 1");
    return byte == 1;
  }
  [[nodiscard]] Value scalar(FieldType type) {
    if (!flag("a field's flag")) return {};
    switch (type) {
      case FieldType::boolean:
        return flag("a boolean");
      case FieldType::int32:
        return in_.take<std::int32_t>();
      case FieldType::int64:
        return in_.take<std::int64_t>();
      case FieldType::uint32:
        return in_.take<std::uint32_t>();
      case FieldType::uint64:
        return in_.take<std::uint64_t>();
      case FieldType::float32:
        return in_.take<float>();
      case FieldType::float64:
        return in_.take<double>();
      case FieldType::string:
        return std::string(as_text(text()));
      case FieldType::bytes: {
        const auto raw = text();
        return Bytes(raw.begin(), raw.end());
      }
      case FieldType::strings: {
        const auto count = in_.take<std::uint32_t>();
        if (count > in_.left() / sizeof(std::uint32_t))
          in_.broken("a list of " + std::to_string(count) + " texts does not fit into " + std::to_string(in_.left()) + " bytes");
        Strings list;
        list.reserve(count);
        for (std::uint32_t i = 0; i < count; ++i) list.emplace_back(as_text(text()));
        return list;
      }
    }
    return {};
  }

  Cursor in_;
  const Schema& schema_;
  const std::filesystem::path& path_;
  std::uint64_t puts_ = 0;
  std::uint64_t deletes_ = 0;
};

/// Calls put(const WalRow&) for each document of a payload, then erase(DocId) for each id that it deletes. `base` is the offset of the payload in its file, for
/// messages; `row` is the caller's to keep from one payload to the next. Errc::corruption, with path and offset, for anything that is not exactly one batch of
/// documents that the schema accepts; what came before the fault has been passed on by then. Memory used is bounded by the bytes, not by what they claim.
template <std::invocable<const WalRow&> Put, std::invocable<DocId> Erase>
void decode_wal_rows(ByteSpan payload, const Schema& schema, const std::filesystem::path& path, std::uint64_t base, WalRow& row, Put&& put, Erase&& erase) {
  WalBatchReader in(payload, schema, path, base);
  for (std::uint64_t i = 0; i < in.puts(); ++i) {
    in.put(row);
    put(std::as_const(row));
  }
  for (std::uint64_t i = 0; i < in.deletes(); ++i) erase(in.erase());
  in.expect_end();
}

/// The same with put(DocId, const Document&): the document has its id and every field of the schema in order, null ones set to null.
template <std::invocable<DocId, const Document&> Put, std::invocable<DocId> Erase>
void decode_wal_batch(ByteSpan payload, const Schema& schema, const std::filesystem::path& path, std::uint64_t base, Put&& put, Erase&& erase) {
  WalRow row;
  decode_wal_rows(
      payload, schema, path, base, row,
      [&](const WalRow& from) {
        Document document;
        DocumentAccess::set_id(document, from.id());
        DocumentAccess::set_key(document, from.key());
        DocumentAccess::reserve(document, schema.fields().size() + schema.vectors().size());
        for (std::size_t i = 0; i < schema.fields().size(); ++i) DocumentAccess::append(document, schema.fields()[i].name(), row.take_scalar(i));
        for (std::size_t i = 0; i < schema.vectors().size(); ++i)
          DocumentAccess::append(document, schema.vectors()[i].name(), load_elements(schema.vectors()[i].element(), from.bound().vectors[i]));
        put(from.id(), std::as_const(document));
      },
      std::forward<Erase>(erase));
}

}  // namespace quiver::detail
