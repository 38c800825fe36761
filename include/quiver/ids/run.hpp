// An immutable run of the id map: the fingerprints of the keys of one flush, each with its document's id.
#pragma once

#include <quiver/block/reader.hpp>
#include <quiver/block/writer.hpp>

#include <algorithm>
#include <array>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

namespace quiver::detail {

inline constexpr std::string_view fingerprints_section = "fingerprints";
inline constexpr std::string_view doc_ids_section = "doc_ids";

/// Writes a run from entries that are in its order: by fingerprint, those of equal fingerprints newest document first. `pass(f)` calls f(fingerprint, DocId)
/// for each of them, and is called twice. Ids take four bytes each where all are within 32 bits of the smallest, else eight. The draft is left finished, not
/// published.
template <class Draft, class Pass>
[[nodiscard]] FileIdentity write_sorted_run(Draft& draft, Pass&& pass, std::optional<FileId> id = std::nullopt) {
  BlockWriter<Draft> writer(draft, BlockKind::id_run, id);
  const auto column = [&]<class T>(std::string_view name, T, auto&& value_of) {
    writer.begin_section(name);
    std::array<T, chunk_size / sizeof(T)> buffer;
    std::size_t count = 0;
    const auto drain = [&] {
      writer.append(as_bytes(std::span<const T>(buffer).first(count)));
      count = 0;
    };
    pass([&](std::uint64_t fingerprint, DocId doc) {
      buffer[count++] = value_of(fingerprint, doc);
      if (count == buffer.size()) drain();
    });
    drain();
    writer.end_section();
  };
  std::uint64_t least = ~std::uint64_t{0}, most = 0;
  column(fingerprints_section, std::uint64_t{}, [&](std::uint64_t fingerprint, DocId doc) {
    least = std::min(least, doc.value);
    most = std::max(most, doc.value);
    return fingerprint;
  });
  std::uint64_t base = std::min(least, most);  // without entries: 0
  if (most - base <= std::numeric_limits<std::uint32_t>::max()) {
    column(doc_ids_section, std::uint32_t{}, [base](std::uint64_t, DocId doc) { return static_cast<std::uint32_t>(doc.value - base); });
  } else {
    base = 0;
    column(doc_ids_section, std::uint64_t{}, [](std::uint64_t, DocId doc) { return doc.value; });
  }
  return writer.finish(as_bytes(std::span<const std::uint64_t>(&base, 1)));
}

/// The same from entries in any order.
template <class Draft>
[[nodiscard]] FileIdentity write_id_run(Draft& draft, std::vector<std::pair<std::uint64_t, DocId>> entries, std::optional<FileId> id = std::nullopt) {
  std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) { return a.first < b.first || (a.first == b.first && a.second > b.second); });
  return write_sorted_run(
      draft,
      [&](auto&& f) {
        for (const auto& [fingerprint, doc] : entries) f(fingerprint, doc);
      },
      id);
}

/// One open run. Opening reads the directory alone; a lookup views a few chunks. What it finds are candidates: the caller compares the key
/// itself, and must expect any document id, for entries are not verified against anything. Owns its reader. Any number of threads, each with its scope.
template <class Reader>
class IdRun {
 public:
  /// corruption: not the file of `identity`, or its sections do not fit each other.
  template <class Scope>
  IdRun(Reader reader, Scope& scope, const FileIdentity& identity)
      : block_(std::move(reader), scope, identity, BlockKind::id_run),
        fingerprints_(block_.section(fingerprints_section)),
        doc_ids_(block_.section(doc_ids_section)) {
    const auto tail = block_.tail(scope);
    base_ = tail.size() == 8 ? load<std::uint64_t>(tail.data()) : 0;
    width_ = doc_ids_.length == fingerprints_.length / 2 ? 4 : 8;
    if (fingerprints_.length % 8 != 0 || doc_ids_.length != size() * width_ || tail.size() != 8 || (width_ == 8 && base_ != 0))
      fail(Errc::corruption, block_.path(), block_.trailer().data_length,
           "an id run with " + std::to_string(fingerprints_.length) + " bytes of fingerprints, " + std::to_string(doc_ids_.length) +
               " bytes of document ids and " + std::to_string(tail.size()) + " bytes that tell their base, " + std::to_string(base_));
  }

  /// Entries in the run.
  [[nodiscard]] std::uint64_t size() const noexcept { return fingerprints_.length / 8; }
  [[nodiscard]] const Block<Reader>& block() const noexcept { return block_; }

  /// Copies the entries from `first` on, in order. Renews the scope. REQUIRES: they are there.
  template <class Scope>
  void read(Scope& scope, std::uint64_t first, std::span<std::pair<std::uint64_t, DocId>> out) const {
    scope.renew();
    const auto prints = keys(scope, first, first + out.size()), ids = doc_ids(scope, first, first + out.size());
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = {load<std::uint64_t>(&prints[i * 8]), doc_id(ids, i)};
  }

  /// Calls on_doc_id(DocId) -> bool for every document under this fingerprint, newest first, until it returns true; returns whether it did.
  /// on_doc_id may use and renew the same scope. On damaged entries that no checksum caught it may miss, but it stays within the file and ends.
  template <class Scope, class F>
  bool find(Scope& scope, std::uint64_t fingerprint, F&& on_doc_id) const {
    Window window;
    const auto at = lower_bound(scope, window, fingerprint, 0, 0);
    return visit(scope, window, at, fingerprint, on_doc_id);
  }

  /// Looks up many fingerprints in one pass, much faster than one by one: calls on_doc_id(i, DocId) -> bool for the documents under the i-th, newest
  /// first, until it returns true, then goes on with the next. Renews the scope, and on_doc_id may. REQUIRES: fingerprints ascend.
  template <class Scope, class F>
  void find_sorted(Scope& scope, std::span<const std::uint64_t> fingerprints, F&& on_doc_id) const {
    Window window{.renews = true};
    std::uint64_t at = 0, least = 0;
    for (std::size_t i = 0; i < fingerprints.size(); ++i) {
      at = lower_bound(scope, window, fingerprints[i], at, least);
      least = fingerprints[i];
      visit(scope, window, at, least, [&](DocId id) { return on_doc_id(i, id); });
    }
  }

 private:
  static constexpr int guesses = 16;  // of the place, before halving takes over: fingerprints are evenly spread unless someone forged them

  // The fingerprints of entries [first, end): those that share a chunk of the file, for viewing all of them costs one.
  struct Window {
    std::uint64_t first = 0, end = 0;
    ByteSpan keys = {};
    bool renews = false;  // the scope before each view, so that a long pass holds little
    [[nodiscard]] bool holds(std::uint64_t i) const noexcept { return i >= first && i < end; }
  };

  // The fingerprint of entry i, from the window or from one that takes its place.
  template <class Scope>
  [[nodiscard]] std::uint64_t key(Scope& scope, Window& window, std::uint64_t i) const {
    if (!window.holds(i)) {
      const auto chunk = (fingerprints_.offset + i * 8) / chunk_size * chunk_size;
      const auto first = chunk <= fingerprints_.offset ? 0 : (chunk - fingerprints_.offset) / 8;
      const auto end = std::min(size(), (chunk + chunk_size - fingerprints_.offset) / 8);
      if (window.renews) scope.renew();
      window = {first, end, keys(scope, first, end), window.renews};
    }
    return load<std::uint64_t>(&window.keys[static_cast<std::size_t>(i - window.first) * 8]);
  }

  // The first entry from `low` on that is not below the fingerprint, all before `low` being at most `least`. Each round leaves a shorter stretch, whatever
  // the entries are.
  template <class Scope>
  [[nodiscard]] std::uint64_t lower_bound(Scope& scope, Window& window, std::uint64_t fingerprint, std::uint64_t low, std::uint64_t least) const {
    std::uint64_t high = size(), most = ~std::uint64_t{0};  // entries in [low, high) lie between least and most
    for (int round = 0; low < high; ++round) {
      const auto guess = round < guesses ? interpolate(low, high, least, most, fingerprint) : low + (high - low) / 2;
      const auto found = key(scope, window, guess);
      if (found >= fingerprint) {
        high = guess;
        most = found;
      } else {
        low = guess + 1;
        least = found;
      }
    }
    return low;
  }

  // Where the fingerprint would be in [low, high) if the values were evenly spread between the two bounds.
  [[nodiscard]] static std::uint64_t interpolate(std::uint64_t low, std::uint64_t high, std::uint64_t least, std::uint64_t most,
                                                 std::uint64_t fingerprint) noexcept {
    if (fingerprint <= least) return low;
    if (fingerprint >= most) return high - 1;
    const auto part = static_cast<double>(fingerprint - least) / static_cast<double>(most - least);
    return low + std::min(high - low - 1, static_cast<std::uint64_t>(part * static_cast<double>(high - low)));
  }

  // The documents of the entries from `at` on that bear the fingerprint.
  template <class Scope, class F>
  bool visit(Scope& scope, Window& window, std::uint64_t at, std::uint64_t fingerprint, F&& on_doc_id) const {
    while (at < size()) {
      std::array<DocId, 16> found;  // copied out, for views end with the scope that the callee may renew
      std::size_t count = 0;
      while (count < found.size() && at + count < size() && key(scope, window, at + count) == fingerprint) ++count;
      if (count == 0) return false;
      const auto ids = doc_ids(scope, at, at + count);
      for (std::size_t i = 0; i < count; ++i) found[i] = doc_id(ids, i);
      window.end = window.first;  // nothing is held while the callee runs
      for (std::size_t i = 0; i < count; ++i)
        if (on_doc_id(found[i])) return true;
      if (count < found.size()) return false;
      at += count;
    }
    return false;
  }

  template <class Scope>
  [[nodiscard]] ByteSpan keys(Scope& scope, std::uint64_t begin, std::uint64_t end) const {
    return block_.view(scope, fingerprints_, begin * 8, static_cast<std::size_t>((end - begin) * 8));
  }
  template <class Scope>
  [[nodiscard]] ByteSpan doc_ids(Scope& scope, std::uint64_t begin, std::uint64_t end) const {
    return block_.view(scope, doc_ids_, begin * width_, static_cast<std::size_t>((end - begin) * width_));
  }
  // Of damaged offsets the sum may begin again at 0: an id like any other, which no document or another one bears.
  [[nodiscard]] DocId doc_id(ByteSpan ids, std::size_t i) const noexcept {
    return {width_ == 4 ? base_ + load<std::uint32_t>(&ids[i * 4]) : load<std::uint64_t>(&ids[i * 8])};
  }

  Block<Reader> block_;
  Range fingerprints_, doc_ids_;
  std::uint64_t base_ = 0, width_ = 8;  // of a document id: what is added to it, and its bytes
};

}  // namespace quiver::detail
