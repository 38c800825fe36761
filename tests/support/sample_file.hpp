// Small files with trailer, checksums and identity, written by hand: what storage tests read back.
#pragma once

#include <quiver/core/trailer.hpp>
#include <quiver/storage/process.hpp>

#include <utility>
#include <vector>

namespace quiver::test {

/// Bytes that differ from place to place and repeat from run to run.
[[nodiscard]] inline Bytes sample_bytes(std::size_t length, std::uint64_t seed = 1) {
  Bytes bytes(length);
  std::uint64_t x = seed * 0x9E3779B97F4A7C15ull + 1;
  for (auto& b : bytes) {
    x ^= x << 13, x ^= x >> 7, x ^= x << 17;
    b = static_cast<std::byte>(x >> 32);
  }
  return bytes;
}

/// A whole file: `data`, a directory of `directory` bytes, checksums, trailer, plain tail.
struct SampleFile {
  Bytes bytes;
  FileIdentity identity;
  std::uint64_t data_length = 0;
  std::uint64_t trailer_offset = 0;
};

[[nodiscard]] inline SampleFile make_sample(ByteSpan data, std::size_t directory = 80, std::uint16_t format_version = detail::block_format_version) {
  using namespace quiver::detail;
  FileTrailer trailer;
  trailer.id = random_file_id();
  trailer.data_length = data.size();
  trailer.directory_length = directory;
  trailer.format_version = format_version;
  trailer.file_kind = 1;
  trailer.file_length = trailer.trailer_offset() + trailer_size + tail_frame_size;
  SampleFile out;
  out.bytes.assign(data.begin(), data.end());
  detail::append(out.bytes, sample_bytes(directory, 77));
  for (std::uint64_t n = 0; n < trailer.chunks(); ++n)
    detail::append(out.bytes, chunk_checksum(trailer.id, n,
                                             data.subspan(static_cast<std::size_t>(n) * chunk_size,
                                                          std::min<std::size_t>(chunk_size, data.size() - static_cast<std::size_t>(n) * chunk_size))));
  detail::append(out.bytes, ByteSpan(encode_trailer(trailer)));
  detail::append(out.bytes, std::uint32_t{0});
  detail::append(out.bytes, as_bytes(plain_end_magic));
  const auto field = static_cast<std::size_t>(trailer.trailer_offset() - trailer.data_length) + 56;
  trailer.footer_checksum = footer_checksum(trailer.id, ByteSpan(out.bytes).subspan(data.size()), field);
  store(&out.bytes[data.size() + field], trailer.footer_checksum);
  out.identity = {trailer.id, trailer.file_length, trailer.footer_checksum};
  out.data_length = trailer.data_length;
  out.trailer_offset = trailer.trailer_offset();
  return out;
}

/// Writes the sample under `name` and publishes it.
template <class Store>
void publish_sample(Store& store, std::string_view name, const SampleFile& sample) {
  auto draft = store.create(name);
  const ByteSpan all(sample.bytes);
  draft.append(all.first(all.size() / 3));
  draft.append(all.subspan(all.size() / 3));
  store.publish(std::move(draft));
}

}  // namespace quiver::test
