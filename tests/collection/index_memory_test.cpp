// Indexes that are built within a bound of memory: how much they take, and what becomes of segments whose index does not fit.
#include <quiver/collection/compaction_plan.hpp>

#include <quiver/collection/collection.hpp>

#include "support/changed_metrics.hpp"
#include "support/error_code.hpp"
#include "support/indexed_rows.hpp"
#include "support/leave_child.hpp"
#include "support/store_files.hpp"

#include <boost/test/unit_test.hpp>

#include <malloc.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

using namespace quiver;
using namespace quiver::test;
using namespace quiver::test::indexed_rows;

namespace index_memory {

/// What `rows` rows of the schema take.
[[nodiscard]] std::uint64_t memory_for(const Schema& schema, std::uint64_t rows, bool copied = true) {
  const auto& field = schema.vectors().front();
  return rows * detail::index_build_bytes(field, std::get<Hnsw>(field.index()), 1, copied);
}
/// Flushes of a sixth of the rows each.
template <class P, class... Where>
[[nodiscard]] Collection<P> in_sixths(const Clusters& data, const Schema& schema, const Where&... where) {
  auto c = Collection<P>::create(where..., schema, {.live_index = false});
  for (std::size_t i = 0; i < 6; ++i) {
    insert(c, data, i * many / 6, (i + 1) * many / 6);
    c.flush();
  }
  return c;
}
template <class C>
[[nodiscard]] std::vector<std::uint64_t> lengths(const C& c) {
  std::vector<std::uint64_t> out;
  for (const auto& segment : c.segments()) out.push_back(segment.rows);
  return out;
}
template <class C>
void check_documents(const C& c, const Clusters& data, const std::vector<std::size_t>& left) {
  BOOST_TEST(c.count() == left.size());
  std::size_t wrong = 0;
  for (const auto i : left) {
    const auto found = c.fetch(key(i));
    wrong += !found || found->template get<std::int32_t>("n") != static_cast<std::int32_t>(i) ||
                     !std::ranges::equal(*found->template get<std::vector<float>>("v"), data.row(i))
                 ? 1
                 : 0;
  }
  BOOST_TEST(wrong == 0u);
}
[[nodiscard]] Schema flat() { return Schema{Field::int32("n"), VectorField("v", dimension)}; }
const IndexSpec graph{.index = schema().vectors().front().index()};
[[nodiscard]] std::vector<std::size_t> all_rows() { return changed_metrics::numbers(0, many); }

[[nodiscard]] std::uint64_t anonymous_bytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("RssAnon:")) return 1024 * std::stoull(line.substr(8));
  return 0;
}
/// Of a process of its own, so that it finds nothing in its heap: the most bytes that are there while work(sample) runs and calls sample(), beyond those
/// before.
template <class Work>
[[nodiscard]] std::uint64_t most_bytes(Work&& work) {
  int ends[2];
  BOOST_REQUIRE(::pipe(ends) == 0);
  const auto child = ::fork();
  BOOST_REQUIRE(child >= 0);
  if (child == 0) {
    static_cast<void>(::malloc_trim(0));
    const auto before = anonymous_bytes();
    auto most = before;
    std::uint64_t answer = ~std::uint64_t{0};
    try {
      work([&] {
        most = std::max(most, anonymous_bytes());
        return true;
      });
      answer = most - before;
    } catch (...) {
    }
    leave_child(::write(ends[1], &answer, sizeof answer) == sizeof answer ? 0 : 1);
  }
  std::uint64_t answer = ~std::uint64_t{0};
  BOOST_TEST(::read(ends[0], &answer, sizeof answer) == static_cast<ssize_t>(sizeof answer));
  ::close(ends[0]);
  ::close(ends[1]);
  BOOST_TEST(::waitpid(child, nullptr, 0) == child);
  return answer;
}

}  // namespace index_memory

BOOST_AUTO_TEST_SUITE(index_memory, *boost::unit_test::timeout(300))

BOOST_AUTO_TEST_CASE(a_build_takes_about_what_it_may) {
  if (slow) return;  // a sanitizer's memory counts too
  constexpr std::size_t rows = 24'000, step = 4'000;
  constexpr std::uint64_t memory = 8 << 20, besides = 3 << 20;
  struct Shape {
    std::size_t dimension, m;
    bool one_flush;                // its vectors are mapped and need not be copied
    std::uint64_t most, segments;  // that it takes without a bound, at least; how many there are with it
  };
  for (const auto& [dimension, m, one_flush, most, segments] : {Shape{256, 4, false, rows * 256 * sizeof(float), 4}, Shape{8, 64, true, rows * 64 * 8, 2}}) {
    const FreshFolder folder;
    const Hnsw hnsw{.m = m, .ef_construction = 10};
    {
      const Clusters data(rows, dimension, 40, 3);
      auto c = Files::create(folder.path(), Schema{Field::int32("n"), VectorField("v", dimension).index(one_flush ? IndexType(Flat{}) : IndexType(hnsw))},
                             {.durability = Durability::buffered, .flush_bytes = std::uint64_t{1} << 30, .live_index = false});
      for (std::size_t i = 0; i < rows; i += step) {
        insert(c, data, i, i + step);
        if (!one_flush) c.flush();
      }
    }
    const auto taken = [&](std::uint64_t bytes) {
      return most_bytes([&](auto&& sample) {
        auto c = Files::open(folder.path());
        const auto progress = [&](const Progress&) { return sample(); };
        c.optimize({.progress = progress, .threads = 2, .memory = bytes});
        c.create_index("v", {.index = hnsw}, {.progress = progress, .threads = 2, .memory = bytes});
      });
    };
    BOOST_TEST_CONTEXT(dimension << " dimensions, m = " << m) {
      BOOST_TEST(taken(memory) < memory + besides);
      BOOST_TEST(Files::open(folder.path()).segments().size() == segments);
      BOOST_TEST(taken(0) > most, "without a bound it takes more, which this test would notice");
      BOOST_TEST(Files::open(folder.path()).segments().size() == 1u);
    }
  }
}

BOOST_AUTO_TEST_CASE(segments_are_merged_as_far_as_their_index_fits) {
  const Clusters data(many, dimension, 40, 5);
  const auto with = [&]<class P>(std::type_identity<P>) {
    BOOST_TEST_CONTEXT(P::name) {
      const FreshFolder folder;
      auto c = [&] {
        if constexpr (P::caps.volatile_store)
          return in_sixths<P>(data, schema());
        else
          return in_sixths<P>(data, schema(), folder.path());
      }();
      const auto exact = ask(c, data.query(0), 10, Hnsw::max_ef);
      const auto memory = memory_for(schema(), many / 4 + 1);
      c.optimize({.threads = 1, .memory = memory});
      BOOST_TEST((lengths(c) == std::vector<std::uint64_t>(4, many / 4)));
      BOOST_TEST(recall(c, data) >= 0.97);
      BOOST_TEST((ask(c, data.query(0), 10, Hnsw::max_ef) == exact));
      check_documents(c, data, all_rows());
      BOOST_TEST(c.verify().ok());
      // Nothing is left to be done within that memory.
      const auto version = c.stats().version;
      c.optimize({.threads = 1, .memory = memory});
      BOOST_TEST(c.stats().version == version);
      // More of it, and none that is one whole.
      c.optimize({.threads = 1, .memory = 2 * memory});
      BOOST_TEST((lengths(c) == std::vector<std::uint64_t>(2, many / 2)));
      c.optimize();
      BOOST_TEST((lengths(c) == std::vector<std::uint64_t>(1, many)));
      check_documents(c, data, all_rows());
      BOOST_TEST(recall(c, data) >= 0.97);
      BOOST_TEST((ask(c, data.query(0), 10, Hnsw::max_ef) == exact));
    }
  };
  with(std::type_identity<MMapPolicy>{});
  with(std::type_identity<MemoryPolicy>{});
  with(std::type_identity<CheckedMMapPolicy>{});
}

BOOST_AUTO_TEST_CASE(one_flush_becomes_several_segments_where_its_links_alone_do_not_fit) {
  const Clusters data(many, dimension, 40, 7);
  const FreshFolder folder;
  auto c = filled<MMapPolicy>(data, flat(), folder.path());
  // Mapped vectors are not copied.
  c.create_index("v", graph, {.threads = 1, .memory = memory_for(schema(), many, false)});
  BOOST_TEST((lengths(c) == std::vector<std::uint64_t>{many}));
  c.drop_index("v");
  c.create_index("v", graph, {.threads = 1, .memory = memory_for(schema(), many / 3, false)});
  BOOST_TEST((lengths(c) == std::vector<std::uint64_t>(3, many / 3)));
  BOOST_TEST(recall(c, data) >= 0.97);
  check_documents(c, data, all_rows());
  // Those of rows some of which are deleted are, and these go.
  c.drop_index("v");
  auto left = all_rows();
  for (const std::size_t i : {std::size_t{0}, many / 3 - 1, many / 3, many - 1}) {
    BOOST_TEST(c.erase(key(i)));
    std::erase(left, i);
  }
  c.flush();
  {
    auto store = std::make_shared<MMapPolicy::Store>(MMapPolicy::open_store(folder.path(), {}, OpenMode::read_only));
    const auto version = detail::open_newest<MMapPolicy>(store);
    const auto within = [&](std::uint64_t memory) {
      return detail::plan_compaction<MMapPolicy>(*version, schema(), detail::CompactionLimits::only_indexes(true),
                                                 detail::IndexMemory({.threads = 1, .memory = memory}));
    };
    BOOST_TEST(!within(0).merge_runs);
    BOOST_TEST(within(memory_for(schema(), many / 3 - 1, false)).merge_runs, "deleted rows that go are in no run of the id map");
  }
  c.create_index("v", graph, {.threads = 1, .memory = memory_for(schema(), many / 3 - 1, false)});
  std::uint64_t rows = 0, deleted = 0;
  for (const auto& segment : c.segments()) rows += segment.rows, deleted += segment.deleted;
  BOOST_TEST(rows == left.size());
  BOOST_TEST(deleted == 0u);
  BOOST_TEST(c.segments().size() > 3u);
  BOOST_TEST(recall(c, data) >= 0.97);
  check_documents(c, data, left);
  for (const auto i : {std::size_t{0}, many - 1}) BOOST_TEST(!c.fetch(key(i)));
  insert(c, data, 0, 1);  // its key is free
  BOOST_TEST(c.verify(VerifyLevel::full).ok());
  c.close();
  check_documents(Files::open(folder.path()), data, [&] {
    left.insert(left.begin(), 0);
    return left;
  }());
}

BOOST_AUTO_TEST_CASE(what_is_written_and_erased_meanwhile_is_there_and_gone) {
  const Clusters data(many, dimension, 40, 9);
  const FreshFolder folder;
  auto c = Files::create(folder.path(), schema(), {.live_index = false});
  insert(c, data, 0, many / 2);
  c.flush();
  insert(c, data, many / 2, many - 200);
  c.flush();
  std::size_t calls = 0, written = many - 200;
  auto left = changed_metrics::numbers(0, written);
  const auto progress = [&](const Progress&) {
    if (++calls % 10 == 0 && written < many) {
      insert(c, data, written, written + 50);
      for (; left.back() + 1 < written + 50;) left.push_back(left.back() + 1);
      written += 50;
      const auto gone = calls % many;
      if (c.erase(key(gone))) std::erase(left, gone);
      if (calls % 20 == 0) c.flush();
    }
    return true;
  };
  c.optimize({.progress = progress, .threads = 1, .memory = memory_for(schema(), many / 5)});
  BOOST_TEST(written > many - 200);
  check_documents(c, data, left);
  BOOST_TEST(c.verify().ok());
  c.optimize({.threads = 1, .memory = memory_for(schema(), many / 5)});
  for (const auto rows : lengths(c)) BOOST_TEST(rows <= many / 5);
  check_documents(c, data, left);
}

BOOST_AUTO_TEST_CASE(a_change_of_metric_fits_too) {
  using namespace quiver::test::changed_metrics;
  const ElementRows rows(Element::float32, 400, changed_metrics::dimension, 3), asked(Element::float32, 12, changed_metrics::dimension, 4);
  const auto memory = 90 * detail::index_build_bytes(schema_of(Element::float32, Metric::cosine).vectors()[0], changed_metrics::graph, 1, true);
  for (const auto to : {Metric::inner_product, Metric::cosine}) {
    const FreshFolder folder;
    auto c = Files::create(folder.path(), schema_of(Element::float32, Metric::l2), {.live_index = false});
    changed_metrics::insert(c, rows, numbers(0, 300));
    const auto zeros = [](const char* name) {
      const std::vector<float> zero(changed_metrics::dimension), one(changed_metrics::dimension, 1.0f);
      return Document{name, {{"n", 0}, {"v", zero}, {"w", one}}};
    };
    c.insert(zeros("dead"));
    c.flush();
    c.erase("dead");
    c.erase(changed_metrics::key(7));
    auto left = numbers(0, 300);
    left.erase(left.begin() + 7);
    if (to == Metric::cosine) {
      c.insert(zeros("alive"));
      c.flush();
      const auto before = c.stats().version;
      const auto error = error_of([&] { c.create_index("v", {.index = changed_metrics::graph, .metric = to}, {.threads = 1, .memory = memory}); });
      BOOST_REQUIRE(error);
      BOOST_TEST((error->code() == Errc::invalid_vector));
      BOOST_TEST(std::string_view(error->what()).find("\"alive\"") != std::string_view::npos, error->what());
      BOOST_TEST(c.stats().version == before);
      BOOST_TEST((c.schema() == schema_of(Element::float32, Metric::l2)));
      c.erase("alive");
    }
    bool added = false;
    const auto progress = [&](const Progress&) {
      if (!std::exchange(added, true)) changed_metrics::insert(c, rows, numbers(300, 400));
      return true;
    };
    c.create_index("v", {.index = changed_metrics::graph, .metric = to}, {.progress = progress, .threads = 1, .memory = memory});
    for (std::size_t i = 300; i < 400; ++i) left.push_back(i);
    BOOST_TEST(lengths(c).size() > 3u);
    BOOST_TEST(answers(c, asked) == right_answers(rows, asked, to, left));
    changed_metrics::check_documents(c, rows, left);
    BOOST_TEST(c.verify().ok());
    c.close();
    BOOST_TEST(answers(Files::open(folder.path()), asked) == right_answers(rows, asked, to, left));
  }
}

BOOST_AUTO_TEST_CASE(too_little_is_said_before_anything_is_changed) {
  const Clusters data(many, dimension, 40, 11);
  const FreshFolder folder;
  auto c = filled<MMapPolicy>(data, flat(), folder.path());
  const auto before = c.stats().version;
  const auto least = memory_for(schema(), (many + 255) / 256);
  for (const bool background : {false, true}) {
    const auto error =
        error_of([&] { c.create_index("v", graph, {.threads = 1, .memory = memory_for(schema(), many / 300, false), .background = background}); });
    BOOST_REQUIRE(error);
    BOOST_TEST((error->code() == Errc::invalid_argument));
    const std::string_view what = error->what();
    BOOST_TEST(what.find("vector field 'v'") != std::string_view::npos, what);
    BOOST_TEST(what.find("give " + std::to_string(least) + " or more") != std::string_view::npos, what);
    BOOST_TEST((c.schema() == flat()));
    BOOST_TEST(c.stats().version == before);
  }
  c.create_index("v", graph, {.threads = 1, .memory = least});  // as it says
  BOOST_TEST(c.segments().size() <= 256u);
  check_documents(c, data, all_rows());
  // What is all there needs no memory.
  c.optimize({.threads = 1, .memory = least});
  c.create_index("v", graph, {.memory = 1});
}

BOOST_AUTO_TEST_CASE(it_is_stopped_between_two_segments_and_leaves_nothing) {
  const Clusters data(many, dimension, 40, 13);
  const FreshFolder folder;
  auto c = in_sixths<MMapPolicy>(data, schema(), folder.path());
  const auto before = c.stats();
  const auto files = names_with(folder.path(), "");
  std::size_t indexes = 0;
  std::string_view last;
  const auto progress = [&](const Progress& now) {
    indexes += now.stage == "build index" && last != now.stage ? 1 : 0;
    last = now.stage;
    return indexes < 3;
  };
  BOOST_TEST((code_of([&] { c.optimize({.progress = progress, .threads = 1, .memory = memory_for(schema(), many / 4 + 1)}); }) == Errc::cancelled));
  BOOST_TEST(indexes == 3u);
  BOOST_TEST(c.stats().version == before.version);
  BOOST_TEST((names_with(folder.path(), "") == files));
  check_documents(c, data, all_rows());
}

BOOST_AUTO_TEST_SUITE_END()
