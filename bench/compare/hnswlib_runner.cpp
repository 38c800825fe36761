// hnswlib 0.8.0 under comparison: its headers, compiled with the flags of quiver_runner.
#include "protocol.hpp"

#include <hnswlib/hnswlib.h>

#include <memory>

namespace {

using namespace compare;

class Hnswlib {
 public:
  [[nodiscard]] static std::string version() { return "0.8.0"; }

  Built build(const Request& request, std::span<const float> rows) {
    Built built;
    Stopwatch watch;
    const auto graph = added(request, rows);
    built.index = watch.lap();
    graph->saveIndex(file(request));
    return built;
  }

  Seconds live(const Request& request, std::span<const float> rows) {
    Stopwatch watch;
    const auto graph = added(request, rows);
    return watch.lap();
  }

  void open(const Request& request) {
    make_space(request);
    graph_ = std::make_unique<hnswlib::HierarchicalNSW<float>>(space_.get(), file(request));
  }

  void prepare(const Request& request) { graph_->setEf(request.ef); }

  void search(const Request& request, std::span<const float> query, std::int64_t* found) {
    auto nearest = graph_->searchKnn(query.data(), request.k);
    // The farthest is on top.
    for (std::size_t i = nearest.size(); i-- > 0; nearest.pop()) found[i] = static_cast<std::int64_t>(nearest.top().second);
  }

 private:
  [[nodiscard]] static std::string file(const Request& request) { return request.folder + "/index.bin"; }
  [[nodiscard]] std::unique_ptr<hnswlib::HierarchicalNSW<float>> added(const Request& request, std::span<const float> rows) {
    make_space(request);
    auto graph = std::make_unique<hnswlib::HierarchicalNSW<float>>(space_.get(), request.rows, request.m, request.ef_construction);
    for (std::size_t row = 0; row < request.rows; ++row) graph->addPoint(rows.data() + row * request.dim, row);
    return graph;
  }
  /// Rows of length 1 are nearest by cosine where their inner product is largest.
  void make_space(const Request& request) {
    if (request.metric == "cosine")
      space_ = std::make_unique<hnswlib::InnerProductSpace>(request.dim);
    else
      space_ = std::make_unique<hnswlib::L2Space>(request.dim);
  }

  std::unique_ptr<hnswlib::SpaceInterface<float>> space_;
  std::unique_ptr<hnswlib::HierarchicalNSW<float>> graph_;
};

}  // namespace

int main() {
  Hnswlib system;
  return compare::serve(system);
}
