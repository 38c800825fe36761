// One flush of a segment, opened: its SCALAR block and, per vector field, its VECTOR_INDEX block.
#pragma once

#include <quiver/columns/materialize.hpp>
#include <quiver/columns/reader.hpp>
#include <quiver/index/codes_block.hpp>
#include <quiver/index/flat_block.hpp>
#include <quiver/index/hnsw_block.hpp>
#include <quiver/index/hnsw_rows.hpp>
#include <quiver/schema/field_names.hpp>
#include <quiver/schema/schema.hpp>
#include <quiver/storage/policy.hpp>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace quiver::detail {

/// The fields of a request, resolved against a schema once: ordinals of schema.fields() and schema.vectors().
struct Projection {
  std::vector<std::size_t> scalars;
  std::vector<std::size_t> vectors;

  /// Empty names: every field, vectors only if `with_vectors`. An unknown name is invalid_argument.
  Projection(const Schema& schema, const FieldNames& names, bool with_vectors) {
    if (names.is_none()) return;
    if (names.empty()) {
      for (std::size_t i = 0; i < schema.fields().size(); ++i) scalars.push_back(i);
      for (std::size_t i = 0; with_vectors && i < schema.vectors().size(); ++i) vectors.push_back(i);
      return;
    }
    for (const auto& name : names.names()) {
      if (const auto* field = schema.find(name))
        add(scalars, field - schema.fields().data());
      else if (const auto* vector = schema.find_vector(name))
        add(vectors, vector - schema.vectors().data());
      else
        fail(Errc::invalid_argument, "there is no field '" + std::string(name) + "' in the schema");
    }
  }

 private:
  /// A name that is asked for twice is read once.
  static void add(std::vector<std::size_t>& to, std::ptrdiff_t ordinal) {
    const auto wanted = static_cast<std::size_t>(ordinal);
    if (std::find(to.begin(), to.end(), wanted) == to.end()) to.push_back(wanted);
  }
};

/// The vector field of a name, by ordinal; invalid_argument if there is none.
[[nodiscard]] inline std::size_t vector_ordinal(const Schema& schema, std::string_view name) {
  const auto* field = schema.find_vector(name);
  if (field == nullptr)
    fail(Errc::invalid_argument, schema.find(name) != nullptr ? "field '" + std::string(name) + "' holds no vectors; give a vector field"
                                                              : "there is no vector field '" + std::string(name) + "' in the schema");
  return static_cast<std::size_t>(field - schema.vectors().data());
}

/// Appends the floats of a stored vector to a document. REQUIRES: the document does not hold the field yet.
inline void append_vector(Document& document, const VectorField& field, ByteSpan stored) {
  DocumentAccess::append(document, field.name(), Value(load_elements(field.element(), stored)));
}

/// What one flush left: a SCALAR block, and per vector field, in schema order, a VECTOR_INDEX block of the same rows, and where optimize() has built them
/// a graph of them and their codes; else references without a name.
struct PartFiles {
  FileRef scalar;
  std::vector<FileRef> vectors, graphs, codes;
  std::uint64_t rows = 0;
  DocId first, last;
  std::vector<Metric> metrics = {};  // that the vectors are opened for: the same files under others are another part

  /// What is lost with its block of columns, or with that of a vector field, for messages.
  [[nodiscard]] std::string holds(const Schema& schema, std::optional<std::size_t> vector = {}) const {
    return "; it holds " + (vector ? "field '" + schema.vectors()[*vector].name() + "'" : std::string("keys and fields")) + " of documents " +
           std::to_string(first.value) + " to " + std::to_string(last.value);
  }
  friend bool operator==(const PartFiles&, const PartFiles&) = default;
};
inline constexpr const char* holds_links = "; searches are fast through it, nothing else is lost with it";
inline constexpr const char *holds_keys = "; documents are found by their keys through it", *holds_deletes = "; it says which documents are deleted";

inline constexpr const char* or_repair = ", or repair() the collection, which costs no document and leaves the index to be built again";

/// Opens a file that a manifest names: if it is not there, that is corruption, not absence. `otherwise`: what else may be done about it.
template <StoragePolicy P>
[[nodiscard]] typename P::Reader open_named_file(const typename P::Store& store, const FileRef& file, const char* otherwise = "") {
  try {
    return store.open(file.name, file.identity);
  } catch (const Error& e) {
    if (e.code() == Errc::not_found)
      fail(Errc::corruption, store.path() / file.name, std::string("the manifest names this file and it is not there; restore it from a backup") + otherwise);
    throw;
  }
}

/// Immutable once opened; shared by every version that names it. Any number of threads, each with a scope of its own.
template <StoragePolicy P>
class Part {
 public:
  using Scope = typename P::ReadScope;
  using Graph = HnswBlock<typename P::Reader>;
  using Codes = CodesBlock<typename P::Reader>;

  Part(const typename P::Store& store, const Schema& schema, const PartFiles& files)
      : files_(files), rows_(files.rows), first_(files.first), last_(files.last), scalars_(open_scalars(store, schema, files.scalar)) {
    auto scope = store.read_scope();
    vectors_.reserve(files.vectors.size());
    for (std::size_t i = 0; i < schema.vectors().size(); ++i) {
      const auto& file = files.vectors[i];
      const auto& field = schema.vectors()[i];
      vectors_.emplace_back(open_named_file<P>(store, file), scope, file.identity, field.metric(), VectorShape(field.dimension(), field.element()), rows_);
      const auto& graph = files.graphs[i];
      graphs_.push_back(graph.name.empty() ? nullptr
                                           : std::make_unique<const Graph>(open_named_file<P>(store, graph, or_repair), scope, graph.identity, rows_));
      const auto& codes = files.codes[i];
      codes_.push_back(codes.name.empty() ? nullptr
                                          : std::make_unique<const Codes>(open_named_file<P>(store, codes, or_repair), scope, codes.identity, field.metric(),
                                                                          field.dimension(), rows_));
    }
    if (scalars_.rows() != rows_)
      fail(Errc::corruption, scalars_.reader().path(),
           "the block holds " + std::to_string(scalars_.rows()) + " rows, the manifest speaks of " + std::to_string(rows_));
    const auto groups = scalars_.groups();
    if (groups.front().first_doc_id != first_ || groups.back().last_doc_id != last_)
      fail(Errc::corruption, scalars_.reader().path(), "the block's doc ids are not those that the manifest names");
  }

  [[nodiscard]] std::uint64_t rows() const noexcept { return rows_; }
  /// Of a row. Computed where no id is missing between the first and the last.
  [[nodiscard]] DocId doc_id(Scope& scope, std::uint64_t row) const { return is_dense() ? DocId{first_.value + row} : scalars_.doc_id(scope, row); }
  /// The row of a doc id, or nullopt. REQUIRES: first() <= id <= last().
  [[nodiscard]] std::optional<std::uint64_t> find(Scope& scope, DocId id) const {
    return is_dense() ? std::optional(id.value - first_.value) : scalars_.find_doc_id(scope, id);
  }
  [[nodiscard]] DocId first() const noexcept { return first_; }
  [[nodiscard]] DocId last() const noexcept { return last_; }
  /// Parts of the same files are one part.
  [[nodiscard]] const PartFiles& files() const noexcept { return files_; }
  [[nodiscard]] const ScalarBlock<typename P::Reader>& scalars() const noexcept { return scalars_; }
  [[nodiscard]] const FlatBlock<typename P::Reader>& vectors(std::size_t field) const noexcept { return vectors_[field]; }
  [[nodiscard]] std::size_t vector_fields() const noexcept { return vectors_.size(); }
  /// Null where none was built.
  [[nodiscard]] const Graph* graph(std::size_t field) const noexcept { return graphs_[field].get(); }
  [[nodiscard]] const Codes* codes(std::size_t field) const noexcept { return codes_[field].get(); }

  /// Appends the projected fields of a row to a document.
  void read(Scope& scope, const Schema& schema, const Projection& fields, std::uint64_t row, Document& to) const {
    for (const auto i : fields.scalars) append_cell(to, schema.fields()[i], scalars_.cell(scope, i, row));
    for (const auto i : fields.vectors) append_vector(to, schema.vectors()[i], vectors_[i].row(scope, row));
  }

 private:
  [[nodiscard]] bool is_dense() const noexcept { return last_.value - first_.value == rows_ - 1; }
  static ScalarBlock<typename P::Reader> open_scalars(const typename P::Store& store, const Schema& schema, const FileRef& file) {
    auto scope = store.read_scope();
    return {open_named_file<P>(store, file), scope, file.identity, schema};
  }

  PartFiles files_;
  std::uint64_t rows_;
  DocId first_, last_;
  ScalarBlock<typename P::Reader> scalars_;
  std::vector<FlatBlock<typename P::Reader>> vectors_;
  std::vector<std::unique_ptr<const Graph>> graphs_;
  std::vector<std::unique_ptr<const Codes>> codes_;
};

}  // namespace quiver::detail
