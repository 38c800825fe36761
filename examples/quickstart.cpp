// From nothing to a nearest-neighbour search that survives the process: what the README shows.
#include <quiver/quiver.hpp>

#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <string>
#include <vector>

using namespace quiver;

int main() try {
  std::filesystem::remove_all("movies.qvr");
  {
    auto movies = Collection<MMapPolicy>::create("movies.qvr", Schema{Field::string("title"), Field::int32("year"), Field::strings("genres"),
                                                                      Field::float64("rating").nullable(), VectorField("embedding", 4).metric(Metric::cosine)});
    movies.insert(Document{
        "tt0111161", {{"title", "The Shawshank Redemption"}, {"year", 1994}, {"genres", {"Drama"}}, {"rating", 9.3}, {"embedding", {0.9f, 0.1f, 0.0f, 0.2f}}}});
    movies.insert(
        {Document{"tt0068646", {{"title", "The Godfather"}, {"year", 1972}, {"genres", {"Crime", "Drama"}}, {"embedding", {0.7f, 0.6f, 0.1f, 0.0f}}}},
         Document{"tt0133093", {{"title", "The Matrix"}, {"year", 1999}, {"genres", {"Action", "Sci-Fi"}}, {"embedding", {0.0f, 0.2f, 0.9f, 0.4f}}}}});
    movies.update("tt0068646", {{"rating", 9.2}});  // a write that returned survives whatever happens to the process or the machine
  }

  // The same files under another backend: the whole store in memory, read only.
  const auto movies = Collection<MemoryPolicy>::open("movies.qvr", {.mode = OpenMode::read_only});
  for (const Hit& hit : movies.search({.field = "embedding", .query = {0.8f, 0.3f, 0.0f, 0.1f}, .k = 2, .fields = {"title", "year"}}))
    std::printf("%-10s %.3f  %s (%d)\n", hit.key.c_str(), static_cast<double>(hit.distance), hit.document.get<std::string>("title")->c_str(),
                hit.document.get<std::int32_t>("year").value_or(0));

  if (const auto matrix = movies.fetch("tt0133093", {"genres", "rating"})) {
    const Strings genres = matrix->get<Strings>("genres").value();
    for (const std::string& genre : genres) std::printf("The Matrix is %s\n", genre.c_str());
    if (!matrix->get<double>("rating")) std::printf("and nobody has rated it\n");
  }
  std::printf("%zu movies in all\n", movies.count());
} catch (const Error& error) {
  std::fprintf(stderr, "%s\n", error.what());  // names the code, the file and what to do
  return 1;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
