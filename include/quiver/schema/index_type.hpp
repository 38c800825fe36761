// How a vector field is searched: by looking at every row, or along a graph.
#pragma once

#include <cstddef>
#include <variant>

namespace quiver {

/// Every row is looked at: exact, at the speed of memory.
struct Flat {
  friend constexpr bool operator==(const Flat&, const Flat&) = default;
};

/// A hierarchical navigable small world graph (Malkov and Yashunin, 2016), built by optimize(): approximate, in a time that hardly grows with the rows. It
/// takes 8 m bytes a row beside the vectors.
struct Hnsw {
  std::size_t m = 16;                 ///< links of a new row, 2 to 128: more find more and take more memory
  std::size_t ef_construction = 200;  ///< rows that are looked at for them, 1 to 65,535
  std::size_t ef = 64;                ///< rows that a search keeps in mind if its request says nothing, 1 to 1,000,000; see SearchRequest::ef
  friend constexpr bool operator==(const Hnsw&, const Hnsw&) = default;

  static constexpr std::size_t max_m = 128, max_ef_construction = 65'535, max_ef = 1'000'000;
};

using IndexType = std::variant<Flat, Hnsw>;

}  // namespace quiver
