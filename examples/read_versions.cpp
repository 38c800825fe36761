// Every flush is a version of the collection. Older ones are kept as configured, and any of them can be opened beside the newest.
#include <quiver/quiver.hpp>

#include <cstdio>
#include <filesystem>
#include <string>

using namespace quiver;

int main() try {
  std::filesystem::remove_all("notes.qvr");
  auto notes = Collection<MMapPolicy>::create("notes.qvr", Schema{Field::string("text"), VectorField("embedding", 2)}, {.retain = {.versions = 10}});
  for (const char* text : {"milk", "bread", "apples"}) {
    notes.insert(Document{text, {{"text", text}, {"embedding", {1.0f, 2.0f}}}});
    notes.flush();
  }

  for (const VersionInfo& version : notes.versions()) {
    // A reader of an old version neither waits for the writer nor disturbs it.
    const auto then = Collection<MMapReadPolicy>::open("notes.qvr", {.at_version = version.number});
    std::printf("version %llu:", static_cast<unsigned long long>(version.number));
    for (const Document& note : then.scan({.fields = {"text"}})) std::printf(" %s", note.get<std::string>("text")->c_str());
    std::printf("\n");
  }
} catch (const Error& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
