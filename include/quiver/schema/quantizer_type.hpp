// How the rows of a vector field are kept for searches along a graph: as they are, or also in fewer bytes.
#pragma once

#include <variant>

namespace quiver {

/// Walks read the vectors themselves.
struct NoQuantizer {
  friend constexpr bool operator==(const NoQuantizer&, const NoQuantizer&) = default;
};

/// Walks read codes of one byte a number, 256 steps between the least and the greatest number of each dimension (under cosine: of the direction), and the
/// nearest that they find are compared by the vectors themselves, see SearchRequest::refine. Faster the longer the rows are (1.3 times at 128 dimensions, 2.3
/// at 784, bench/results), for dimension + 4 bytes a row.
struct Sq8 {
  friend constexpr bool operator==(const Sq8&, const Sq8&) = default;
};

using QuantizerType = std::variant<NoQuantizer, Sq8>;

}  // namespace quiver
