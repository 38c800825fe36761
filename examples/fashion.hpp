// The fashion10k data set in memory, and how its exact answers are counted.
#pragma once

#include <quiver/formats/vecs.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

namespace examples {

constexpr std::size_t picture_side = 28;

using Pictures = quiver::Matrix<std::uint8_t>;  // a row per picture

/// One nearest picture as a search returned it.
struct Answer {
  std::size_t row = 0;  // in the base
  float distance = 0;
  std::string label;  // as stored in the collection
};
using Answers = std::vector<std::vector<Answer>>;  // one list per query, nearest first

[[nodiscard]] inline std::vector<std::string> read_lines(const std::filesystem::path& path) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error("cannot read " + path.string());
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

[[nodiscard]] inline std::vector<float> pixels(std::span<const std::uint8_t> picture) { return {picture.begin(), picture.end()}; }

/// The queries with their labels and exact answers. The base is read only where it is needed: to be ingested, and to be drawn.
struct Queries {
  explicit Queries(const std::filesystem::path& folder)
      : pictures(quiver::read_bvecs(folder / "query.bvecs")),
        labels(read_lines(folder / "query_labels.txt")),
        distances(quiver::read_fvecs(folder / "groundtruth_dist2.fvecs")) {
    if (labels.size() != pictures.rows || distances.rows != pictures.rows)
      throw std::runtime_error("the files in " + folder.string() + " do not belong together");
  }

  [[nodiscard]] std::size_t size() const { return labels.size(); }

  Pictures pictures;
  std::vector<std::string> labels;
  quiver::Matrix<float> distances;  // exact, ascending
};

[[nodiscard]] inline std::int64_t exact_distance(std::span<const std::uint8_t> a, std::span<const std::uint8_t> b) {
  std::int64_t sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += std::int64_t{a[i] - b[i]} * (a[i] - b[i]);
  return sum;
}

/// The share of the k asked rows whose exact distance, computed here from the pixels, is not above the k-th shipped exact distance: a tie counts, a row
/// returned twice does not.
[[nodiscard]] inline double recall(const Pictures& base, const Queries& queries, const Answers& answers, std::size_t k) {
  std::size_t right = 0;
  for (std::size_t query = 0; query < queries.size(); ++query) {
    const float limit = queries.distances.row(query)[k - 1];
    std::set<std::size_t> seen;
    for (const Answer& answer : answers[query])
      if (seen.insert(answer.row).second && static_cast<float>(exact_distance(base.row(answer.row), queries.pictures.row(query))) <= limit) ++right;
  }
  return static_cast<double>(right) / static_cast<double>(queries.size() * k);
}

/// The label that most of the answers bear; of several, the first in the alphabet.
[[nodiscard]] inline std::string majority_label(const std::vector<Answer>& answers) {
  std::map<std::string, std::size_t> votes;
  for (const Answer& answer : answers) ++votes[answer.label];
  std::string best;
  for (const auto& [label, count] : votes)
    if (best.empty() || count > votes[best]) best = label;
  return best;
}

[[nodiscard]] inline std::size_t right_majorities(const Queries& queries, const Answers& answers) {
  std::size_t right = 0;
  for (std::size_t query = 0; query < queries.size(); ++query) right += majority_label(answers[query]) == queries.labels[query] ? 1 : 0;
  return right;
}

}  // namespace examples
