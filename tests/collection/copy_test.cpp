#include <quiver/collection/collection.hpp>

#include <quiver/collection/verify_path.hpp>

#include "support/error_code.hpp"
#include "support/policies.hpp"
#include "support/store_files.hpp"
#include "support/wrapped_policy.hpp"

#include <boost/mp11/algorithm.hpp>
#include <boost/test/unit_test.hpp>

using namespace quiver;
using namespace quiver::test;

namespace copies {
namespace {

namespace fs = std::filesystem;

Schema tiny_schema() { return Schema{Field::string("s").nullable(), Field::int32("n"), VectorField("v", 2), VectorField("c", 3).metric(Metric::cosine)}; }
Document document(int i) {
  return Document{"k" + std::to_string(i),
                  {{"s", std::string(static_cast<std::size_t>(i % 5), 's')}, {"n", i}, {"v", {float(i), 1.0f}}, {"c", {float(i), 1.0f, -1.0f}}}};
}
template <class C>
void insert(C& c, int first, int end) {
  std::vector<Document> batch;
  for (; first < end; ++first) batch.push_back(document(first));
  c.insert(batch);
}
/// Five segments, deletes in a file and since, replaced documents, and documents that are not flushed.
template <class P>
Collection<P> filled(const fs::path& path) {
  auto c = Collection<P>::create(path, tiny_schema(), {.segment_rows = 7, .retain = {.versions = 3}});
  insert(c, 0, 12);
  c.flush();
  insert(c, 12, 31);
  c.erase({"k3", "k13"});
  c.upsert(document(5));
  c.flush();
  insert(c, 31, 36);
  c.update("k8", {{"n", 800}});
  c.erase({"k0", "k12", "k33"});
  return c;
}
template <class C>
std::string shown(const C& c) {
  return digest(c, c.schema());
}
detail::Version newest_version(const fs::path& path) {
  const auto store = FileReadPolicy::open_store(path, {}, OpenMode::read_only);
  return detail::read_manifest<FileReadPolicy>(store, detail::manifest_numbers<FileReadPolicy>(store).back()).version;
}
bool is_block(const std::string& name) { return detail::is_data_file_name(name) && !name.starts_with("deletes-"); }
std::size_t names_of(const fs::path& file) { return static_cast<std::size_t>(fs::hard_link_count(file)); }

/// Both go on by themselves, and what one does the other does not see.
template <class A, class B>
void check_independent(A& source, B& copy) {
  const auto before = shown(source);
  const auto ids = [](const auto& c) { return c.fetch("new")->id().value; };
  insert(copy, 100, 110);
  copy.insert(Document{"new", {{"n", 1}, {"v", {1.0f, 1.0f}}, {"c", {1.0f, 1.0f, 1.0f}}}});
  copy.erase("k20");
  copy.flush();
  copy.upsert(document(21));
  copy.flush();
  BOOST_TEST(shown(source) == before);
  BOOST_TEST(copy.verify().ok());
  BOOST_TEST(source.verify().ok());
  const auto of_copy = shown(copy);
  source.insert(Document{"new", {{"n", 2}, {"v", {1.0f, 1.0f}}, {"c", {1.0f, 1.0f, 1.0f}}}});
  source.erase({"k1", "k2"});
  for (int i = 0; i < 5; ++i) {  // prunes
    insert(source, 200 + i, 201 + i);
    source.flush();
  }
  BOOST_TEST(shown(copy) == of_copy);
  BOOST_TEST(copy.verify().ok());
  BOOST_TEST(source.verify().ok());
  BOOST_TEST(ids(copy) > 36u);  // no id that the source had given was given again
}

template <class From, class To>
void check_pair() {
  BOOST_TEST_CONTEXT(From::name << " to " << To::name) {
    const FreshFolder folder;
    auto source = filled<From>(folder.path());
    const auto before = shown(source);
    auto copy = source.template copy_to<To>(folder.path("copy"));
    BOOST_TEST(shown(copy) == before);
    BOOST_TEST(shown(source) == before);
    BOOST_TEST(copy.verify().ok());
    BOOST_TEST(copy.stats().memtable_documents == 0u);
    const auto version = newest_version(folder.path("copy"));
    BOOST_TEST((version.store_id != newest_version(folder.path()).store_id));
    BOOST_TEST(version.retained.empty());
    for (const auto& [name, bytes] : read_store(folder.path("copy"))) BOOST_TEST(names_of(folder.path("copy") / name) == 1u, name);
    check_independent(source, copy);
    const auto after = shown(copy);
    copy.close();
    source.close();
    BOOST_TEST(shown(Collection<To>::open(folder.path("copy"))) == after);
  }
}

/// MMapPolicy, and how many bytes its scopes had viewed at most without being renewed.
struct HeldPolicy : WrappedWriting<MMapPolicy> {
  static constexpr std::string_view name = "held";
  static constexpr StorageCaps caps{.writable = true};
  static inline std::size_t most = 0;
  static inline std::size_t held_by_any = 0;
  using Options = MMapPolicy::Options;
  struct ReadScope {
    std::size_t held = 0;
    void renew() noexcept { held_by_any -= std::exchange(held, 0); }
  };
  struct Reader {
    MMapPolicy::Reader inner;
    std::uint64_t size() const noexcept { return inner.size(); }
    const fs::path& path() const noexcept { return inner.path(); }
    ByteSpan view(ReadScope& scope, std::uint64_t offset, std::size_t length) const {
      scope.held += length;
      held_by_any += length;
      most = std::max(most, scope.held);
      MMapPolicy::ReadScope none;
      return inner.view(none, offset, length);
    }
    void prefetch(ReadScope&, std::span<const Range>) const noexcept {}
  };
  struct Store : WrappedStore<MMapPolicy> {
    using WrappedStore<MMapPolicy>::WrappedStore;
    Reader open(std::string_view file, const FileIdentity& identity) const { return {inner_.open(file, identity)}; }
    ReadScope read_scope() const { return {}; }
  };
  static Store open_store(const fs::path& path, const Options& options, OpenMode mode) { return Store(MMapPolicy::open_store(path, options, mode)); }
  static Store create_store(const fs::path& path, const Options& options = {}) { return Store(MMapPolicy::create_store(path, options)); }
};
static_assert(WritableStoragePolicy<HeldPolicy>);

}  // namespace
}  // namespace copies

BOOST_AUTO_TEST_SUITE(copies)

BOOST_AUTO_TEST_CASE_TEMPLATE(a_copy_holds_what_the_source_held_and_goes_its_own_way, From, WritablePolicies) {
  boost::mp11::mp_for_each<boost::mp11::mp_transform<std::type_identity, WritablePolicies>>([](auto to) { check_pair<From, typename decltype(to)::type>(); });
}

BOOST_AUTO_TEST_CASE(a_volatile_collection_is_copied_from_and_to) {
  const FreshFolder folder;
  auto source = filled<MMapPolicy>(folder.path());
  auto copy = source.copy_to<MemoryPolicy>();
  BOOST_TEST(shown(copy) == shown(source));
  auto again = copy.copy_to<MMapPolicy>(folder.path("again"));
  BOOST_TEST(shown(again) == shown(source));
  insert(copy, 300, 303);
  copy.backup(folder.path("backup"));
  BOOST_TEST(shown(Collection<MMapPolicy>::open(folder.path("backup"))) == shown(copy));
  check_independent(source, again);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_backup_shares_files_with_the_source_and_both_are_independent, P, WritablePolicies) {
  const FreshFolder folder;
  auto source = filled<P>(folder.path());
  const auto before = shown(source);
  source.backup(folder.path("backup"));
  std::size_t shared = 0;
  for (const auto& [name, bytes] : read_store(folder.path())) {
    if (!is_block(name)) continue;
    BOOST_TEST(fs::equivalent(folder.path() / name, folder.path("backup") / name), name);
    ++shared;
  }
  BOOST_TEST(shared > 10u);
  BOOST_TEST(verify(folder.path("backup")).ok());
  auto backup = Collection<P>::open(folder.path("backup"));
  BOOST_TEST(shown(backup) == before);
  check_independent(source, backup);
  source.close();
  fs::remove_all(folder.path());
  BOOST_TEST(backup.verify().ok());
  BOOST_TEST(backup.fetch("k8")->template get<int>("n").value() == 800);
}

BOOST_AUTO_TEST_CASE(a_backup_without_links_shares_nothing) {
  const FreshFolder folder;
  auto source = filled<MMapPolicy>(folder.path());
  source.backup(folder.path("backup"), {.links = false});
  for (const auto& [name, bytes] : read_store(folder.path("backup"))) BOOST_TEST(names_of(folder.path("backup") / name) == 1u, name);
  BOOST_TEST(shown(Collection<MMapPolicy>::open(folder.path("backup"))) == shown(source));
}

// The name of a file may lead elsewhere, or nowhere, by the time it is linked; the collection has the right one open.
BOOST_AUTO_TEST_CASE(a_file_that_is_no_longer_under_its_name_is_copied_from_where_it_is_open) {
  const FreshFolder folder;
  auto source = filled<MMapPolicy>(folder.path());
  std::vector<std::string> blocks;
  for (const auto& [name, bytes] : read_store(folder.path()))
    if (is_block(name)) blocks.push_back(name);
  const auto swapped = folder.path() / blocks[0], removed = folder.path() / blocks[1];
  fs::remove(swapped);
  fs::copy_file(folder.path() / blocks[2], swapped);
  fs::remove(removed);
  source.backup(folder.path("backup"));
  BOOST_TEST(shown(Collection<MMapPolicy>::open(folder.path("backup"))) == shown(source));
  BOOST_TEST(verify(folder.path("backup")).ok());
}

BOOST_AUTO_TEST_CASE(damage_is_not_copied_silently) {
  const FreshFolder folder;
  filled<MMapPolicy>(folder.path()).close();
  const auto name = names_with(folder.path(), "seg-000001/blk-000001").front();
  auto bytes = read_store(folder.path())[name];
  bytes[bytes.size() / 3] ^= 1;
  put_file(folder.path() / name, bytes);
  auto source = Collection<MMapPolicy>::open(folder.path());
  const auto error = error_of([&] { source.copy_to<MMapPolicy>(folder.path("copy")); });
  BOOST_TEST_REQUIRE(error.has_value());
  BOOST_TEST(error->code() == Errc::corruption);
  BOOST_TEST(error->path() == folder.path() / name);
  BOOST_TEST(error->offset().has_value());
  BOOST_TEST(code_of([&] { (void)Collection<MMapPolicy>::open(folder.path("copy")); }) == Errc::not_found);
}

BOOST_AUTO_TEST_CASE(an_empty_collection_has_a_copy_too) {
  const FreshFolder folder;
  auto source = Collection<MMapPolicy>::create(folder.path(), tiny_schema(), {.durability = Durability::buffered, .flush_bytes = 12345});
  auto copy = source.copy_to<CheckedMMapPolicy>(folder.path("copy"));
  BOOST_TEST(copy.count() == 0u);
  insert(copy, 0, 3);
  copy.close();
  BOOST_TEST(Collection<MMapPolicy>::open(folder.path("copy")).count() == 3u);
  BOOST_TEST(source.count() == 0u);
  BOOST_TEST(newest_version(folder.path("copy")).flush_bytes == 12345u);
  BOOST_TEST((newest_version(folder.path("copy")).durability == Durability::buffered));
  insert(source, 0, 4);
  source.erase({"k0", "k1", "k2", "k3"});
  source.backup(folder.path("none"));
  BOOST_TEST(Collection<MMapPolicy>::open(folder.path("none")).count() == 0u);
  BOOST_TEST(verify(folder.path("none")).ok());
}

BOOST_AUTO_TEST_CASE(a_target_that_holds_something_is_refused_and_left_alone) {
  const FreshFolder folder;
  auto source = filled<MMapPolicy>(folder.path());
  fs::create_directories(folder.path("empty"));
  source.backup(folder.path("empty"));
  const auto there = read_store(folder.path("empty"));
  BOOST_TEST(code_of([&] { source.backup(folder.path("empty")); }) == Errc::already_exists);
  BOOST_TEST(code_of([&] { source.copy_to<MemoryPolicy>(folder.path("empty")); }) == Errc::already_exists);
  BOOST_TEST((read_store(folder.path("empty")) == there));
  put_file(folder.path("foreign") / "note.txt", "mine");
  BOOST_TEST(code_of([&] { source.backup(folder.path("foreign")); }) == Errc::already_exists);
  BOOST_TEST(read_store(folder.path("foreign")).size() == 1u);
  put_file(folder.path("file"), "mine");
  BOOST_TEST(code_of([&] { source.backup(folder.path("file")); }) == Errc::already_exists);
  BOOST_TEST(code_of([&] { source.backup(folder.path()); }) == Errc::already_exists);
  BOOST_TEST(code_of([&] { source.backup(""); }) == Errc::invalid_argument);
  BOOST_TEST(source.verify().ok());
  source.close();
  BOOST_TEST(code_of([&] { source.backup(folder.path("late")); }) == Errc::closed);
  BOOST_TEST(!fs::exists(folder.path("late")));
}

BOOST_AUTO_TEST_CASE(a_reader_and_an_old_version_can_be_copied) {
  const FreshFolder folder;
  auto source = filled<MMapPolicy>(folder.path());
  const auto versions = source.versions();
  auto reader = Collection<MMapReadPolicy>::open(folder.path());
  BOOST_TEST(shown(reader.copy_to<MMapPolicy>(folder.path("of reader"))) == shown(source));
  auto old = Collection<MMapPolicy>::open(folder.path(), {.at_version = versions[1].number});
  BOOST_TEST(old.count() == 12u);
  old.backup(folder.path("of old"));
  auto copy = Collection<MMapPolicy>::open(folder.path("of old"));
  BOOST_TEST(shown(copy) == shown(old));
  BOOST_TEST(copy.versions().size() == 1u);
}

BOOST_AUTO_TEST_CASE(progress_is_told_in_bytes_and_can_stop_a_copy) {
  const FreshFolder folder;
  auto source = filled<MMapPolicy>(folder.path());
  for (const bool links : {true, false}) {
    std::vector<Progress> told;
    const auto target = folder.path(links ? "links" : "bytes");
    source.backup(target, {.progress = [&](const Progress& p) { return told.push_back(p), true; }, .links = links});
    BOOST_TEST_REQUIRE(told.size() > 10u);
    BOOST_TEST(told.front().done == 0u);
    BOOST_TEST(told.back().done == told.back().total);
    std::uint64_t bytes = 0;
    for (const auto& [name, content] : read_store(target))
      if (fs::exists(folder.path() / name) && is_block(name)) bytes += content.size();
    BOOST_TEST(told.back().total == bytes);
    for (std::size_t i = 1; i < told.size(); ++i) BOOST_TEST((told[i].done >= told[i - 1].done && told[i].total == told[0].total));
    for (std::size_t stop = 0; stop < told.size(); stop += 3) {
      std::size_t calls = 0;
      const BackupOptions options{.progress = [&](const Progress&) { return calls++ != stop; }, .links = links};
      const auto stopped = folder.path("stopped" + std::to_string(stop) + (links ? "l" : "b"));
      BOOST_TEST(code_of([&] { source.backup(stopped, options); }) == Errc::cancelled);
      BOOST_TEST(code_of([&] { (void)Collection<MMapPolicy>::open(stopped); }) == Errc::not_found);
      source.backup(stopped);
      BOOST_TEST(verify(stopped).ok());
    }
  }
}

BOOST_AUTO_TEST_CASE(a_copy_holds_one_piece_of_a_file_at_a_time) {
  const FreshFolder folder;
  auto source = Collection<HeldPolicy>::create(folder.path(), Schema{VectorField("v", 512)});
  std::vector<Document> batch;
  for (int i = 0; i < 1600; ++i) batch.push_back(Document{"k" + std::to_string(i), {{"v", std::vector<float>(512, float(i))}}});
  source.insert(batch);
  source.flush();
  HeldPolicy::most = 0;
  std::size_t held_while_told = 0;
  auto copy = source.copy_to<MMapPolicy>(folder.path("copy"), {.progress = [&](const Progress&) {
                                           held_while_told = std::max(held_while_told, HeldPolicy::held_by_any);
                                           return true;
                                         }});
  BOOST_TEST(HeldPolicy::most > 0u);
  BOOST_TEST(HeldPolicy::most < (std::size_t{1} << 20) + 65536);
  BOOST_TEST(held_while_told < 65536u);
  BOOST_TEST(copy.count() == 1600u);
}

BOOST_AUTO_TEST_SUITE_END()
