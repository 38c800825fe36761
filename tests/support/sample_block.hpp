// The block of the README's worked example.
#pragma once

#include <quiver/block/writer.hpp>

#include "support/block_bytes.hpp"

#include <utility>

namespace quiver::test {

inline constexpr FileId sample_block_id{0x1716151413121110ull, 0x2726252423222120ull};

// Sections "first", three u32, and "second", one letter.
[[nodiscard]] inline std::pair<Bytes, FileIdentity> sample_block() {
  BytesDraft draft;
  detail::BlockWriter<BytesDraft> writer(draft, detail::BlockKind::vector_index, sample_block_id);
  writer.begin_section("first");
  for (const std::uint32_t number : {1u, 2u, 3u}) {
    Bytes bytes;
    detail::append(bytes, number);
    writer.append(bytes);
  }
  writer.end_section();
  writer.begin_section("second");
  writer.append(detail::as_bytes(std::string_view("q")));
  writer.end_section();
  const auto identity = writer.finish();
  return {std::move(draft.bytes), identity};
}

}  // namespace quiver::test
