// Manifests that encode_version would refuse to write, for tests of what reads them.
#pragma once

#include <quiver/manifest/codec.hpp>

#include <optional>
#include <utility>

namespace quiver::test {

using RawLists = detail::VersionLists;
using detail::lists_of;

// Length and checksum as they would be if a writer had meant these bytes.
inline Bytes reframed(Bytes bytes) {
  detail::store<std::uint64_t>(&bytes[24], bytes.size() - detail::manifest_frame_size);
  detail::store(&bytes[32], detail::manifest_checksum(bytes));
  return bytes;
}

// A manifest whose frame is right, whatever is in it; no check is made.
inline Bytes raw_manifest(const detail::Version& version, RawLists lists, std::optional<std::uint32_t> format = {}) {
  detail::ByteOutputArchive out;
  const auto written = format.value_or(detail::format_of(lists));
  out.write(detail::manifest_magic);
  out.write(written);
  out.write(version.features.compat);
  out.write(version.features.ro_compat);
  out.write(version.features.incompat);
  for (int i = 0; i < 2; ++i) out.write(std::uint64_t{0});  // length and checksum
  detail::transfer(out, version, lists, written);
  return reframed(out.take());
}
inline Bytes raw_manifest(const detail::Version& version, std::optional<std::uint32_t> format = {}) { return raw_manifest(version, lists_of(version), format); }

}  // namespace quiver::test
