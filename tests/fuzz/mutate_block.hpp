// A libFuzzer mutator for block files: changes bytes of data or footer and mends the checksums, so that what lies behind them is reached.
#pragma once

#include "support/block_bytes.hpp"

#include <cstdint>

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);

namespace fuzz {

// `sample`: what an input that is no block at all is replaced by.
inline std::size_t mutate_block(std::uint8_t* data, std::size_t size, std::size_t max_size, unsigned int seed, const quiver::Bytes& sample) {
  using namespace quiver;
  const auto span = [&] { return std::span(reinterpret_cast<std::byte*>(data), size); };
  if (test::claimed_identity(span()) == FileIdentity{}) {
    if (sample.size() > max_size || seed % 8 == 0) return LLVMFuzzerMutate(data, size, max_size);
    std::memcpy(data, sample.data(), sample.size());
    size = sample.size();
  }
  if (seed % 16 == 0) return LLVMFuzzerMutate(data, size, max_size);
  // Bytes change in place; half of the time among the last 4 KiB, where tables and footers are.
  const std::size_t window = std::size_t{8} << (seed / 16 % 3);
  const std::size_t reach = seed % 2 == 0 ? size : std::min<std::size_t>(size, 4096);
  if (reach > window) LLVMFuzzerMutate(data + size - reach + seed / 64 % (reach - window), window, window);
  if (seed % 8 != 1) static_cast<void>(test::mend_checksums(span()));
  return size;
}

}  // namespace fuzz
