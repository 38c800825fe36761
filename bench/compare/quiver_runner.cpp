// quiver under comparison, through nothing but its public interface.
//   quiver_runner [mmap|memory] [f32|sq8|sq4|codes16|f16|u8] [small-pages]
// f32: vectors as they are; sq8, sq4, codes16: codes beside them; f16, u8: vectors stored as halves or bytes.
// small-pages: no transparent huge pages in this process, as a mapped file has none; for comparing the policies and not the page sizes.
#include "protocol.hpp"

#include <quiver/quiver.hpp>

#include <sys/prctl.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <thread>

namespace {

using namespace compare;

/// How vectors are stored, and what walks look at.
struct Kind {
  quiver::Element element = quiver::Element::float32;
  quiver::QuantizerType codes = quiver::NoQuantizer{};
};

const std::map<std::string, Kind> kinds{{"f32", {}},
                                        {"sq8", {.codes = quiver::Sq8{}}},
                                        {"sq4", {.codes = quiver::Sq4{}}},
                                        {"codes16", {.codes = quiver::Float16{}}},
                                        {"f16", {.element = quiver::Element::float16}},
                                        {"u8", {.element = quiver::Element::uint8}}};

template <quiver::StoragePolicy P>
class Quiver {
 public:
  explicit Quiver(const Kind& kind) : kind_(kind) {}

  [[nodiscard]] static std::string version() { return QUIVER_COMPARE_VERSION; }

  /// The rows come first and lie together, as a graph is built over what lies together.
  Built build(const Request& request, std::span<const float> rows) {
    auto collection =
        quiver::Collection<P>::create(std::filesystem::path(request.folder) / "store", quiver::Schema{field_of(request)},
                                      {.durability = quiver::Durability::buffered, .segment_rows = std::max<std::size_t>(request.rows, 1'000'000)});
    Built built;
    Stopwatch watch;
    insert(collection, request, rows);
    collection.flush();
    collection.optimize({.threads = 1});
    built.rows = watch.lap();
    collection.create_index("v", {.index = index_of(request), .quantizer = kind_.codes}, {.threads = 1});
    built.index = watch.lap();
    collection.close();
    return built;
  }

  /// From the first row to the moment when all are in the graph of what is not flushed.
  Seconds live(const Request& request, std::span<const float> rows) {
    const auto folder = std::filesystem::path(request.folder) / "live";
    std::filesystem::remove_all(folder);
    auto collection = quiver::Collection<P>::create(folder, quiver::Schema{field_of(request).index(index_of(request))},
                                                    {.durability = quiver::Durability::buffered, .flush_bytes = std::size_t{1} << 40});
    Stopwatch watch;
    insert(collection, request, rows);
    while (collection.stats().memtable_linked < request.rows) {
      if (const auto error = collection.stats().background_error; !error.empty()) throw std::runtime_error(error);
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    const auto spent = watch.lap();
    collection.close();
    std::filesystem::remove_all(folder);
    return spent;
  }

  void open(const Request& request) {
    collection_.emplace(quiver::Collection<P>::open(std::filesystem::path(request.folder) / "store", {.mode = quiver::OpenMode::read_only}));
    if (const auto segments = collection_->segments().size(); segments != 1) throw std::runtime_error(std::to_string(segments) + " segments, not one");
    if (collection_->count() != request.rows) throw std::runtime_error("the collection has lost rows");
  }

  /// Documents are numbered as they were inserted. Asked here, and not while the opening is timed.
  void prepare(const Request&) {
    if (!first_) first_ = collection_->fetch("0", quiver::FieldNames::none()).value().id().value;
  }

  void search(const Request& request, std::span<const float> query, std::int64_t* found) {
    const quiver::SearchRequest ask{
        .field = "v", .query = query, .k = request.k, .ef = request.ef, .fields = quiver::FieldNames::none(), .refine = request.refine};
    for (const quiver::Hit& hit : collection_->search(ask)) *found++ = static_cast<std::int64_t>(hit.id.value - *first_);
  }

 private:
  [[nodiscard]] quiver::VectorField field_of(const Request& request) const {
    return quiver::VectorField("v", request.dim).metric(request.metric == "cosine" ? quiver::Metric::cosine : quiver::Metric::l2).element(kind_.element);
  }
  [[nodiscard]] static quiver::Hnsw index_of(const Request& request) { return {.m = request.m, .ef_construction = request.ef_construction}; }
  static void insert(quiver::Collection<P>& collection, const Request& request, std::span<const float> rows) {
    constexpr std::size_t batch_rows = 1000;
    std::vector<quiver::Document> batch;
    for (std::size_t first = 0; first < request.rows; first += batch_rows) {
      batch.clear();
      for (std::size_t row = first; row < std::min(first + batch_rows, request.rows); ++row)
        batch.push_back(quiver::Document{std::to_string(row), {{"v", rows.subspan(row * request.dim, request.dim)}}});
      collection.insert(batch);
    }
  }

  Kind kind_;
  std::optional<std::uint64_t> first_;
  std::optional<quiver::Collection<P>> collection_;
};

template <quiver::StoragePolicy P>
int run(const Kind& kind) {
  Quiver<P> system(kind);
  return serve(system);
}

}  // namespace

int main(int count, char** words) try {
  const std::string policy = count > 1 ? words[1] : "mmap", name = count > 2 ? words[2] : "f32", pages = count > 3 ? words[3] : "";
  const auto kind = kinds.find(name);
  if (count > 4 || (policy != "mmap" && policy != "memory") || kind == kinds.end() || (count > 3 && pages != "small-pages")) {
    std::cerr << "usage: quiver_runner [mmap|memory] [f32|sq8|sq4|codes16|f16|u8] [small-pages]\n";
    return 2;
  }
  if (!pages.empty() && ::prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) != 0) throw std::runtime_error("huge pages cannot be switched off for this process");
  return policy == "mmap" ? run<quiver::MMapPolicy>(kind->second) : run<quiver::MemoryPolicy>(kind->second);
} catch (const std::exception& error) {
  std::cout << compare::Answer{}.add("error", error.what()).str() << std::endl;
  return 1;
}
