// The delete store's block file: how a DeleteSet is written and read back. README.md beside this file shows the bytes.
#pragma once

#include <quiver/block/reader.hpp>
#include <quiver/block/writer.hpp>
#include <quiver/ids/delete_set.hpp>

#include <algorithm>
#include <optional>
#include <utility>

namespace quiver::detail {

inline constexpr std::string_view delete_pieces_section = "pieces";
inline constexpr std::string_view delete_bits_section = "bits";

/// Writes a set as a block file of kind deletes. The draft is left finished, not published.
template <class Draft>
[[nodiscard]] FileIdentity write_deletes(Draft& draft, const DeleteSet& deletes, std::optional<FileId> id = std::nullopt) {
  BlockWriter<Draft> writer(draft, BlockKind::deletes, id);
  writer.begin_section(delete_pieces_section);
  deletes.for_each_piece([&](std::uint64_t number, const auto&) { writer.append(as_bytes(std::span<const std::uint64_t>(&number, 1))); });
  writer.end_section();
  writer.begin_section(delete_bits_section);
  deletes.for_each_piece([&](std::uint64_t, const auto& piece) { writer.append(as_bytes(std::span<const std::uint64_t>(piece->words))); });
  writer.end_section();
  return writer.finish();
}

/// Reads the set back. Every checksum of the file is compared, whatever the policy does. Memory stays below twice the file's bytes, besides what the scope
/// holds; it is renewed between pieces. corruption, with the offset: not the file of `identity`, damaged, or not what write_deletes writes.
template <class Reader, class Scope>
[[nodiscard]] DeleteSet read_deletes(Reader reader, Scope& scope, const FileIdentity& identity) {
  const Block<Reader> block(std::move(reader), scope, identity, BlockKind::deletes);
  block.verify(scope);
  const auto numbers = block.section(delete_pieces_section), bits = block.section(delete_bits_section);
  const std::uint64_t count = numbers.length / 8;
  if (numbers.length % 8 != 0 || bits.length % DeletePiece::bytes != 0 || bits.length / DeletePiece::bytes != count)
    fail(Errc::corruption, block.path(), block.trailer().data_length,
         "deletes with " + std::to_string(numbers.length) + " bytes of piece numbers and " + std::to_string(bits.length) + " bytes of bits");

  constexpr std::uint64_t batch = 16;  // pieces viewed at once
  DeleteSet::Builder builder;
  std::uint64_t least = 0;  // the least number that the next piece may have
  for (std::uint64_t first = 0; first < count; first += batch) {
    const auto n = static_cast<std::size_t>(std::min(batch, count - first));
    scope.renew();
    const auto number_bytes = block.view(scope, numbers, first * 8, n * 8);
    const auto piece_bytes = block.view(scope, bits, first * DeletePiece::bytes, n * DeletePiece::bytes);
    for (std::size_t i = 0; i < n; ++i) {
      const auto number = load<std::uint64_t>(&number_bytes[i * 8]);
      if (number < least || number > DeletePiece::last_number)
        fail(Errc::corruption, block.path(), numbers.offset + (first + i) * 8,
             "deletes: piece number " + std::to_string(number) + " where one from " + std::to_string(least) + " to " +
                 std::to_string(DeletePiece::last_number) + " belongs");
      least = number + 1;
      auto piece = std::make_shared<DeletePiece>();
      std::memcpy(piece->words.data(), &piece_bytes[i * DeletePiece::bytes], DeletePiece::bytes);
      piece->recount();
      if (piece->count == 0) fail(Errc::corruption, block.path(), bits.offset + (first + i) * DeletePiece::bytes, "deletes: a piece without a set bit");
      builder.append(number, std::move(piece));
    }
  }
  scope.renew();
  return std::move(builder).finish();
}

}  // namespace quiver::detail
