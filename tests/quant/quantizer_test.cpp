#include <quiver/quant/quantizer.hpp>

#include <quiver/quant/sq4.hpp>
#include <quiver/quant/sq8.hpp>

#include <boost/test/unit_test.hpp>

using namespace quiver;
using namespace quiver::detail;

namespace quiver::test::quantizer_tests {

// The poorest types that conform, and some that lack one thing.
struct PoorestQuery {
  float at(std::uint32_t) const;
  void fetch(std::uint32_t) const;
  [[nodiscard]] std::size_t ahead() const;
  void each(std::span<const std::uint32_t>, float*) const;
};
struct AtInDouble : PoorestQuery {
  double at(std::uint32_t) const;
};
struct ChangesWhenAsked : PoorestQuery {
  void each(std::span<const std::uint32_t>, float*);
};
static_assert(CodeQuery<PoorestQuery> && CodeQuery<Sq8Query> && CodeQuery<Sq4Query>);
static_assert(!CodeQuery<AtInDouble> && !CodeQuery<ChangesWhenAsked> && !CodeQuery<int>);

template <class Query = PoorestQuery>
struct Poorest {
  struct Trainer {
    void add(const ScaledVector&);
    Poorest finish(Metric);
  };
  bool fits() const;
  std::size_t code_bytes() const;
  bool with_terms() const;
  float encode(const ScaledVector&, std::byte*) const;
  void decode(const std::byte*, std::span<float>) const;
  Query prepare(const ScaledVector&, const CodeRows&) const;
};
struct WithoutTrainer {
  bool fits() const;
  std::size_t code_bytes() const;
  bool with_terms() const;
  float encode(const ScaledVector&, std::byte*) const;
  void decode(const std::byte*, std::span<float>) const;
  PoorestQuery prepare(const ScaledVector&, const CodeRows&) const;
};
struct TrainsAnother : Poorest<> {};  // whose trainer makes a Poorest
template <class Own>
struct WithTrainerOf : Poorest<> {
  struct Trainer {
    void add(const ScaledVector&);
    Own finish(Metric);
  };
};
struct OfOwnTrainer : WithTrainerOf<OfOwnTrainer> {};
struct CannotDecode : WithTrainerOf<CannotDecode> {
  void decode(const std::byte*, std::span<float>) const = delete;
};
struct CountsWhetherItFits : WithTrainerOf<CountsWhetherItFits> {
  int fits() const;
};
struct LearnsWhileItCodes : WithTrainerOf<LearnsWhileItCodes> {
  float encode(const ScaledVector&, std::byte*);
};
struct TellsNoTerm : WithTrainerOf<TellsNoTerm> {
  void encode(const ScaledVector&, std::byte*) const;
};
static_assert(Quantizer<Poorest<>> && Quantizer<OfOwnTrainer> && Quantizer<Sq8Quantizer> && Quantizer<Sq4Quantizer>);
static_assert(!Quantizer<Poorest<AtInDouble>> && !Quantizer<WithoutTrainer> && !Quantizer<TrainsAnother> && !Quantizer<CannotDecode> &&
              !Quantizer<CountsWhetherItFits> && !Quantizer<LearnsWhileItCodes> && !Quantizer<TellsNoTerm> && !Quantizer<int>);

// Codes of another width, and some that lack one thing.
struct OneByteMore : Sq8Codes {
  static constexpr std::size_t bytes(std::size_t dimension) { return Sq8Codes::bytes(dimension) + 1; }
};
struct WeightsOfAnotherKind : Sq8Codes {
  using Weight = std::int8_t;
};
struct WithoutPlace {
  using Weight = std::int16_t;
  static constexpr int half = 128;
};
static_assert(ScalarCodes<Sq8Codes> && ScalarCodes<Sq4Codes> && ScalarCodes<OneByteMore>);
static_assert(!ScalarCodes<WeightsOfAnotherKind> && !ScalarCodes<WithoutPlace> && !ScalarCodes<int>);

}  // namespace quiver::test::quantizer_tests

BOOST_AUTO_TEST_SUITE(quantizers)

// What the concepts say yes and no to is decided above, when this is compiled.
BOOST_AUTO_TEST_CASE(codes_are_put_and_got_wherever_they_stand_and_disturb_no_other) {
  const auto check = [](auto codes, std::size_t dimension) {
    using C = decltype(codes);
    Bytes row(C::bytes(dimension) + 1);
    row.back() = std::byte{0xAB};
    const auto code_of = [](std::size_t i) { return static_cast<int>(i * 7 % (2 * C::half)) - C::half; };
    for (std::size_t i = 0; i < dimension; ++i) C::put(row.data(), i, code_of(i));
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < dimension; ++i) wrong += C::get(row.data(), i) != code_of(i) ? 1u : 0u;
    BOOST_TEST(wrong == 0u, "dimension " << dimension);
    BOOST_TEST(std::to_integer<int>(row.back()) == 0xAB);
  };
  for (std::size_t dimension = 1; dimension <= 300; ++dimension) check(Sq8Codes(), dimension), check(Sq4Codes(), dimension);
  Bytes row(4);
  Sq4Codes::put(row.data(), 0, -8), Sq4Codes::put(row.data(), 1, 7), Sq4Codes::put(row.data(), 2, 1), Sq4Codes::put(row.data(), 3, -1);
  BOOST_TEST((row == Bytes{std::byte{0xF0}, std::byte{0x79}, std::byte{0}, std::byte{0}}));
}

BOOST_AUTO_TEST_SUITE_END()
