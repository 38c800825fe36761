// The fields of a schema, as a program spells them.
#pragma once

#include <quiver/core/variant.hpp>
#include <quiver/schema/index_type.hpp>
#include <quiver/schema/name.hpp>
#include <quiver/schema/quantizer_type.hpp>

#include <string>
#include <utility>
#include <variant>

namespace quiver {

/// A scalar field: Field::int32("year").indexed(). A value; a schema checks the name.
class Field {
 public:
  Field(std::string name, FieldType type, bool nullable, bool indexed) : name_(std::move(name)), type_(type), nullable_(nullable), indexed_(indexed) {}

  [[nodiscard]] static Field boolean(Name name) { return {name, FieldType::boolean}; }
  [[nodiscard]] static Field int32(Name name) { return {name, FieldType::int32}; }
  [[nodiscard]] static Field int64(Name name) { return {name, FieldType::int64}; }
  [[nodiscard]] static Field uint32(Name name) { return {name, FieldType::uint32}; }
  [[nodiscard]] static Field uint64(Name name) { return {name, FieldType::uint64}; }
  [[nodiscard]] static Field float32(Name name) { return {name, FieldType::float32}; }
  [[nodiscard]] static Field float64(Name name) { return {name, FieldType::float64}; }
  [[nodiscard]] static Field string(Name name) { return {name, FieldType::string}; }
  [[nodiscard]] static Field strings(Name name) { return {name, FieldType::strings}; }
  [[nodiscard]] static Field bytes(Name name) { return {name, FieldType::bytes}; }

  /// Documents may leave the field out or set it to null.
  Field& nullable() & noexcept {
    nullable_ = true;
    return *this;
  }
  Field nullable() && {
    nullable_ = true;
    return std::move(*this);
  }
  /// Recorded in the schema: filters on this field are to be fast.
  Field& indexed() & noexcept {
    indexed_ = true;
    return *this;
  }
  Field indexed() && {
    indexed_ = true;
    return std::move(*this);
  }

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] FieldType type() const noexcept { return type_; }
  [[nodiscard]] bool is_nullable() const noexcept { return nullable_; }
  [[nodiscard]] bool is_indexed() const noexcept { return indexed_; }

  friend bool operator==(const Field&, const Field&) = default;

 private:
  Field(Name name, FieldType type) : name_(name.view()), type_(type) {}

  std::string name_;
  FieldType type_ = FieldType::boolean;
  bool nullable_ = false;
  bool indexed_ = false;
};

/// A vector field: VectorField("embedding", 384).metric(Metric::cosine).index(Hnsw{.m = 32}).quantizer(Sq8{}). Never null. A value; a schema checks name,
/// dimension and index.
class VectorField {
 public:
  VectorField(Name name, std::size_t dimension, Metric metric = Metric::l2) : name_(name.view()), dimension_(dimension), metric_(metric) {}

  VectorField& metric(Metric metric) & noexcept {
    metric_ = metric;
    return *this;
  }
  VectorField metric(Metric metric) && {
    metric_ = metric;
    return std::move(*this);
  }

  /// What the numbers are stored as: float32, unless a field says something else. float16 takes the nearest half of every number up to 65,504; int8 and uint8
  /// take whole numbers alone, -128 to 127 and 0 to 255. Nothing else about a field depends on it.
  VectorField& element(Element element) & noexcept {
    element_ = element;
    return *this;
  }
  VectorField element(Element element) && {
    element_ = element;
    return std::move(*this);
  }

  /// Flat{}, which is what a field has that says nothing, or Hnsw{.m, .ef_construction, .ef}.
  VectorField& index(const IndexType& index) & noexcept {
    index_ = index;
    return *this;
  }
  VectorField index(const IndexType& index) && {
    index_ = index;
    return std::move(*this);
  }

  /// NoQuantizer{}, which is what a field has that says nothing, or Float16{}, Sq8{} or Sq4{}, which need an index of type Hnsw.
  VectorField& quantizer(const QuantizerType& quantizer) & noexcept {
    quantizer_ = quantizer;
    return *this;
  }
  VectorField quantizer(const QuantizerType& quantizer) && {
    quantizer_ = quantizer;
    return std::move(*this);
  }

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] std::size_t dimension() const noexcept { return dimension_; }
  [[nodiscard]] Metric metric() const noexcept { return metric_; }
  [[nodiscard]] Element element() const noexcept { return element_; }
  [[nodiscard]] const IndexType& index() const noexcept { return index_; }
  [[nodiscard]] const QuantizerType& quantizer() const noexcept { return quantizer_; }

  friend bool operator==(const VectorField&, const VectorField&) = default;

 private:
  std::string name_;
  std::size_t dimension_ = 0;
  Metric metric_ = Metric::l2;
  Element element_ = Element::float32;
  IndexType index_;
  QuantizerType quantizer_;
};

/// Either kind of field: what a schema is listed from.
class AnyField {
 public:
  AnyField(Field field) : field_(std::move(field)) {}
  AnyField(VectorField field) : field_(std::move(field)) {}
  AnyField(const AnyField& other) : field_(detail::copy_of(other.field_)) {}
  AnyField(AnyField&&) noexcept = default;
  AnyField& operator=(const AnyField& other) {
    field_ = detail::copy_of(other.field_);
    return *this;
  }
  AnyField& operator=(AnyField&&) noexcept = default;
  ~AnyField() = default;

  [[nodiscard]] const std::variant<Field, VectorField>& field() const noexcept { return field_; }

 private:
  std::variant<Field, VectorField> field_;
};

}  // namespace quiver
