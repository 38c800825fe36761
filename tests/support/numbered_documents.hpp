// Numbered documents, and what a collection of them must hold.
#pragma once

#include <quiver/collection/collection.hpp>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace quiver::test::numbered_documents {

inline Document numbered(std::uint64_t i, std::uint64_t value) {
  return Document{"k" + std::to_string(i), {{"n", value}, {"text", std::string(i % 40, 't')}, {"v", {static_cast<float>(value), 1.0f}}}};
}
inline Schema numbered_schema() { return Schema{Field::uint64("n"), Field::string("text").nullable(), VectorField("v", 2).metric(Metric::cosine)}; }

/// What a collection of numbered documents must hold: key number -> value.
using Held = std::map<std::uint64_t, std::uint64_t>;

template <class C>
bool holds(const C& c, const Held& held) {
  if (c.count() != held.size()) return false;
  std::uint64_t last = 0, seen = 0;
  for (const Document& d : c.scan()) {
    const auto at = held.find(std::stoull(d.key().substr(1)));
    if (at == held.end() || d.get<std::uint64_t>("n") != at->second || d.id().value <= last) return false;
    if (d.get<std::vector<float>>("v") != std::vector<float>{static_cast<float>(at->second), 1.0f}) return false;
    last = d.id().value;
    ++seen;
  }
  for (const auto& [i, value] : held)
    if (const auto found = c.fetch("k" + std::to_string(i), {"n"}); !found || found->template get<std::uint64_t>("n") != value) return false;
  return seen == held.size();
}

/// Five flushes of 40 documents; every third is erased afterwards, and of the others every seventh written anew.
template <StoragePolicy P>
Held fill(Collection<P>& c) {
  Held held;
  for (std::uint64_t i = 0; i < 200; ++i) {
    c.insert(numbered(i, i + 1), {Durability::buffered});
    held[i] = i + 1;
    if (i % 40 == 39) c.flush();
  }
  for (std::uint64_t i = 0; i < 200; ++i) {
    if (i % 3 == 0 && c.erase("k" + std::to_string(i), {Durability::buffered})) held.erase(i);
    if (i % 3 != 0 && i % 7 == 0) c.upsert(numbered(i, held[i] = i + 1000), {Durability::buffered});
  }
  return held;
}

}  // namespace quiver::test::numbered_documents
