#include <quiver/schema/query_view.hpp>

#include <boost/test/unit_test.hpp>

#include <array>
#include <span>
#include <utility>
#include <vector>

using namespace quiver;

namespace {

struct Request {
  QueryView query = {};
};

std::vector<float> floats_of(const QueryView& query) { return {query.floats().begin(), query.floats().end()}; }

}  // namespace

BOOST_AUTO_TEST_SUITE(query_view)

BOOST_AUTO_TEST_CASE(floats_that_the_caller_keeps_are_not_copied) {
  std::vector<float> vector{1, 2, 3};
  const std::array<float, 3> array{1, 2, 3};
  const float c_array[] = {1, 2, 3};
  const std::span<float> writable(vector);
  BOOST_TEST(QueryView(vector).floats().data() == vector.data());
  BOOST_TEST(QueryView(array).floats().data() == array.data());
  BOOST_TEST(QueryView(c_array).floats().data() == &c_array[0]);
  BOOST_TEST(QueryView(writable).floats().data() == vector.data());
  BOOST_TEST(QueryView(std::span<const float>(vector)).floats().data() == vector.data());
  BOOST_TEST(QueryView(c_array).size() == 3u);
}

BOOST_AUTO_TEST_CASE(other_elements_become_floats) {
  const std::int8_t small[] = {-1, 2};
  BOOST_TEST(floats_of(small) == (std::vector<float>{-1, 2}));
  BOOST_TEST(floats_of(std::vector<std::uint8_t>{255}) == (std::vector<float>{255}));
  BOOST_TEST(floats_of(std::vector<Half>{Half{0x3C00}}) == (std::vector<float>{1}));
}

BOOST_AUTO_TEST_CASE(braced_numbers_and_a_temporary_vector_are_owned) {
  const Request braced{.query = {1.f, 2.f}};
  const Request twice{.query = {{1.f, 2.f}}};
  const Request temporary{.query = std::vector<float>{1.f, 2.f}};
  // Memory that was given back would be used again here.
  const std::vector<float> other(2, 9.f);
  for (const auto* request : {&braced, &twice, &temporary}) BOOST_TEST(floats_of(request->query) == (std::vector<float>{1, 2}));
}

BOOST_AUTO_TEST_CASE(a_copy_owns_what_its_original_owned) {
  QueryView copy;
  BOOST_TEST(copy.empty());
  {
    const QueryView original{1.f, 2.f, 3.f};
    copy = original;
    BOOST_TEST(copy.floats().data() != original.floats().data());
  }
  BOOST_TEST(floats_of(copy) == (std::vector<float>{1, 2, 3}));
  const QueryView moved = std::move(copy);
  BOOST_TEST(floats_of(moved) == (std::vector<float>{1, 2, 3}));
}

BOOST_AUTO_TEST_SUITE_END()
