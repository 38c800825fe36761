// The deletes of the worked example in the README of ids: four documents in two pieces.
#pragma once

#include <quiver/ids/deletes.hpp>

#include "support/block_bytes.hpp"

#include <utility>
#include <vector>

namespace quiver::test {

inline detail::DeleteSet sample_deletes() {
  const std::vector<DocId> ids{DocId{0}, DocId{9}, DocId{32'767}, DocId{3 * 32'768 + 64}};
  return detail::DeleteSet().with(ids);
}

inline std::pair<Bytes, FileIdentity> written_deletes(const detail::DeleteSet& set, FileId id = {0x3132333435363738ull, 0x4142434445464748ull}) {
  BytesDraft draft;
  const auto identity = detail::write_deletes(draft, set, id);
  return {std::move(draft.bytes), identity};
}

}  // namespace quiver::test
