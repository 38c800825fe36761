// The run of the worked example in the README of ids: three keys, two of them under one fingerprint.
#pragma once

#include <quiver/ids/run.hpp>

#include "support/block_bytes.hpp"

#include <utility>
#include <vector>

namespace quiver::test {

inline std::vector<std::pair<std::uint64_t, DocId>> sample_entries() {
  return {{detail::fingerprint("tt0111161"), DocId{1}}, {0x00000000000000FFull, DocId{2}}, {0x00000000000000FFull, DocId{3}}};
}

inline std::pair<Bytes, FileIdentity> sample_run() {
  BytesDraft draft;
  const auto identity = detail::write_id_run(draft, sample_entries(), FileId{0x1112131415161718ull, 0x2122232425262728ull});
  return {std::move(draft.bytes), identity};
}

}  // namespace quiver::test
