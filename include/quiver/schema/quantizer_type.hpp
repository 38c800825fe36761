// How the rows of a vector field are kept for searches along a graph: as they are, or also in fewer bytes.
#pragma once

#include <variant>

namespace quiver {

/// Walks read the vectors themselves.
struct NoQuantizer {
  friend constexpr bool operator==(const NoQuantizer&, const NoQuantizer&) = default;
};

/// Walks read half-precision numbers, which are a 2,048th off at most, and the nearest that they find are compared by the vectors themselves, see
/// SearchRequest::refine. 2 x dimension bytes a row; nothing is gained over vectors whose own elements are that small.
struct Float16 {
  friend constexpr bool operator==(const Float16&, const Float16&) = default;
};

/// The same with codes of one byte a number, 256 steps between the least and the greatest number of each dimension (under cosine: of the direction).
/// Where the rows of a segment are so unlike in size or place that codes cannot tell near ones apart, walks there read the vectors, as without a quantizer.
/// Faster the longer the rows are (1.6 times at 128 dimensions, 2.1 at 256 and at 784, bench/results), for dimension + 4 bytes a row.
struct Sq8 {
  friend constexpr bool operator==(const Sq8&, const Sq8&) = default;
};

/// The same with codes of half a byte, 16 steps: dimension / 2 + 4 bytes a row. Estimates are coarse, so more rows are compared by their vectors, and where
/// rows lie in tight clusters it takes a larger SearchRequest::refine than the default to find as many as Sq8 does.
struct Sq4 {
  friend constexpr bool operator==(const Sq4&, const Sq4&) = default;
};

using QuantizerType = std::variant<NoQuantizer, Float16, Sq8, Sq4>;

}  // namespace quiver
