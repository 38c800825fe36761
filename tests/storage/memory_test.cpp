#include <quiver/storage/memory.hpp>

#include <quiver/storage/mmap.hpp>

#include "support/error_code.hpp"
#include "support/faulty_file_system.hpp"
#include "support/sample_file.hpp"
#include "support/sanitized.hpp"
#include "support/temp_folder.hpp"

#include <boost/test/unit_test.hpp>

#include <fstream>
#include <optional>

BOOST_AUTO_TEST_SUITE(memory_policy)

using namespace quiver;
using namespace quiver::test;

BOOST_AUTO_TEST_CASE(a_volatile_store_makes_nothing_anywhere_and_dies_with_its_handles) {
  using Faulty = FaultyFileSystem<PosixFileSystem>;
  using P = BasicMemoryPolicy<Faulty>;
  Faulty::clear();
  const auto sample = make_sample(sample_bytes(50'000));
  std::optional<P::Reader> reader;
  {
    auto store = P::create_store({});
    const auto lock = store.lock_for_writing();
    publish_sample(store, "seg-000001/a", sample);
    publish_sample(store, "idmap-000001", make_sample(sample_bytes(5)));
    reader.emplace(store.open("seg-000001/a", sample.identity));
    store.remove("seg-000001/a");
    BOOST_TEST(store.list().size() == 1u);
    BOOST_TEST(store.path().empty());
  }
  P::ReadScope scope;
  BOOST_TEST(std::ranges::equal(reader->view(scope, 0, sample.bytes.size()), sample.bytes));
  BOOST_TEST(Faulty::calls() == 0u);
  BOOST_TEST((code_of([] { static_cast<void>(P::open_store({}, {}, OpenMode::read_write)); }) == Errc::not_found));
  BOOST_TEST(Faulty::calls() == 0u);
}

BOOST_AUTO_TEST_CASE(two_volatile_stores_know_nothing_of_each_other) {
  auto one = MemoryPolicy::create_store({});
  auto two = MemoryPolicy::create_store({});
  const auto lock = one.lock_for_writing();
  static_cast<void>(two.lock_for_writing());
  publish_sample(one, "idmap-000001", make_sample(sample_bytes(5)));
  BOOST_TEST(two.list().empty());
  auto draft = one.create("idmap-000002");
  BOOST_TEST((code_of([&] { two.publish(std::move(draft)); }) == Errc::invalid_argument));
}

BOOST_AUTO_TEST_CASE(drafts_stay_with_the_kind_of_store_that_made_them) {
  const TempFolder temp;
  auto in_files = MemoryPolicy::create_store(temp / "store");
  auto in_memory = MemoryPolicy::create_store({});
  auto file = in_files.create("idmap-000001");
  auto bytes = in_memory.create("idmap-000001");
  BOOST_TEST(code_of([&] { in_memory.publish(std::move(file)); }) == Errc::invalid_argument);
  BOOST_TEST(code_of([&] { in_files.publish(std::move(bytes)); }) == Errc::invalid_argument);
  in_files.publish(std::move(file));
  in_memory.publish(std::move(bytes));
  for (const auto* store : {&in_files, &in_memory}) {
    BOOST_REQUIRE(store->list().size() == 1u);
    BOOST_TEST(store->list()[0].size == 0u);
    BOOST_TEST(store->read_small("idmap-000001").empty());
  }
}

BOOST_AUTO_TEST_CASE(a_draft_that_was_published_is_used_up) {
  auto store = MemoryPolicy::create_store({});
  auto draft = store.create("idmap-000001");
  draft.append(sample_bytes(10));
  store.publish(std::span(&draft, 1));
  BOOST_TEST(code_of([&] { draft.append(sample_bytes(1)); }) == Errc::invalid_argument);
  BOOST_TEST(code_of([&] { store.publish(std::span(&draft, 1)); }) == Errc::invalid_argument);
  BOOST_TEST((store.read_small("idmap-000001") == sample_bytes(10)));
}

BOOST_AUTO_TEST_CASE(files_are_linked_from_folder_to_folder_and_never_into_memory) {
  const TempFolder temp;
  const auto sample = make_sample(sample_bytes(5000));
  auto from = MemoryPolicy::create_store(temp / "from");
  publish_sample(from, "seg-000001/a", sample);
  BOOST_TEST(!MemoryPolicy::create_store({}).link("seg-000001/a", *from.directory(), sample.identity).has_value());
  auto to = MemoryPolicy::create_store(temp / "to");
  BOOST_TEST(!to.link("seg-000001/b", *from.directory(), sample.identity).has_value());  // not there
  auto wrong = sample.identity;
  wrong.id.low ^= 1;
  BOOST_TEST(!to.link("seg-000001/a", *from.directory(), wrong).has_value());
  BOOST_TEST(to.list().empty());
  auto draft = to.link("seg-000001/a", *from.directory(), sample.identity);
  BOOST_REQUIRE(draft.has_value());
  to.publish(std::move(*draft));
  BOOST_TEST(std::filesystem::equivalent(temp / "from" / "seg-000001" / "a", temp / "to" / "seg-000001" / "a"));
}

BOOST_AUTO_TEST_CASE(a_volatile_store_keeps_the_rules_of_any_other) {
  auto store = MemoryPolicy::create_store({});
  const auto sample = make_sample(sample_bytes(5000));
  publish_sample(store, "seg-000001/a", sample);
  BOOST_TEST((code_of([&] { publish_sample(store, "seg-000001/a", sample); }) == Errc::already_exists));
  BOOST_TEST((code_of([&] { static_cast<void>(store.create("../a")); }) == Errc::invalid_argument));
  BOOST_TEST((code_of([&] { static_cast<void>(store.read_small("b")); }) == Errc::not_found));
  auto wrong = sample.identity;
  wrong.id.low ^= 1;
  BOOST_TEST((code_of([&] { static_cast<void>(store.open("seg-000001/a", wrong)); }) == Errc::corruption));
  {
    auto draft = store.create("b");
    BOOST_TEST((code_of([&] { static_cast<void>(store.open("b", sample.identity)); }) == Errc::not_found));
    std::vector<MemoryPolicy::Draft> twins;
    twins.push_back(store.create("c"));
    twins.push_back(store.create("c"));
    BOOST_TEST((code_of([&] { store.publish(std::span(twins)); }) == Errc::already_exists));
  }
  BOOST_TEST(store.list().size() == 1u);
  std::optional lock(store.lock_for_writing());
  BOOST_TEST((code_of([&] { static_cast<void>(store.lock_for_writing()); }) == Errc::locked));
  lock.reset();
  BOOST_TEST((code_of([&] { static_cast<void>(store.lock_for_writing()); }) == Errc::none));
}

BOOST_AUTO_TEST_CASE(a_lock_of_a_volatile_store_that_is_assigned_goes_with_what_it_was_assigned_from) {
  auto one = MemoryPolicy::create_store({});
  auto two = MemoryPolicy::create_store({});
  const auto free = [](auto& store) { return code_of([&] { static_cast<void>(store.lock_for_writing()); }) == Errc::none; };
  {
    auto lock = one.lock_for_writing();
    lock = two.lock_for_writing();
    BOOST_TEST(free(one));
    BOOST_TEST(!free(two));
  }
  BOOST_TEST(free(two));
}

BOOST_AUTO_TEST_CASE(a_volatile_store_has_no_logs_and_with_a_path_there_are_some) {
  const auto codes = [](MemoryPolicy::Store store) {
    const auto appended = code_of([&] { static_cast<void>(store.append_log("wal-000001", sample_bytes(10))); });
    return std::pair(appended, code_of([&] { static_cast<void>(store.read_log("wal-000001")); }));
  };
  BOOST_TEST((codes(MemoryPolicy::create_store({})) == std::pair(Errc::unsupported, Errc::not_found)));
  auto store = MemoryPolicy::create_store({});
  BOOST_TEST((code_of([&] { static_cast<void>(store.append_log("wal-000001", {})); }) == Errc::unsupported));
  publish_sample(store, "idmap-000001", make_sample(sample_bytes(5)));  // it goes on
  BOOST_TEST(store.list().size() == 1u);
  const TempFolder temp;
  BOOST_TEST((codes(MemoryPolicy::create_store(temp / "store")) == std::pair(Errc::none, Errc::none)));
}

BOOST_AUTO_TEST_CASE(with_a_path_the_files_are_there_for_others) {
  const TempFolder temp;
  auto store = MemoryPolicy::create_store(temp / "store");
  const auto sample = make_sample(sample_bytes(5000));
  publish_sample(store, "seg-000001/a", sample);
  const auto reader = MMapPolicy::open_store(temp / "store", {}, OpenMode::read_only).open("seg-000001/a", sample.identity);
  BOOST_TEST(std::ranges::equal(std::span(reader.data(), sample.bytes.size()), sample.bytes));
}

BOOST_AUTO_TEST_CASE(nothing_is_read_after_the_load) {
  using Faulty = FaultyFileSystem<PosixFileSystem>;
  using P = BasicMemoryPolicy<Faulty>;
  const TempFolder temp;
  const auto sample = make_sample(sample_bytes(500'000));
  auto writer = MemoryPolicy::create_store(temp / "store");
  publish_sample(writer, "seg-000001/a", sample);
  const auto store = P::open_store(temp / "store", {}, OpenMode::read_only);
  const auto reader = store.open("seg-000001/a", sample.identity);
  std::filesystem::remove_all(temp / "store");
  Faulty::plan({.at = 1, .error = EIO, .for_ever = true});
  auto scope = store.read_scope();
  const Range range{100, 1000};
  reader.prefetch(scope, std::span(&range, 1));
  BOOST_TEST(std::ranges::equal(reader.view(scope, 0, sample.bytes.size()), sample.bytes));
  scope.renew();
  BOOST_TEST(Faulty::calls() == 0u);
  Faulty::clear();
}

#if !QUIVER_TEST_SANITIZED
namespace {

/// Bytes of anonymous memory that are resident in this process.
std::size_t resident_anonymous() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;)
    if (word == "RssAnon:") {
      std::size_t kilobytes = 0;
      status >> kilobytes;
      return kilobytes * 1024;
    }
  return 0;
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_file_takes_its_own_size_of_memory_and_no_more_than_three_percent_beyond) {
  constexpr std::size_t size = std::size_t{48} << 20;
  const TempFolder temp;
  auto in_files = MemoryPolicy::create_store(temp / "store");
  auto in_memory = MemoryPolicy::create_store({});
  const auto identity = [&] {
    const auto sample = make_sample(sample_bytes(size));
    publish_sample(in_files, "seg-000001/a", sample);
    const auto before = resident_anonymous();
    // In pieces that do not fit the growth of the draft.
    auto draft = in_memory.create("seg-000001/a");
    for (std::size_t at = 0; at < sample.bytes.size(); at += 70'001)
      draft.append(ByteSpan(sample.bytes).subspan(at, std::min<std::size_t>(70'001, sample.bytes.size() - at)));
    in_memory.publish(std::move(draft));
    BOOST_TEST(static_cast<double>(resident_anonymous() - before) <= 1.03 * static_cast<double>(sample.bytes.size()));
    return sample.identity;
  }();
  const auto before = resident_anonymous();
  const auto reader = in_files.open("seg-000001/a", identity);
  const auto grown = static_cast<double>(resident_anonymous()) - static_cast<double>(before);
  BOOST_TEST(grown >= 0.97 * static_cast<double>(size));
  BOOST_TEST(grown <= 1.03 * static_cast<double>(size));
  const auto again = in_memory.open("seg-000001/a", identity);
  BOOST_TEST(static_cast<double>(resident_anonymous()) - static_cast<double>(before) <= 1.03 * static_cast<double>(size));
}
#endif

BOOST_AUTO_TEST_CASE(anonymous_memory_moves_grows_and_shrinks_with_its_bytes) {
  detail::AnonymousMemory memory(100);
  BOOST_TEST(memory.size() == 100u);
  memory.data()[99] = std::byte{7};
  memory.resize(10'000'000);
  BOOST_TEST((memory.data()[99] == std::byte{7}));
  BOOST_TEST((memory.data()[9'999'999] == std::byte{0}));
  detail::AnonymousMemory other(std::move(memory));
  BOOST_TEST(memory.data() == nullptr);
  memory = std::move(other);
  auto& same = memory;
  memory = std::move(same);
  memory.resize(100);
  memory.resize(100);
  BOOST_TEST((memory.data()[99] == std::byte{7}));
  memory.resize(0);
  memory.resize(0);
  BOOST_TEST(memory.data() == nullptr);
  BOOST_TEST((code_of([&] { memory.resize(std::size_t{1} << 62); }) == Errc::io_error));
}

BOOST_AUTO_TEST_SUITE_END()
