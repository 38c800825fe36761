#include <quiver/core/top_k.hpp>

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <limits>
#include <random>

using namespace quiver::detail;

namespace {

/// Few distances, so that most candidates tie with another.
std::vector<Candidate> candidates(std::size_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<Candidate> all;
  for (std::size_t i = 0; i < count; ++i) all.push_back({static_cast<float>(random() % 17) * 0.5f, i});
  std::shuffle(all.begin(), all.end(), random);
  return all;
}

std::vector<Candidate> best_of(std::vector<Candidate> all, std::size_t k) {
  std::sort(all.begin(), all.end());
  all.resize(std::min(k, all.size()));
  return all;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(top_k)

BOOST_AUTO_TEST_CASE(the_best_are_kept_and_ties_go_to_the_smaller_id_in_any_order) {
  for (const std::size_t count : {0u, 1u, 9u, 10u, 11u, 500u})
    for (const std::size_t k : {0u, 1u, 10u, 499u, 500u, 5000u})
      for (unsigned seed = 1; seed <= 3; ++seed) {
        const auto all = candidates(count, seed);
        TopK best(k);
        for (const auto& c : all) best.offer(c.distance, c.id);
        BOOST_TEST(best.size() == std::min(count, k));
        BOOST_TEST((best.take_sorted() == best_of(all, k)), "count " << count << ", k " << k);
      }
}

BOOST_AUTO_TEST_CASE(the_bound_is_what_a_candidate_must_not_exceed) {
  constexpr auto infinity = std::numeric_limits<float>::infinity();
  TopK best(2);
  BOOST_TEST(best.bound() == infinity);
  best.offer(3, 7);
  BOOST_TEST(best.bound() == infinity);
  best.offer(5, 8);
  BOOST_TEST(best.bound() == 5.0f);
  best.offer(5, 9);  // as far, but with the larger id
  best.offer(4, 10);
  BOOST_TEST(best.bound() == 4.0f);
  BOOST_TEST((best.take_sorted() == std::vector<Candidate>{{3, 7}, {4, 10}}));
  BOOST_TEST(best.size() == 0u);
  BOOST_TEST(best.bound() == infinity);
  best.offer(infinity, 1);  // a distance that overflowed is a distance
  BOOST_TEST(best.size() == 1u);
  BOOST_TEST(TopK(0).bound() == -infinity);
}

BOOST_AUTO_TEST_CASE(merged_parts_are_the_whole_in_any_order) {
  const auto all = candidates(300, 5);
  std::vector<TopK> parts(3, TopK(20));
  for (std::size_t i = 0; i < all.size(); ++i) parts[i % 3].offer(all[i].distance, all[i].id);
  std::vector<std::size_t> order{0, 1, 2};
  do {
    TopK whole(20);
    for (const auto i : order) whole.merge(parts[i]);
    BOOST_TEST((whole.take_sorted() == best_of(all, 20)));
  } while (std::next_permutation(order.begin(), order.end()));
}

BOOST_AUTO_TEST_CASE(none_are_kept_of_none_though_nothing_is_nearer) {
  TopK none(0);
  for (const std::uint64_t id : {7u, 3u}) none.offer(-std::numeric_limits<float>::infinity(), id);
  BOOST_TEST(none.take_sorted().empty());
  none.offer(-std::numeric_limits<float>::infinity(), 1);
  BOOST_TEST(none.size() == 0u);
}

BOOST_AUTO_TEST_SUITE_END()
