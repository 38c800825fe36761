// What a collection under test must hold, kept beside it in the simplest way.
#pragma once

#include <quiver/collection/collection.hpp>
#include <quiver/storage/mmap.hpp>

#include "crash/mutant_file_system.hpp"
#include "support/faulty_file_system.hpp"
#include "support/recording_file_system.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace quiver::test {

/// The real engine over the recorded disk, whose calls fail where a test plans it, and go wrong where a mutant is chosen; nothing in it knows that it is
/// tested.
using RecordedFaults = FaultyFileSystem<RecordingFileSystem>;
using RecordedMutants = MutantFileSystem<RecordedFaults>;
using RecordedPolicy = BasicMMapPolicy<RecordedMutants>;
using RecordedCollection = Collection<RecordedPolicy>;

}  // namespace quiver::test

/// A few rows in memory get a graph here, which a flush completes and writes: by its bytes nobody can tell how far the thread had come.
template <>
inline constexpr std::uint64_t quiver::detail::least_live_rows<quiver::test::RecordedPolicy> = 4;

namespace quiver::test {

/// In the order of SyncSite.
inline constexpr std::array<std::string_view, sync_sites> sync_site_names{"draft_data", "published_name", "found_names", "store_folder_entry",
                                                                          "log_begin",  "log_name",       "log_data"};

struct Row {
  std::string key;
  std::optional<std::string> text;
  std::int32_t number = 0;
  std::array<float, 2> vector{};  // whole numbers: distances are exact; not both zero: there is a direction
};

/// The rows of one moment, in doc-id order.
using State = std::vector<Row>;

// Of a graph with places for so many links a walk misses nothing here, and the oracle asks for what a scan finds.
[[nodiscard]] inline Schema crash_schema() {
  return Schema{Field::string("text").nullable(), Field::int32("number"), VectorField("v", 2).index(Hnsw{.m = 16, .ef_construction = 100, .ef = 32})};
}

[[nodiscard]] inline Document document_of(const Row& row) {
  Document document(row.key, {{"number", row.number}, {"v", std::vector<float>(row.vector.begin(), row.vector.end())}});
  if (row.text) document.set("text", *row.text);
  return document;
}

namespace digests {

inline constexpr std::array<float, 2> query{3, 5};
inline constexpr std::size_t nearest = 4;

inline void add(std::string& to, const std::string& key, const std::optional<std::string>& text, std::int64_t number, std::span<const float> vector) {
  to += key + (text ? "=" + *text : "-") + '#' + std::to_string(number);
  for (const float x : vector) to += ',' + std::to_string(std::bit_cast<std::uint32_t>(x));
  to += '\n';
}
inline void add_hit(std::string& to, const std::string& key, float distance) { to += '>' + key + '@' + std::to_string(std::bit_cast<std::uint32_t>(distance)); }

}  // namespace digests

/// The nearest rows, as a collection under L2 finds them.
inline void add_nearest(std::string& to, const State& state) {
  std::vector<std::pair<float, std::size_t>> order;
  for (std::size_t i = 0; i < state.size(); ++i) {
    const float x = state[i].vector[0] - digests::query[0], y = state[i].vector[1] - digests::query[1];
    order.emplace_back(x * x + y * y, i);
  }
  std::sort(order.begin(), order.end());
  for (std::size_t i = 0; i < std::min(order.size(), digests::nearest); ++i) digests::add_hit(to, state[order[i].second].key, order[i].first);
}

/// Everything that a collection of these rows answers, as one text.
[[nodiscard]] inline std::string digest_of(const State& state) {
  std::string out;
  for (const auto& row : state) digests::add(out, row.key, row.text, row.number, row.vector);
  add_nearest(out, state);
  return out;
}

/// True if these are the nearest rows under a metric.
[[nodiscard]] inline bool are_nearest(const SearchResult& found, Metric metric, const State& state) {
  std::vector<double> right;
  for (const auto& row : state) right.push_back(detail::oracle_distance(metric, digests::query, row.vector));
  auto order = right;
  std::sort(order.begin(), order.end());
  if (found.size() != std::min(order.size(), digests::nearest)) return false;
  for (std::size_t i = 0; i < found.size(); ++i) {
    const auto row = std::find_if(state.begin(), state.end(), [&](const Row& each) { return each.key == found[i].key; });
    if (row == state.end()) return false;
    const auto distance = static_cast<double>(found[i].distance), allowed = 1e-5 * (1 + std::abs(distance));
    if (std::abs(distance - order[i]) > allowed || std::abs(distance - right[static_cast<std::size_t>(row - state.begin())]) > allowed) return false;
  }
  return true;
}

/// The same of a real one, by scan, fetch, count and search; where these contradict each other, the text says so and equals no state's. Under whatever metric:
/// what is not L2 is compared here.
template <class C>
[[nodiscard]] std::string digest_of_collection(const C& c) {
  std::string out;
  State state;
  std::uint64_t last = 0;
  for (const Document& d : c.scan()) {
    const auto vector = d.template get<std::vector<float>>("v");
    digests::add(out, d.key(), d.template get<std::string>("text"), d.template get<std::int64_t>("number").value_or(-1), *vector);
    const auto by_key = c.fetch(d.key(), FieldNames::none());
    if (!by_key || by_key->id() != d.id()) out += "KEY LOST\n";
    if (d.id().value <= last) out += "DOC IDS OUT OF ORDER\n";
    last = d.id().value;
    state.push_back({d.key(), {}, 0, {vector->at(0), vector->at(1)}});
  }
  if (c.count() != state.size()) out += "COUNT DIFFERS\n";
  const auto metric = c.schema().vectors().front().metric();
  // A walk misses nothing under L2; under other metrics all rows are looked at.
  const auto found =
      c.search({.field = "v", .query = digests::query, .k = digests::nearest, .ef = metric == Metric::l2 ? 0 : Hnsw::max_ef, .fields = FieldNames::none()});
  if (metric == Metric::l2) {
    for (const Hit& hit : found) digests::add_hit(out, hit.key, hit.distance);
  } else {
    if (!are_nearest(found, metric, state)) out += "NOT THE NEAREST UNDER " + std::string(to_string(metric)) + '\n';
    add_nearest(out, state);
  }
  return out;
}

/// Takes a key's row out of a state; whether it was there.
inline bool take_out(State& state, const std::string& key) {
  return std::erase_if(state, [&](const Row& row) { return row.key == key; }) != 0;
}

/// Rows with keys that were never used before, or with some that were; texts from none over eight bytes to some thousand, so that files straddle sectors and
/// chunks.
class RowSource {
 public:
  explicit RowSource(std::uint64_t seed) : random_(seed) {}
  [[nodiscard]] State batch(bool big) {
    State out(1 + random_() % 3);
    for (auto& row : out) row = next(big && &row == &out.front());
    return out;
  }

  /// For an upsert: a new key, and two that were used, whether they are there or not; perhaps the same twice.
  [[nodiscard]] State replacements() {
    State out{next(false), next(false), next(false)};
    for (std::size_t i = 1; i < out.size(); ++i) out[i].key = used_key();
    return out;
  }
  [[nodiscard]] std::string used_key() { return "k" + std::to_string(1 + random_() % used_); }
  [[nodiscard]] std::size_t below(std::size_t n) { return random_() % n; }
  [[nodiscard]] Row like(Row row) {
    auto other = next(false);
    row.text = std::move(other.text);
    row.number = other.number;
    return row;
  }

 private:
  Row next(bool big) {
    Row row{"k" + std::to_string(++used_), std::nullopt, static_cast<std::int32_t>(random_() % 1000), {small(), 1 + small()}};
    const std::size_t length = big ? 1500 + random_() % 4500 : random_() % 4 == 0 ? 0 : 8 + random_() % 200;
    if (length != 0) row.text.emplace();
    for (std::size_t i = 0; i < length; ++i) *row.text += static_cast<char>('a' + random_() % 26);
    return row;
  }
  float small() { return static_cast<float>(random_() % 64); }

  std::mt19937_64 random_;
  std::uint64_t used_ = 0;
};

}  // namespace quiver::test
