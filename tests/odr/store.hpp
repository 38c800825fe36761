// Compiled into three places: a store in memory, its answer, and an error thrown across the places.
#pragma once

#include <quiver/quiver.hpp>

#include <string>

// The key of the nearest document, by whichever unit is asked.
std::string nearest_by_second_unit();
std::string nearest_by_shared_library();
// Searches a field that does not exist.
void throw_from_shared_library();

inline auto filled_store() {
  auto store = quiver::Collection<quiver::MemoryPolicy>::create(quiver::Schema{quiver::Field::string("title"), quiver::VectorField("place", 2)});
  store.insert(quiver::Document("far", {{"title", "far"}, {"place", {9.0f, 9.0f}}}));
  store.insert(quiver::Document("near", {{"title", "near"}, {"place", {1.0f, 0.0f}}}));
  store.flush();
  return store;
}

inline std::string nearest() {
  auto store = filled_store();
  return store.search({.field = "place", .query = {1.0f, 0.5f}, .k = 1})[0].key;
}
