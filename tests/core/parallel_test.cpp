#include <quiver/core/parallel.hpp>

#include <boost/test/unit_test.hpp>

#include <latch>
#include <memory>
#include <stdexcept>
#include <string>

using quiver::detail::parallel_for;
using quiver::detail::Thread;

BOOST_AUTO_TEST_SUITE(parallel)

BOOST_AUTO_TEST_CASE(every_task_runs_once) {
  for (const std::size_t threads : {0u, 1u, 2u, 4u, 50u})
    for (const std::size_t count : {0u, 1u, 3u, 1000u}) {
      std::vector<int> runs(count);
      parallel_for(count, threads, [&](std::size_t i) { ++runs[i]; });
      BOOST_TEST(std::count(runs.begin(), runs.end(), 1) == static_cast<std::ptrdiff_t>(count));
    }
}

BOOST_AUTO_TEST_CASE(the_first_exception_ends_the_work_and_arrives) {
  for (const std::size_t threads : {1u, 4u}) {
    std::atomic<std::size_t> runs{0};
    const auto work = [&](std::size_t i) {
      if (i == 10) throw std::runtime_error("ten");
      runs.fetch_add(1);
      std::this_thread::sleep_for(std::chrono::microseconds(50));
    };
    BOOST_CHECK_EXCEPTION(parallel_for(100'000, threads, work), std::runtime_error, [](const auto& e) { return e.what() == std::string("ten"); });
    BOOST_TEST(runs.load() < 100'000u);
  }
}

BOOST_AUTO_TEST_CASE(of_exceptions_of_several_threads_one_arrives) {
  std::latch both(2);
  const auto work = [&](std::size_t i) {
    both.arrive_and_wait();
    throw std::runtime_error(i == 0 ? "first" : "second");
  };
  BOOST_CHECK_EXCEPTION(parallel_for(2, 2, work), std::runtime_error,
                        [](const auto& e) { return e.what() == std::string("first") || e.what() == std::string("second"); });
}

BOOST_AUTO_TEST_CASE(a_thread_is_waited_for_once_or_forgotten) {
  Thread none;
  none.join();
  none.forget();
  std::atomic<bool> ran{false};
  Thread joined([&] { ran = true; });
  joined.join();
  BOOST_TEST(ran.load());
  joined.join();
  joined.forget();
  const auto stage = std::make_shared<std::atomic<int>>(0);  // which the thread may outlive us with
  {
    Thread forgotten([stage] {
      while (stage->load() == 0) std::this_thread::yield();
      stage->store(2);
    });
    forgotten.forget();
    forgotten.join();  // at once: it waits for us
  }
  stage->store(1);
  while (stage->load() != 2) std::this_thread::yield();
}

BOOST_AUTO_TEST_CASE(what_tasks_wrote_is_seen_when_all_have_ended) {
  std::vector<std::size_t> squares(10'000);
  parallel_for(squares.size(), 4, [&](std::size_t i) { squares[i] = i * i; });
  for (std::size_t i = 0; i < squares.size(); ++i) BOOST_REQUIRE(squares[i] == i * i);
}

BOOST_AUTO_TEST_SUITE_END()
