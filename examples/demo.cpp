// The whole of quiver on real data: 10,000 pictures are ingested and flushed, the store is reopened under every backend and searched exactly, the answers are
// compared with the shipped ones, and a picture of the nearest pictures is written.
#include "backend_run.hpp"
#include "fashion.hpp"
#include "picture.hpp"
#include "table.hpp"

#include <quiver/quiver.hpp>

#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <iostream>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using namespace examples;
namespace fs = std::filesystem;

constexpr std::size_t asked_for = 10, queries_drawn = 12;

constexpr const char* usage = R"(usage: demo [--data FOLDER] [--out FOLDER]

Ingests the 10,000 pictures of fashion10k into FOLDER/demo.qvr, searches them exactly under every
storage backend, prints a table and writes FOLDER/demo.png.

  --data FOLDER   where base.bvecs and its companions are (default: examples/data/fashion10k,
                  looked for here and in the folders above)
  --out FOLDER    where the store and the picture go (default: the folder of this program);
                  an older demo.qvr there is replaced
  --help          this text
)";

/// The data folder of the repository, whether the program is started from its root or from a build folder inside it.
fs::path find_data() {
  for (const fs::path& start : {fs::current_path(), fs::read_symlink("/proc/self/exe").parent_path()})
    for (fs::path folder = start;; folder = folder.parent_path()) {
      if (fs::exists(folder / "examples/data/fashion10k/base.bvecs")) return folder / "examples/data/fashion10k";
      if (folder == folder.parent_path()) break;
    }
  throw std::runtime_error("examples/data/fashion10k was not found here or above; name the folder with --data");
}

void ingest(const fs::path& store, const Pictures& base, const std::vector<std::string>& labels) {
  fs::remove_all(store);
  const auto start = std::chrono::steady_clock::now();
  auto collection = quiver::Collection<quiver::MMapPolicy>::create(
      store, quiver::Schema{quiver::Field::string("label"), quiver::VectorField("picture", picture_side * picture_side).metric(quiver::Metric::l2)});
  std::vector<quiver::Document> batch;
  for (std::size_t row = 0; row < base.rows; ++row) {
    batch.push_back(quiver::Document{std::to_string(row), {{"label", labels[row]}, {"picture", pixels(base.row(row))}}});
    if (batch.size() == 1000 || row + 1 == base.rows) {
      collection.insert(batch);
      batch.clear();
      std::cerr << format("\ringesting %zu of %zu pictures", row + 1, base.rows) << std::flush;
    }
  }
  collection.flush();
  collection.close();
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  std::cerr << format("\ringested and flushed %zu pictures in %.2f s\n", base.rows, seconds);
}

/// Gives the collection a graph with codes: searches no longer look at every picture.
void index(const fs::path& store) {
  const auto start = std::chrono::steady_clock::now();
  auto collection = quiver::Collection<quiver::MMapPolicy>::open(store);
  collection.create_index("picture", {.index = quiver::Hnsw{}, .quantizer = quiver::Sq8{}}, {.progress = [](const quiver::Progress& now) {
                            std::cerr << format("\rbuilding an index, %ju of %ju steps", std::uintmax_t{now.done}, std::uintmax_t{now.total}) << std::flush;
                            return true;
                          }});
  collection.close();
  std::cerr << format("\rbuilt an index in %.2f s%20s\n", std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(), "");
}

/// Calls action.operator()<P>() for the backend of that name.
template <class Action>
void with_backend(std::string_view name, Action&& action) {
  const auto try_one = [&]<class P>() { return name == P::name ? (action.template operator()<P>(), true) : false; };
  if (!(try_one.template operator()<quiver::MMapPolicy>() || try_one.template operator()<quiver::CheckedMMapPolicy>() ||
        try_one.template operator()<quiver::MMapReadPolicy>() || try_one.template operator()<quiver::MemoryPolicy>() ||
        try_one.template operator()<quiver::FileReadPolicy>()))
    throw std::runtime_error("there is no backend " + std::string(name));
}

bool same_answers(const Answers& a, const Answers& b) {
  for (std::size_t query = 0; query < a.size(); ++query) {
    if (a[query].size() != b[query].size()) return false;
    for (std::size_t i = 0; i < a[query].size(); ++i)
      if (a[query][i].row != b[query][i].row || a[query][i].distance != b[query][i].distance || a[query][i].label != b[query][i].label) return false;
  }
  return true;
}

std::string megabytes(long kib) { return format("%.1f MB", static_cast<double>(kib) * 1024 / 1e6); }

bool demonstrate(const fs::path& data, const fs::path& out) {
  fs::create_directories(out);
  const fs::path store = out / "demo.qvr";
  const auto base = quiver::read_bvecs(data / "base.bvecs");
  const std::vector<std::string> labels = read_lines(data / "base_labels.txt");
  if (labels.size() != base.rows) throw std::runtime_error("base.bvecs and base_labels.txt in " + data.string() + " do not belong together");
  const Queries queries(data);
  ingest(store, base, labels);

  Table table({"search", "backend", "open", "memory, opened", "memory, searched", "recall@10", "queries/s"});
  bool good = true;
  // Under every backend; the answers of the first, which all others must give too.
  const auto measure_all = [&](const char* search, double least_recall) {
    std::vector<BackendRun> runs;
    for (const std::string_view name :
         {quiver::MMapPolicy::name, quiver::CheckedMMapPolicy::name, quiver::MMapReadPolicy::name, quiver::MemoryPolicy::name, quiver::FileReadPolicy::name}) {
      std::cerr << "searching under " << name << '\n';
      runs.push_back(measure_in_child(name, store, data, queries.size()));
      const BackendRun& run = runs.back();
      const double found = recall(base, queries, run.answers, asked_for);
      table.add({search, run.name, format("%.2f ms", run.open_ms), megabytes(run.opened_kib), megabytes(run.searched_kib), format("%.3f", found),
                 format("%.0f", run.queries_per_second)});
      if (found < least_recall) {
        good = false;
        std::cerr << "demo: recall is below " << least_recall << " under " << name << '\n';
      }
      if (!same_answers(runs.front().answers, run.answers)) {
        good = false;
        std::cerr << "demo: " << name << " answers differently from " << runs.front().name << '\n';
      }
    }
    return runs.front().answers;
  };
  const Answers answers = measure_all("exact", 1);
  index(store);
  measure_all("HNSW, Sq8", 0.98);

  std::uintmax_t files = 0, bytes = 0;
  for (const auto& entry : fs::recursive_directory_iterator(store))
    if (entry.is_regular_file()) ++files, bytes += entry.file_size();
  write_png(out / "demo.png", draw_answers(base, queries, answers, queries_drawn));

  std::cout << format("\nfashion10k: %s pictures of %zu values, %zu queries, the %zu nearest by squared L2, found exactly and along a graph\n\n",
                      with_commas(base.rows).c_str(), picture_side * picture_side, queries.size(), asked_for)
            << table.text() << '\n'
            << (good ? "  Either search gives the same answers under every backend" : "  NOT ALL ANSWERS ARE RIGHT")
            << format(". Most of the 10 nearest bear the query's own label for %zu of %zu queries.\n", right_majorities(queries, answers), queries.size())
            << "  Memory is what the process holds more than before it opened the store, pages of mapped files included.\n\n"
            << "  store    " << store.string() << format("  (%ju files, %.1f MB)\n", files, static_cast<double>(bytes) / 1e6) << "  picture  "
            << (out / "demo.png").string() << '\n';
  return good;
}

}  // namespace

int main(int count, char** words) try {
  std::map<std::string, std::string> options;
  for (int i = 1; i < count; ++i) {
    const std::string word = words[i];
    const bool known = word == "--data" || word == "--out" || word == "--measure" || word == "--store";
    if (word == "--help" || word == "-h") {
      std::cout << usage;
      return 0;
    }
    if (!known || i + 1 == count) {
      std::cerr << "demo: " << (known ? "a folder must follow " : "unknown argument ") << word << "\n\n" << usage;
      return 2;
    }
    options[word] = words[++i];
  }
  const fs::path data = options.contains("--data") ? fs::path(options["--data"]) : find_data();
  if (options.contains("--measure")) {  // a child of this program
    with_backend(options["--measure"], [&]<class P>() { run_backend<P>(options["--store"], data, asked_for); });
    return 0;
  }
  const fs::path out = options.contains("--out") ? fs::absolute(options["--out"]) : fs::read_symlink("/proc/self/exe").parent_path();
  return demonstrate(data, out) ? 0 : 1;
} catch (const std::exception& error) {
  std::cerr << "demo: " << error.what() << '\n';
  return 1;
}
