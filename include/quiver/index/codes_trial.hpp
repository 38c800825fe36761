// Whether the codes of rows are worth walking by: a trial before they are written.
#pragma once

#include <quiver/distance/code_kernels.hpp>
#include <quiver/index/flat.hpp>
#include <quiver/quant/quantizer.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>
#include <vector>

namespace quiver::detail {

/// False: the nearest rows by their codes are not the nearest ones, as where clusters lie so far apart that all rows of one have the same code; walks by the
/// vectors find more then. Of 16 rows, asked for their 80 nearest, half of the ten nearest at least must be among the 20 nearest by codes, where chance alone
/// puts a quarter. Few rows pass unseen. scaled(r): row r as the quantizer sees it. step() is called now and then, and may throw. One pass over the rows.
template <Quantizer Q, class Scaled, class Step>
[[nodiscard]] bool codes_tell_rows_apart(const Q& quantizer, Metric metric, const FlatRows& rows, Scaled&& scaled, Step&& step) {
  constexpr std::size_t asking = 16, around = 80, by_codes = 20, nearest = 10, piece = 4096;
  if (rows.count < 4 * around) return true;
  std::vector<FlatQuery> queries;
  for (std::size_t i = 0; i < asking; ++i) queries.push_back(FlatQuery::of_row(metric, rows, i * rows.count / asking));
  std::vector<TopK> best(asking, TopK(around));
  for (std::size_t first = 0; first < rows.count; first += piece) {
    const auto part = rows.part(first, std::min(piece, rows.count - first));
    for (std::size_t i = 0; i < asking; ++i) flat_scan(queries[i], part, first, best[i]);
    step();
  }
  std::size_t found = 0, wanted = 0;
  std::vector<std::byte> codes(around * quantizer.code_bytes() + code_block);
  std::array<float, around> terms;
  for (std::size_t i = 0; i < asking; ++i) {
    const auto near = best[i].take_sorted();
    for (std::size_t r = 0; r < around; ++r) terms[r] = quantizer.encode(scaled(near[r].id), &codes[r * quantizer.code_bytes()]);
    const auto query = quantizer.prepare(scaled(i * rows.count / asking), CodeRows{codes.data(), terms.data()});
    if (!query.fits()) continue;                            // nor will such a query be asked by codes
    std::array<std::pair<float, float>, around> estimated;  // with less the distance: of equal estimates the farthest first
    for (std::uint32_t r = 0; r < around; ++r) estimated[r] = {query.at(r), -near[r].distance};
    std::partial_sort(estimated.begin(), estimated.begin() + by_codes, estimated.end());
    const auto hits = std::count_if(estimated.begin(), estimated.begin() + by_codes, [&](const auto& e) { return -e.second <= near[nearest - 1].distance; });
    found += std::min(static_cast<std::size_t>(hits), nearest);
    wanted += nearest;
  }
  return found * 2 >= wanted;
}

}  // namespace quiver::detail
