// What a user of the package writes first: a store in memory, two documents, one question.
#include <quiver/quiver.hpp>

#include <iostream>

int main() {
  auto cities = quiver::Collection<quiver::MemoryPolicy>::create(quiver::Schema{quiver::Field::string("name"), quiver::VectorField("position", 2)});
  cities.insert(quiver::Document("vie", {{"name", "Vienna"}, {"position", {48.2f, 16.4f}}}));
  cities.insert(quiver::Document("lis", {{"name", "Lisbon"}, {"position", {38.7f, -9.1f}}}));
  const auto hits = cities.search({.field = "position", .query = {47.8f, 13.0f}, .k = 1});
  std::cout << hits[0].key << '\n';
  return hits[0].key == "vie" ? 0 : 1;
}
