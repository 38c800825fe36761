// What is asked of a segment, a snapshot or a collection, and what comes back.
#pragma once

#include <quiver/core/types.hpp>
#include <quiver/schema/document.hpp>
#include <quiver/schema/field_names.hpp>
#include <quiver/schema/query_view.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace quiver {

/// One query: the k nearest documents by the vector field `field`. `query` refers to the caller's numbers and must outlive the call.
/// Empty `fields`: every field but vectors; FieldNames::none(): key and distance only.
struct SearchRequest {
  std::string field = {};
  QueryView query = {};  ///< as many numbers as the field has dimensions
  std::size_t k = 10;
  std::size_t ef = 0;  ///< of a field with an Hnsw index: rows to keep in mind, at least k of them; more find more and take longer, of more than 4,096 each row
                       ///< is looked at; 0: as the index says
  FieldNames fields = {};
  std::size_t refine = 0;  ///< of a field with a quantizer: of how many of the nearest by their codes the vectors are compared, at least k; 0: twice k, and no
                           ///< fewer than k + 10, of Sq4 four times k, and no fewer than k + 30
};

/// Many queries at once; they share passes over the rows, so this is several times faster than one after another.
struct SearchBatchRequest {
  std::string field = {};
  QueryView queries = {};  ///< n x dimension numbers, row major
  std::size_t k = 10;
  std::size_t ef = 0;  ///< as SearchRequest::ef
  FieldNames fields = {};
  std::size_t refine = 0;   ///< as SearchRequest::refine
  std::size_t threads = 1;  ///< 0: all that the machine has
};

/// Documents in doc-id order. Empty `fields`: every field, vectors too.
struct ScanRequest {
  FieldNames fields = {};
  std::optional<std::size_t> limit = {};
};

/// One answer of a search.
struct Hit {
  DocId id = {};
  std::string key = {};
  float distance = 0;  ///< smaller is nearer: squared L2; 1 - inner product; 1 - cosine similarity
  Document document = {};
};

/// What a search did.
struct SearchStats {
  std::uint64_t rows_visited = 0;
  std::uint64_t distances_computed = 0;
  std::uint64_t bytes_read = 0;  ///< bytes of vectors, norms and codes that were looked at; a row that is looked at twice counts twice
};

/// The answers of one search, sorted by (distance, doc id); at most k. A value; may be moved and kept.
class SearchResult {
 public:
  using value_type = Hit;
  using const_iterator = std::vector<Hit>::const_iterator;
  using iterator = const_iterator;

  SearchResult() = default;
  SearchResult(std::vector<Hit> hits, const SearchStats& stats) : hits_(std::move(hits)), stats_(stats) {}

  [[nodiscard]] std::size_t size() const noexcept { return hits_.size(); }
  [[nodiscard]] bool empty() const noexcept { return hits_.empty(); }
  [[nodiscard]] const Hit& operator[](std::size_t i) const noexcept { return hits_[i]; }
  [[nodiscard]] const_iterator begin() const noexcept { return hits_.begin(); }
  [[nodiscard]] const_iterator end() const noexcept { return hits_.end(); }
  [[nodiscard]] const SearchStats& stats() const noexcept { return stats_; }

 private:
  std::vector<Hit> hits_;
  SearchStats stats_;
};

}  // namespace quiver
