// Strict JSON (RFC 8259), read value by value as the caller expects them: nothing is built that was not asked for, and numbers keep their text.
// A reader of our own because Boost.JSON needs a library, or src.hpp in one file of every program, and turns numbers into doubles.
#pragma once

#include <quiver/core/bytes.hpp>
#include <quiver/schema/utf8.hpp>

#include <charconv>
#include <concepts>
#include <filesystem>
#include <string>
#include <string_view>

namespace quiver::detail {

/// What the next value is, by its first character.
enum class JsonKind : std::uint8_t { null, boolean, number, string, array, object };

/// Reads one text. Errc::corruption with path and byte offset for anything that is not JSON, or another value than the caller asked for: invalid UTF-8, lone
/// surrogates, control characters in texts, numbers JSON does not know, values deeper than max_depth, bytes behind the value. Allocates nothing but the texts
/// it hands out, none longer than the input. Refers to text and path; a copy reads on by itself. One thread. O(bytes).
class JsonReader {
 public:
  static constexpr int max_depth = 64;

  /// `base` is the offset of `text` in its file; `line`, counted from 1, is named in errors unless it is 0.
  JsonReader(std::string_view text, const std::filesystem::path& path, std::uint64_t base = 0, std::uint64_t line = 0)
      : text_(text), path_(&path), base_(base), line_(line) {}

  /// The offset of the next byte in the file.
  [[nodiscard]] std::uint64_t position() const noexcept { return base_ + at_; }
  /// Where the key that an object's callback was called for begins.
  [[nodiscard]] std::uint64_t key_position() const noexcept { return base_ + key_at_; }
  /// The bytes from the beginning to an offset. REQUIRES: an offset this reader gave.
  [[nodiscard]] std::string_view before(std::uint64_t offset) const noexcept { return text_.substr(0, static_cast<std::size_t>(offset - base_)); }

  [[nodiscard]] JsonKind peek() {
    blank();
    if (at_ == text_.size()) broken("the text ends where a value is expected");
    const char c = text_[at_];
    if (c == '"') return JsonKind::string;
    if (c == '[') return JsonKind::array;
    if (c == '{') return JsonKind::object;
    if (c == 't' || c == 'f') return JsonKind::boolean;
    if (c == 'n') return JsonKind::null;
    if (c == '-' || digit(c)) return JsonKind::number;
    broken("a value is expected");
  }
  void null() {
    expect(JsonKind::null, "null");
    word("null");
  }
  [[nodiscard]] bool boolean() {
    expect(JsonKind::boolean, "true or false");
    const bool yes = text_[at_] == 't';
    word(yes ? "true" : "false");
    return yes;
  }
  /// The characters of a number, a view of the text.
  [[nodiscard]] std::string_view number() {
    expect(JsonKind::number, "a number");
    const auto first = at_;
    if (text_[at_] == '-') ++at_;
    if (at_ < text_.size() && text_[at_] == '0') {
      ++at_;
    } else {
      digits();
    }
    if (at_ < text_.size() && text_[at_] == '.') {
      ++at_;
      digits();
    }
    if (at_ < text_.size() && (text_[at_] == 'e' || text_[at_] == 'E')) {
      ++at_;
      if (at_ < text_.size() && (text_[at_] == '+' || text_[at_] == '-')) ++at_;
      digits();
    }
    return text_.substr(first, at_ - first);
  }
  /// A whole number of the type, without fraction or exponent; corruption where it does not fit.
  template <std::integral T>
  [[nodiscard]] T integer() {
    T value{};
    const auto text = number();
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) {
      at_ -= text.size();
      broken(quote(text) + " is not a whole number in the range that belongs here");
    }
    return value;
  }
  /// Replaces `to` by the characters of a text.
  void string(std::string& to) {
    expect(JsonKind::string, "a text");
    ++at_;
    to.clear();
    for (;;) {
      // What stands for itself is copied in one piece.
      const auto first = at_;
      while (at_ < text_.size() && text_[at_] != '"' && text_[at_] != '\\' && static_cast<unsigned char>(text_[at_]) >= 0x20) {
        const auto length = utf8_character(text_, at_);
        if (length == 0) broken("this byte is not UTF-8");
        at_ += length;
      }
      to.append(text_.substr(first, at_ - first));
      if (at_ == text_.size()) broken("the text ends within a string");
      if (text_[at_] == '"') break;
      if (text_[at_] != '\\') broken("a control character in a string must be written as \\u00XX");
      escape(to);
    }
    ++at_;
  }
  [[nodiscard]] std::string string() {
    std::string text;
    string(text);
    return text;
  }
  /// Calls element() before each element; it must read it.
  template <class Element>
  void array(Element&& element) {
    expect(JsonKind::array, "a list");
    list(']', [&] { element(); });
  }
  /// Calls member(key) before each member's value, which it must read; keys come as they stand, twice if they stand twice. `key` lives until the call returns.
  template <class Member>
  void object(Member&& member) {
    expect(JsonKind::object, "an object");
    std::string key;
    list('}', [&] {
      blank();
      const auto begin = at_;
      string(key);
      blank();
      if (at_ == text_.size() || text_[at_] != ':') broken("':' is expected behind a key");
      ++at_;
      key_at_ = begin;
      member(std::string_view(key));
    });
  }
  /// Behind the value there may be blanks, nothing else.
  void end() {
    blank();
    if (at_ != text_.size()) broken("unexpected bytes behind the value");
  }
  /// Errc::corruption here.
  [[noreturn, gnu::cold, gnu::noinline]] void broken(const std::string& what) const { refuse(Errc::corruption, what); }
  [[noreturn, gnu::cold, gnu::noinline]] void refuse(Errc code, const std::string& what) const {
    fail(code, *path_, position(), (line_ == 0 ? std::string() : "line " + std::to_string(line_) + ": ") + what);
  }

 private:
  [[nodiscard]] static bool digit(char c) noexcept { return c >= '0' && c <= '9'; }
  void blank() noexcept {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n' || text_[at_] == '\r')) ++at_;
  }
  void expect(JsonKind kind, const char* name) {
    if (peek() != kind) broken(std::string(name) + " is expected");
  }
  void word(std::string_view wanted) {
    if (text_.substr(at_, wanted.size()) != wanted) broken("'" + std::string(wanted) + "' is expected");
    at_ += wanted.size();
  }
  void digits() {
    if (at_ == text_.size() || !digit(text_[at_])) broken("a digit is expected");
    while (at_ < text_.size() && digit(text_[at_])) ++at_;
  }
  template <class Each>
  void list(char close, Each&& each) {
    if (depth_ == max_depth) broken("values are nested deeper than " + std::to_string(max_depth) + " levels");
    ++depth_;
    ++at_;
    blank();
    for (bool first = true; at_ == text_.size() || text_[at_] != close; first = false) {
      if (!first) {
        if (at_ == text_.size() || text_[at_] != ',') broken(std::string("',' or '") + close + "' is expected");
        ++at_;
      }
      each();
      blank();
    }
    ++at_;
    --depth_;
  }
  /// The four digits behind \u.
  [[nodiscard]] unsigned code_unit() {
    unsigned unit = 0;
    for (int i = 0; i < 4; ++i, ++at_) {
      const char c = at_ < text_.size() ? text_[at_] : '\0';
      const int value = digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
      if (value < 0) broken("four hexadecimal digits are expected behind \\u");
      unit = unit * 16 + static_cast<unsigned>(value);
    }
    return unit;
  }
  void escape(std::string& to) {
    constexpr std::string_view names = "\"\\/bfnrt";
    constexpr std::string_view meant = "\"\\/\b\f\n\r\t";
    ++at_;
    const char c = at_ < text_.size() ? text_[at_] : '\0';
    if (const auto at = names.find(c); at != std::string_view::npos) {
      to += meant[at];
      ++at_;
      return;
    }
    if (c != 'u') broken("an unknown escape");
    ++at_;
    unsigned code = code_unit();
    if (code >= 0xDC00 && code <= 0xDFFF) broken("half of a surrogate pair");
    if (code >= 0xD800 && code <= 0xDBFF) {
      if (text_.substr(at_, 2) != "\\u") broken("half of a surrogate pair");
      at_ += 2;
      const unsigned low = code_unit();
      if (low < 0xDC00 || low > 0xDFFF) broken("half of a surrogate pair");
      code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    }
    const auto put = [&to](unsigned byte) { to += static_cast<char>(byte); };
    if (code < 0x80) {
      put(code);
    } else if (code < 0x800) {
      put(0xC0 | code >> 6), put(0x80 | (code & 0x3F));
    } else if (code < 0x10000) {
      put(0xE0 | code >> 12), put(0x80 | (code >> 6 & 0x3F)), put(0x80 | (code & 0x3F));
    } else {
      put(0xF0 | code >> 18), put(0x80 | (code >> 12 & 0x3F)), put(0x80 | (code >> 6 & 0x3F)), put(0x80 | (code & 0x3F));
    }
  }

  std::string_view text_;
  const std::filesystem::path* path_;
  std::uint64_t base_;
  std::uint64_t line_;
  std::size_t at_ = 0;
  std::size_t key_at_ = 0;
  int depth_ = 0;
};

/// Appends a text in quotation marks: what JSON demands to be escaped is, everything else stands as it is. Errc::corruption for
/// a text that is not UTF-8: no such text was ever taken.
inline void append_json_string(std::string& to, std::string_view text) {
  if (!valid_utf8(text)) fail(Errc::corruption, "the text " + quote(text) + " is not UTF-8; verify(VerifyLevel::full) tells which file is damaged");
  constexpr char digits[] = "0123456789abcdef";
  to += '"';
  for (const char c : text) {
    switch (c) {
      case '"':
        to += "\\\"";
        break;
      case '\\':
        to += "\\\\";
        break;
      case '\n':
        to += "\\n";
        break;
      case '\r':
        to += "\\r";
        break;
      case '\t':
        to += "\\t";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) {
          to += "\\u00";
          to += {digits[static_cast<unsigned char>(c) >> 4], digits[static_cast<unsigned char>(c) & 15]};
        } else {
          to += c;
        }
    }
  }
  to += '"';
}

/// Appends a number in the fewest characters that are read back as the same number. REQUIRES: finite.
template <class T>
  requires(std::is_arithmetic_v<T> && !std::same_as<T, bool>)
void append_json_number(std::string& to, T number) {
  char digits[40];
  const auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
  to.append(digits, end);
}

}  // namespace quiver::detail
