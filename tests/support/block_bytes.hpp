// A block file in memory: a draft that collects bytes, and a reader whose views are copies on the heap that die with their scope, so that a view
// that is read past its end or after its scope was renewed is caught by AddressSanitizer.
#pragma once

#include <quiver/core/trailer.hpp>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <span>
#include <vector>

namespace quiver::test {

struct BytesDraft {
  Bytes bytes;
  std::size_t appends = 0;
  std::size_t small_appends = 0;  // of less than 64 KiB
  void append(ByteSpan more) {
    bytes.insert(bytes.end(), more.begin(), more.end());
    ++appends;
    if (more.size() < 64 * 1024) ++small_appends;
  }
};

class BytesScope {
 public:
  void renew() noexcept { copies_.clear(); }

 private:
  friend class BytesReader;
  std::vector<std::unique_ptr<std::byte[]>> copies_;
};

// Refers to bytes that others own.
class BytesReader {
 public:
  explicit BytesReader(ByteSpan bytes, std::filesystem::path path = "a.block") : bytes_(bytes), path_(std::move(path)) {}

  [[nodiscard]] std::uint64_t size() const noexcept { return bytes_.size(); }
  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }
  [[nodiscard]] ByteSpan view(BytesScope& scope, std::uint64_t offset, std::size_t length) const {
    if (!detail::within(offset, length, size())) std::abort();  // no caller may ask for this, whatever the file says
    auto copy = std::make_unique<std::byte[]>(length);
    if (length != 0) std::memcpy(copy.get(), bytes_.data() + offset, length);
    scope.copies_.push_back(std::move(copy));
    return {scope.copies_.back().get(), length};
  }
  void prefetch(BytesScope&, std::span<const Range> ranges) const noexcept {
    for (const auto& range : ranges)
      if (range.length == 0 || !detail::within(range.offset, range.length, size())) std::abort();
  }

 private:
  ByteSpan bytes_;
  std::filesystem::path path_;
};

// The identity that a file's own trailer claims; the zero identity if it has none. For bytes that no manifest names.
[[nodiscard]] inline FileIdentity claimed_identity(ByteSpan bytes) {
  if (bytes.size() < detail::trailer_size + detail::tail_frame_size) return {};
  try {
    const auto at = detail::locate_trailer(bytes.last(detail::tail_frame_size), bytes.size(), {});
    const auto trailer = detail::parse_trailer(bytes.subspan(static_cast<std::size_t>(at), detail::trailer_size), at, bytes.size(), {});
    return {trailer.id, trailer.file_length, trailer.footer_checksum};
  } catch (const Error&) {
    return {};
  }
}

// Corrects the checksums of every chunk and of the footer after bytes were changed. Returns the new identity; the zero identity if there is no trailer.
[[nodiscard]] inline FileIdentity mend_checksums(std::span<std::byte> bytes) {
  using namespace quiver::detail;
  if (claimed_identity(bytes) == FileIdentity{}) return {};
  const auto at = static_cast<std::size_t>(locate_trailer(ByteSpan(bytes).last(tail_frame_size), bytes.size(), {}));
  const auto trailer = parse_trailer(ByteSpan(bytes).subspan(at, trailer_size), at, bytes.size(), {});
  const auto data = static_cast<std::size_t>(trailer.data_length);
  for (std::size_t n = 0; n < trailer.chunks(); ++n) {
    const auto chunk = ByteSpan(bytes).subspan(n * chunk_size, std::min(chunk_size, data - n * chunk_size));
    store(&bytes[static_cast<std::size_t>(trailer.checksums_offset()) + n * 8], chunk_checksum(trailer.id, n, chunk));
  }
  const auto sum = footer_checksum(trailer.id, ByteSpan(bytes).subspan(data), at + 56 - data);
  store(&bytes[at + 56], sum);
  return {trailer.id, trailer.file_length, sum};
}

}  // namespace quiver::test
