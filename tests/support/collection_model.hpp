// A simple model of a collection: what random operations should leave, and in what a collection differs from it.
#pragma once

#include <quiver/collection/collection.hpp>

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace quiver::test::model {

inline constexpr std::size_t dimension = 4;

inline Schema schema() { return Schema{Field::string("title").nullable(), Field::int32("n").nullable(), VectorField("v", dimension)}; }

/// A document of the model. Vectors are of small integers, so that distances are exact and many are equal.
struct Row {
  std::string key;
  std::optional<std::string> title;
  std::optional<int> n;
  std::vector<float> v;
  friend bool operator==(const Row&, const Row&) = default;
};

inline Document document(const Row& row) {
  Document out{row.key};
  out.set("title", row.title);
  out.set("n", row.n);
  out.set("v", row.v);
  return out;
}
inline Row row(const Document& document) {
  return {document.key(), document.get<std::string>("title"), document.get<int>("n"), document.get<std::vector<float>>("v").value()};
}

/// What a collection should hold.
struct Model {
  std::map<std::uint64_t, Row> rows;  // by doc id
  std::map<std::string, std::uint64_t> ids;
  std::uint64_t next = 1;
  std::uint64_t dropped = 0;  // ids below `next` of which no row is left

  [[nodiscard]] bool has(const std::string& key) const { return ids.contains(key); }
  bool erase(const std::string& key) {
    const auto at = ids.find(key);
    if (at == ids.end()) return false;
    rows.erase(at->second);
    ids.erase(at);
    return true;
  }
  void upsert(const Row& row) {
    erase(row.key);
    ids[row.key] = next;
    rows[next++] = row;
  }
  [[nodiscard]] std::uint64_t deleted() const { return next - 1 - rows.size() - dropped; }
  void drop_deleted() { dropped += deleted(); }
  /// These documents again, behind all ids that were given since.
  [[nodiscard]] Model again(std::uint64_t next_now) const {
    auto out = *this;
    out.next = next_now;
    out.dropped += next_now - next;
    return out;
  }
  [[nodiscard]] std::vector<std::pair<float, std::uint64_t>> nearest(const std::vector<float>& query, std::size_t k) const {
    std::vector<std::pair<float, std::uint64_t>> out;
    for (const auto& [id, row] : rows) {
      float sum = 0;
      for (std::size_t i = 0; i < dimension; ++i) sum += (row.v[i] - query[i]) * (row.v[i] - query[i]);
      out.emplace_back(sum, id);
    }
    std::sort(out.begin(), out.end());
    out.resize(std::min(out.size(), k));
    return out;
  }
};

using Random = std::mt19937_64;

inline std::vector<float> random_vector(Random& random) {
  std::vector<float> out(dimension);
  for (auto& x : out) x = static_cast<float>(random() % 5);
  return out;
}

/// In what a collection or a snapshot differs from the model; empty if in nothing.
template <class C>
std::string difference(const C& c, const Model& model, Random& random) {
  if (c.count() != model.rows.size()) return "count() is " + std::to_string(c.count()) + ", not " + std::to_string(model.rows.size());
  auto wanted = model.rows.begin();
  for (const Document& found : c.scan()) {
    if (wanted == model.rows.end()) return "scan() goes on after the last document with " + found.key();
    if (found.id().value != wanted->first || row(found) != wanted->second) return "scan() has " + found.key() + " where " + wanted->second.key + " belongs";
    ++wanted;
  }
  if (wanted != model.rows.end()) return "scan() ends before " + wanted->second.key;
  for (int i = 0; i < 20; ++i) {
    const DocId id{random() % (model.next + 3)};
    const auto found = c.fetch(id);
    const auto in_model = model.rows.find(id.value);
    if (found.has_value() != (in_model != model.rows.end()) || (found && row(*found) != in_model->second)) return "fetch(id " + std::to_string(id.value) + ")";
  }
  for (const auto& [key, id] : model.ids) {
    const auto found = c.fetch(key);
    if (!found || found->id().value != id || row(*found) != model.rows.at(id)) return "fetch(" + key + ")";
  }
  for (int i = 0; i < 10; ++i) {
    const auto key = "key-" + std::to_string(random() % 220);
    if (c.fetch(key, FieldNames::none()).has_value() != model.has(key)) return "fetch(" + key + ") of a key that may not be there";
  }
  const std::array ks{std::size_t{1}, std::size_t{9}, model.rows.size() + 5};
  auto queries = random_vector(random);
  for (const float x : random_vector(random)) queries.push_back(x);
  const std::vector<float> query(queries.begin(), queries.begin() + dimension), second(queries.begin() + dimension, queries.end());
  const auto same = [&](const SearchResult& found, const std::vector<float>& of, std::size_t k) {
    const auto expected = model.nearest(of, k);
    if (found.size() != expected.size()) return false;
    for (std::size_t i = 0; i < found.size(); ++i)
      if (found[i].id.value != expected[i].second || found[i].distance != expected[i].first || found[i].key != model.rows.at(found[i].id.value).key)
        return false;
    return true;
  };
  for (const auto k : ks) {
    if (!same(c.search({.field = "v", .query = query, .k = k}), query, k)) return "search() with k = " + std::to_string(k);
    const auto both = c.search_batch({.field = "v", .queries = queries, .k = k, .fields = FieldNames::none()});
    if (!same(both[0], query, k) || !same(both[1], second, k)) return "search_batch() with k = " + std::to_string(k);
  }
  return {};
}

}  // namespace quiver::test::model
