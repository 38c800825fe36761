// An immutable run of the id map: the fingerprints of the keys of one flush, each with its document's id.
#pragma once

#include <quiver/block/reader.hpp>
#include <quiver/block/writer.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

namespace quiver::detail {

inline constexpr std::string_view entries_section = "entries";
inline constexpr std::string_view starts_section = "starts";

/// Which entries of a run a fingerprint may be among: its leading bits choose one of 2^bits buckets, so few that their starts stay in a processor's cache: a
/// bucket has 128 to 256 entries on average. The bits behind them tell where among those, to within a few, as fingerprints are evenly spread.
class RunBuckets {
 public:
  explicit RunBuckets(std::uint64_t entries) noexcept
      : bits_(entries < 256 ? 0 : static_cast<int>(std::bit_width(entries / 128)) - 1), width_(entries <= std::numeric_limits<std::uint32_t>::max() ? 4 : 8) {}

  [[nodiscard]] std::uint64_t count() const noexcept { return std::uint64_t{1} << bits_; }
  [[nodiscard]] std::uint64_t of(std::uint64_t fingerprint) const noexcept { return bits_ == 0 ? 0 : fingerprint >> (64 - bits_); }
  /// Which of `entries` entries of its bucket a fingerprint is likely to be. REQUIRES: entries < 2^32.
  [[nodiscard]] std::uint64_t likely(std::uint64_t fingerprint, std::uint64_t entries) const noexcept { return (fingerprint << bits_ >> 32) * entries >> 32; }
  /// Bytes of the number of the entry that a bucket starts with.
  [[nodiscard]] std::uint64_t width() const noexcept { return width_; }

 private:
  int bits_;
  std::uint64_t width_;
};

/// Writes a run from entries that are in its order: by fingerprint, those of equal fingerprints newest document first. `pass(f)` calls f(fingerprint, DocId)
/// for each of them, and is called three times. Ids take four bytes each where all are within 32 bits of the smallest, else eight. The draft is left finished,
/// not published.
template <class Draft, class Pass>
[[nodiscard]] FileIdentity write_sorted_run(Draft& draft, Pass&& pass, std::optional<FileId> id = std::nullopt) {
  std::uint64_t least = ~std::uint64_t{0}, most = 0, entries = 0;
  pass([&](std::uint64_t, DocId doc) {
    least = std::min(least, doc.value);
    most = std::max(most, doc.value);
    ++entries;
  });
  const bool near = least > most || most - least <= std::numeric_limits<std::uint32_t>::max();
  const std::uint64_t base = near && entries != 0 ? least : 0;

  BlockWriter<Draft> writer(draft, BlockKind::id_run, id);
  std::array<std::byte, chunk_size> buffer;
  std::size_t used = 0;
  const auto drain = [&] {
    writer.append(ByteSpan(buffer).first(used));
    used = 0;
  };
  const auto put = [&]<class T>(T value) {
    if (used + sizeof value > buffer.size()) drain();
    std::memcpy(&buffer[used], &value, sizeof value);
    used += sizeof value;
  };
  writer.begin_section(entries_section);
  pass([&](std::uint64_t fingerprint, DocId doc) {
    put(fingerprint);
    near ? put(static_cast<std::uint32_t>(doc.value - base)) : put(doc.value);
  });
  drain();
  writer.end_section();

  writer.begin_section(starts_section);
  const RunBuckets buckets(entries);
  const auto put_start = [&](std::uint64_t at) { buckets.width() == 4 ? put(static_cast<std::uint32_t>(at)) : put(at); };
  std::uint64_t at = 0, next = 0;  // the entry that passes, the first bucket whose start is not put yet
  pass([&](std::uint64_t fingerprint, DocId) {
    for (; next <= buckets.of(fingerprint); ++next) put_start(at);
    ++at;
  });
  for (; next <= buckets.count(); ++next) put_start(at);
  drain();
  writer.end_section();
  const std::array tail{base, entries};
  return writer.finish(as_bytes(std::span<const std::uint64_t>(tail)));
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
      : block_(std::move(reader), scope, identity, BlockKind::id_run), entries_(block_.section(entries_section)), starts_(block_.section(starts_section)) {
    const auto tail = block_.tail(scope);
    if (tail.size() == 16) {
      base_ = load<std::uint64_t>(tail.data());
      size_ = load<std::uint64_t>(tail.data() + 8);
      buckets_ = RunBuckets(size_);
      width_ = entries_.length / std::max(size_, std::uint64_t{1});
    }
    const bool fits = size_ == 0 ? entries_.length == 0 : (width_ == 12 || width_ == 16) && entries_.length % size_ == 0;
    if (tail.size() != 16 || !fits || (width_ == 16 && base_ != 0) || starts_.length != (buckets_.count() + 1) * buckets_.width())
      fail(Errc::corruption, block_.path(), block_.trailer().data_length,
           "an id run of " + std::to_string(size_) + " entries in " + std::to_string(entries_.length) + " bytes, " + std::to_string(starts_.length) +
               " bytes of starts and " + std::to_string(tail.size()) + " of a tail, with ids from " + std::to_string(base_));
  }

  /// Entries in the run.
  [[nodiscard]] std::uint64_t size() const noexcept { return size_; }
  [[nodiscard]] const Block<Reader>& block() const noexcept { return block_; }

  /// Copies the entries from `first` on, in order. Renews the scope. REQUIRES: they are there.
  template <class Scope>
  void read(Scope& scope, std::uint64_t first, std::span<std::pair<std::uint64_t, DocId>> out) const {
    scope.renew();
    const auto* bytes = block_.view(scope, entries_, first * width_, static_cast<std::size_t>(out.size() * width_)).data();
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = {fingerprint_at(bytes, i), doc_id_at(bytes, i)};
  }

  /// Calls on_doc_id(DocId) -> bool for every document under this fingerprint, newest first, until it returns true; returns whether it did.
  /// on_doc_id may use and renew the same scope. corruption: starts that do not ascend within the run. On damaged entries that no checksum caught it may miss,
  /// but it stays within the file and ends.
  template <class Scope, class F>
  bool find(Scope& scope, std::uint64_t fingerprint, F&& on_doc_id) const {
    Window starts, entries;
    return visit(scope, entries, bucket_of(scope, starts, fingerprint), fingerprint, on_doc_id);
  }

  /// Looks up many fingerprints in one pass, much faster than one by one: calls on_doc_id(i, DocId) -> bool for the documents under the i-th, newest
  /// first, until it returns true, then goes on with the next. Renews the scope, and on_doc_id may. REQUIRES: fingerprints ascend.
  template <class Scope, class F>
  void find_sorted(Scope& scope, std::span<const std::uint64_t> fingerprints, F&& on_doc_id) const {
    std::array<Stretch, 256> buckets;  // of so many at a time: little is held, and each chunk viewed for many
    for (std::size_t first = 0; first < fingerprints.size(); first += buckets.size()) {
      const auto here = fingerprints.subspan(first, std::min(buckets.size(), fingerprints.size() - first));
      Window window{.renews = true};
      for (std::size_t i = 0; i < here.size(); ++i) {
        buckets[i] = bucket_of(scope, window, here[i]);
        if (const auto count = buckets[i].end - buckets[i].begin; count <= few)
          block_.touch(entries_, (buckets[i].begin + buckets_.likely(here[i], count)) * width_);
      }
      window = {.renews = true};
      for (std::size_t i = 0; i < here.size(); ++i) visit(scope, window, buckets[i], here[i], [&](DocId id) { return on_doc_id(first + i, id); });
    }
  }

 private:
  static constexpr std::uint64_t few = 1024;  // entries: looked for around where it is likely; of more, the half is chosen first

  // Entries [begin, end).
  struct Stretch {
    std::uint64_t begin, end;
  };

  // The elements [first, end) of a section: those that share a chunk of the file, for viewing all of them costs one.
  struct Window {
    std::uint64_t first = 0, end = 0;
    ByteSpan bytes = {};
    bool renews = false;  // the scope before each view, so that a long pass holds little
  };

  // The bytes of elements [begin, end) of a section of `count` elements of `width` bytes, from the window or from one that takes its place.
  template <class Scope>
  [[nodiscard]] const std::byte* elements(Scope& scope, Window& window, const Range& section, std::uint64_t count, std::uint64_t width, Stretch wanted) const {
    if (wanted.begin < window.first || wanted.end > window.end) {
      const auto chunk = (section.offset + wanted.begin * width) / chunk_size * chunk_size;
      const auto past = align_up(section.offset + wanted.end * width, chunk_size);
      const auto first = chunk <= section.offset ? 0 : (chunk - section.offset + width - 1) / width;
      const auto end = std::min(count, (past - section.offset) / width);
      if (window.renews) scope.renew();
      window.first = std::min(first, wanted.begin);
      window.end = end;
      window.bytes = block_.view(scope, section, window.first * width, static_cast<std::size_t>((window.end - window.first) * width));
    }
    return &window.bytes[static_cast<std::size_t>((wanted.begin - window.first) * width)];
  }
  template <class Scope>
  [[nodiscard]] const std::byte* entries(Scope& scope, Window& window, Stretch wanted) const {
    return elements(scope, window, entries_, size_, width_, wanted);
  }

  // Where entries of this fingerprint are, if there are any; corruption if the starts do not ascend within the run.
  template <class Scope>
  [[nodiscard]] Stretch bucket_of(Scope& scope, Window& window, std::uint64_t fingerprint) const {
    const auto i = buckets_.of(fingerprint);
    const auto* bytes = elements(scope, window, starts_, buckets_.count() + 1, buckets_.width(), {i, i + 2});
    const auto bucket = buckets_.width() == 4 ? Stretch{load<std::uint32_t>(bytes), load<std::uint32_t>(bytes + 4)}
                                              : Stretch{load<std::uint64_t>(bytes), load<std::uint64_t>(bytes + 8)};
    if (bucket.begin > bucket.end || bucket.end > size_) [[unlikely]]
      fail(Errc::corruption, block_.path(), starts_.offset + i * buckets_.width(),
           "entries " + std::to_string(bucket.begin) + " to " + std::to_string(bucket.end) + " of an id run of " + std::to_string(size_) +
               " are none; restore the file from a backup");
    return bucket;
  }

  // The documents of the entries in the bucket that bear the fingerprint.
  template <class Scope, class F>
  bool visit(Scope& scope, Window& window, Stretch bucket, std::uint64_t fingerprint, F&& on_doc_id) const {
    auto at = lower_bound(scope, window, bucket, fingerprint);
    while (at < bucket.end) {
      std::array<DocId, 16> found;  // copied out, for views end with the scope that the callee may renew
      std::size_t count = 0;
      for (; count < found.size() && at + count < bucket.end; ++count) {
        const auto* entry = entries(scope, window, {at + count, at + count + 1});
        if (fingerprint_at(entry, 0) != fingerprint) break;
        found[count] = doc_id_at(entry, 0);
      }
      if (count == 0) return false;
      window.end = window.first;  // nothing is held while the callee runs
      for (std::size_t i = 0; i < count; ++i)
        if (on_doc_id(found[i])) return true;
      if (count < found.size()) return false;
      at += count;
    }
    return false;
  }
  // The first entry of the bucket that is not below the fingerprint.
  template <class Scope>
  [[nodiscard]] std::uint64_t lower_bound(Scope& scope, Window& window, Stretch in, std::uint64_t fingerprint) const {
    while (in.end - in.begin > few) {  // fingerprints are evenly spread unless someone forged them
      const auto middle = in.begin + (in.end - in.begin) / 2;
      if (fingerprint_at(entries(scope, window, {middle, middle + 1}), 0) < fingerprint)
        in.begin = middle + 1;
      else
        in.end = middle;
    }
    const auto below = [&](std::uint64_t at) { return fingerprint_at(entries(scope, window, {at, at + 1}), 0) < fingerprint; };
    auto at = in.begin + buckets_.likely(fingerprint, in.end - in.begin);
    while (at < in.end && below(at)) ++at;
    while (at > in.begin && !below(at - 1)) --at;
    return at;
  }

  // Of the i-th entry from `bytes` on.
  [[nodiscard]] std::uint64_t fingerprint_at(const std::byte* bytes, std::uint64_t i) const noexcept { return load<std::uint64_t>(bytes + i * width_); }
  // Of damaged offsets the sum may begin again at 0: an id like any other, which no document or another one bears.
  [[nodiscard]] DocId doc_id_at(const std::byte* bytes, std::uint64_t i) const noexcept {
    const auto* id = bytes + i * width_ + 8;
    return {width_ == 12 ? base_ + load<std::uint32_t>(id) : load<std::uint64_t>(id)};
  }

  Block<Reader> block_;
  Range entries_, starts_;
  std::uint64_t base_ = 0, size_ = 0, width_ = 0;  // what is added to ids of four bytes; entries, and the bytes of each
  RunBuckets buckets_{0};
};

}  // namespace quiver::detail
