// A VECTOR_INDEX_QUANTIZE block: the rows of a VECTOR_INDEX block in fewer bytes, as walks read them. README.md beside this file shows the bytes.
#pragma once

#include <quiver/block/reader.hpp>
#include <quiver/block/writer.hpp>
#include <quiver/index/codes_trial.hpp>
#include <quiver/index/flat.hpp>
#include <quiver/quant/float16.hpp>
#include <quiver/quant/sq4.hpp>
#include <quiver/quant/sq8.hpp>
#include <quiver/storage/anonymous_memory.hpp>

#include <algorithm>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace quiver::detail {

inline constexpr std::size_t codes_tail_size = 24;  // u32 quantizer, u32 metric, u64 rows, u32 dimension, u32 bytes of a row
inline constexpr std::string_view codes_section = "codes", offsets_section = "offsets", steps_section = "steps", terms_section = "terms",
                                  scale_section = "scale";
enum class CodesKind : std::uint32_t {
  none = 0,
  sq8 = 1,
  sq4 = 2,
  float16 = 3
};  // none: codes of these rows would be of no use, and searches read the vectors

template <Quantizer Q>
inline constexpr CodesKind codes_kind_of = CodesKind::none;
template <>
inline constexpr CodesKind codes_kind_of<Sq8Quantizer> = CodesKind::sq8;
template <>
inline constexpr CodesKind codes_kind_of<Sq4Quantizer> = CodesKind::sq4;
template <>
inline constexpr CodesKind codes_kind_of<Float16Quantizer> = CodesKind::float16;

/// What a walk asks where rows are codes.
using CodesQuery = std::variant<Sq8Query, Sq4Query, Float16Query>;

/// How a quantizer sees a row or a query.
[[nodiscard]] inline ScaledVector scaled(Metric metric, std::span<const float> values, float inverse_norm) noexcept {
  return {values, metric == Metric::cosine ? inverse_norm : 1.0f};
}

/// Writes the codes of all rows, or that they would be of no use; keeps four bytes a row meanwhile. step(rows) is called now and then, and may throw. The
/// draft is left finished, not published. REQUIRES: at least one row.
template <Quantizer Q, class Draft, class Step>
[[nodiscard]] FileIdentity write_codes_block(Draft& draft, Metric metric, const FlatRows& rows, Step&& step, std::optional<FileId> id = std::nullopt) {
  constexpr std::size_t batch = 1024;
  std::vector<float> room;
  const auto row = [&](std::size_t r) {
    return scaled(metric, {rows.floats(r, 1, room), rows.dimension}, metric == Metric::cosine ? rows.inverse_norms[r] : 1.0f);
  };
  typename Q::Trainer trainer(rows.dimension);
  for (std::size_t r = 0; r < rows.count; ++r) {
    trainer.add(row(r));
    if (r % batch == 0) step(std::uint64_t{0});
  }
  const auto quantizer = trainer.finish(metric);
  const bool useful = quantizer.fits() && codes_tell_rows_apart(quantizer, metric, rows, row, [&] { step(std::uint64_t{0}); });
  const auto stride = useful ? quantizer.code_bytes() : 0;
  BlockWriter<Draft> writer(draft, BlockKind::vector_quant, id);
  if (useful) {
    const auto put = [&](std::string_view name, std::span<const float> values) {
      writer.begin_section(name);
      writer.append(std::as_bytes(values));
      writer.end_section();
    };
    if constexpr (std::is_same_v<typename Q::Parameters, ScalarParameters>) {
      put(offsets_section, quantizer.parameters().offset);
      put(steps_section, quantizer.parameters().step);
    } else {
      put(scale_section, std::span(&quantizer.parameters().scale, 1));
    }
    writer.begin_section(codes_section);
    Bytes codes(batch * stride);
    std::vector<float> terms;
    if (quantizer.with_terms()) terms.resize(rows.count);
    for (std::size_t first = 0; first < rows.count; first += batch) {
      const auto count = std::min(batch, rows.count - first);
      for (std::size_t i = 0; i < count; ++i) {
        const float term = quantizer.encode(row(first + i), &codes[i * stride]);
        if (!terms.empty()) terms[first + i] = term;
      }
      writer.append(std::span(codes).first(count * stride));
      step(count);
    }
    writer.append(Bytes(code_block));
    writer.end_section();
    if (!terms.empty()) put(terms_section, terms);
  } else {
    step(rows.count);
  }
  Bytes tail;
  append(tail, static_cast<std::uint32_t>(useful ? codes_kind_of<Q> : CodesKind::none));
  append(tail, static_cast<std::uint32_t>(metric));
  append(tail, std::uint64_t{rows.count});
  append(tail, static_cast<std::uint32_t>(rows.dimension));
  append(tail, static_cast<std::uint32_t>(stride));
  return writer.finish(tail);
}

/// One open block of codes. Opening reads the parameters, and copies the codes where the reader is not memory. Owns its reader. Any number of threads.
template <class Reader>
class CodesBlock {
 public:
  /// corruption: not the file of `identity`, or its sections are no codes of `rows` rows of `dimension`. version_mismatch: codes of a newer quiver.
  template <class Scope>
  CodesBlock(Reader reader, Scope& scope, const FileIdentity& identity, Metric metric, std::size_t dimension, std::uint64_t rows)
      : block_(std::move(reader), scope, identity, BlockKind::vector_quant) {
    const auto tail = block_.tail(scope);
    if (tail.size() != codes_tail_size) broken(std::to_string(tail.size()) + " bytes of a tail");
    const auto kind = load<std::uint32_t>(tail.data());
    const auto stride = load<std::uint32_t>(tail.data() + 20);
    if (load<std::uint32_t>(tail.data() + 4) != static_cast<std::uint32_t>(metric) || load<std::uint64_t>(tail.data() + 8) != rows ||
        load<std::uint32_t>(tail.data() + 16) != dimension)
      broken("codes of kind " + std::to_string(kind) + " that are not those of " + std::to_string(rows) + " rows of " + std::to_string(dimension) +
             " dimensions under their metric");
    switch (static_cast<CodesKind>(kind)) {
      case CodesKind::none:
        if (stride != 0) broken("no codes, and " + std::to_string(stride) + " bytes for each row's");
        return;
      case CodesKind::sq8:
        open<Sq8Quantizer>(scope, metric, dimension, rows, stride);
        return;
      case CodesKind::sq4:
        open<Sq4Quantizer>(scope, metric, dimension, rows, stride);
        return;
      case CodesKind::float16:
        open<Float16Quantizer>(scope, metric, dimension, rows, stride);
        return;
    }
    fail(Errc::version_mismatch, block_.path(), block_.trailer().data_length,
         "codes of kind " + std::to_string(kind) + ", which this quiver does not know; use a newer quiver");
  }

  [[nodiscard]] const Block<Reader>& block() const noexcept { return block_; }
  /// Bytes of codes and terms that were copied, because the reader is not memory.
  [[nodiscard]] std::uint64_t copied() const noexcept { return codes_copy_.size() + terms_copy_.size(); }
  /// Bytes of one row that an estimate reads: its code, and its term where there is one.
  [[nodiscard]] std::size_t row_bytes() const noexcept { return row_bytes_; }
  /// CodesKind::none where the rows have none.
  [[nodiscard]] CodesKind kind() const noexcept {
    return visit_quantizer([](const auto& quantizer) { return codes_kind_of<std::remove_cvref_t<decltype(quantizer)>>; }, CodesKind::none);
  }
  /// What a walk asks for distances; none where the rows have no codes or the query's numbers are too large. Refers to this block.
  [[nodiscard]] std::optional<CodesQuery> prepare(const FlatQuery& query) const {
    std::optional<CodesQuery> out;
    const auto by = [&](const auto& quantizer) {
      auto prepared = quantizer.prepare(scaled(query.metric(), {query.data(), query.dimension()}, query.inverse_norm()), rows_);
      if (prepared.fits()) out.emplace(std::move(prepared));
      return true;
    };
    static_cast<void>(visit_quantizer(by, false));
    return out;
  }

 private:
  [[noreturn]] void broken(const std::string& what) const {
    fail(Errc::corruption, block_.path(), block_.trailer().data_length,
         what + "; restore the file from a backup, or repair() the collection, which costs no document and leaves the index to be built again");
  }
  /// use(quantizer), or `otherwise` where there is none.
  template <class Use, class Result>
  [[nodiscard]] Result visit_quantizer(Use&& use, Result otherwise) const {
    return std::visit(
        [&](const auto& quantizer) -> Result {
          if constexpr (std::is_same_v<std::remove_cvref_t<decltype(quantizer)>, std::monostate>)
            return std::move(otherwise);
          else
            return use(quantizer);
        },
        quantizer_);
  }
  template <Quantizer Q, class Scope>
  void open(Scope& scope, Metric metric, std::size_t dimension, std::uint64_t rows, std::size_t stride) {
    const Q quantizer = learned<Q>(scope, metric, dimension);
    const auto codes = block_.section(codes_section);
    if (!quantizer.fits() || stride != quantizer.code_bytes() || codes.length < code_block || (codes.length - code_block) % stride != 0 ||
        (codes.length - code_block) / stride != rows)
      broken("section 'codes' has " + std::to_string(codes.length) + " bytes, which are not " + std::to_string(rows) + " rows of " + std::to_string(stride));
    rows_.codes = take(scope, codes, codes_copy_);
    row_bytes_ = stride;
    if (quantizer.with_terms()) {
      const auto terms = block_.section(terms_section);
      if (terms.length % sizeof(float) != 0 || terms.length / sizeof(float) != rows)
        broken("section 'terms' has " + std::to_string(terms.length) + " bytes, which are not those of " + std::to_string(rows) + " rows");
      rows_.terms = reinterpret_cast<const float*>(take(scope, terms, terms_copy_));
      row_bytes_ += sizeof(float);
    }
    quantizer_ = quantizer;
  }
  /// A quantizer with the parameters of the block.
  template <Quantizer Q, class Scope>
  [[nodiscard]] Q learned(Scope& scope, Metric metric, std::size_t dimension) const {
    if constexpr (std::is_same_v<typename Q::Parameters, ScalarParameters>) {
      ScalarParameters parameters{floats(scope, offsets_section, dimension), floats(scope, steps_section, dimension)};
      for (std::size_t i = 0; i < dimension; ++i)
        if (!is_number(parameters.offset[i]) || !(parameters.step[i] >= 0) || !is_number(parameters.step[i]))
          broken("dimension " + std::to_string(i) + " has an offset or a step that is no number");
      return Q(metric, std::move(parameters));
    } else {
      const typename Q::Parameters parameters{floats(scope, scale_section, 1).front()};
      if (!Q::valid(parameters)) broken("the scale is no power of two up to 2^63");
      return Q(metric, dimension, parameters);
    }
  }
  template <class Scope>
  [[nodiscard]] std::vector<float> floats(Scope& scope, std::string_view name, std::size_t count) const {
    const auto section = block_.section(name);
    if (section.length != count * sizeof(float)) broken("section '" + std::string(name) + "' has " + std::to_string(section.length) + " bytes");
    std::vector<float> out(count);
    scope.renew();
    std::memcpy(out.data(), block_.view(scope, section, 0, section.length).data(), section.length);
    return out;
  }
  /// Where the bytes of a section lie for as long as this block does: in the file where the reader is memory, else in the copy.
  template <class Scope>
  [[nodiscard]] const std::byte* take(Scope& scope, const Range& section, AnonymousMemory& copy) {
    if constexpr (requires { block_.reader().data(); }) {
      return block_.reader().data() + section.offset;
    } else {
      copy.resize(section.length);
      constexpr std::size_t piece = std::size_t{1} << 20;
      for (std::size_t at = 0; at < section.length; at += piece) {
        scope.renew();
        const auto length = std::min(piece, section.length - at);
        std::memcpy(copy.data() + at, block_.view(scope, section, at, length).data(), length);
      }
      return copy.data();
    }
  }

  Block<Reader> block_;
  std::variant<std::monostate, Sq8Quantizer, Sq4Quantizer, Float16Quantizer> quantizer_;
  std::size_t row_bytes_ = 0;
  AnonymousMemory codes_copy_, terms_copy_;  // where the reader is not memory
  CodeRows rows_;
};

}  // namespace quiver::detail
