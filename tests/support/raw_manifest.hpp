// Manifests that encode_version would refuse to write, for tests of what reads them.
#pragma once

#include <quiver/manifest/codec.hpp>

#include <utility>
#include <vector>

namespace quiver::test {

// What stands in a manifest beside its Version.
struct RawLists {
  std::vector<detail::FieldRecord> fields;
  std::vector<detail::VectorRecord> vectors;
  std::vector<std::uint64_t> continuing;
};

// The lists as encode_version makes them.
inline RawLists lists_of(const detail::Version& version) {
  RawLists lists;
  for (const auto& f : version.schema.fields()) lists.fields.push_back({f.name(), f.type(), f.is_nullable(), f.is_indexed()});
  for (const auto& f : version.schema.vectors()) lists.vectors.push_back({f.name(), static_cast<std::uint32_t>(f.dimension()), f.metric()});
  for (const auto& kept : version.retained)
    if (kept.continues) lists.continuing.push_back(kept.number);
  return lists;
}

// Length and checksum as they would be if a writer had meant these bytes.
inline Bytes reframed(Bytes bytes) {
  detail::store<std::uint64_t>(&bytes[24], bytes.size() - detail::manifest_frame_size);
  detail::store(&bytes[32], detail::manifest_checksum(bytes));
  return bytes;
}

// A manifest whose frame is right, whatever is in it; no check is made.
inline Bytes raw_manifest(const detail::Version& version, RawLists lists, std::uint32_t format = detail::manifest_format_version) {
  detail::ByteOutputArchive out;
  out.write(detail::manifest_magic);
  out.write(format);
  out.write(version.features.compat);
  out.write(version.features.ro_compat);
  out.write(version.features.incompat);
  for (int i = 0; i < 2; ++i) out.write(std::uint64_t{0});  // length and checksum
  detail::transfer(out, version, lists.fields, lists.vectors, lists.continuing, format);
  return reframed(out.take());
}
inline Bytes raw_manifest(const detail::Version& version, std::uint32_t format = detail::manifest_format_version) {
  return raw_manifest(version, lists_of(version), format);
}

}  // namespace quiver::test
