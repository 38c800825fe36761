#include <quiver/collection/repair.hpp>

#include <quiver/collection/collection.hpp>
#include <quiver/collection/verify_path.hpp>

#include "support/error_code.hpp"
#include "support/policies.hpp"
#include "support/store_files.hpp"

#include <boost/test/unit_test.hpp>

using namespace quiver;
using namespace quiver::test;

namespace repairs {
namespace {

namespace fs = std::filesystem;

Schema tiny_schema() { return Schema{Field::string("s").nullable(), Field::int32("n"), VectorField("v", 2)}; }
Document document(int i) { return Document{"k" + std::to_string(i), {{"n", i}, {"v", {float(i), 1.0f}}}}; }
template <class C>
void insert(C& c, int first, int end, const WriteOptions& options = {}) {
  std::vector<Document> batch;
  for (; first < end; ++first) batch.push_back(document(first));
  c.insert(batch, options);
}

/// A collection whose writer was killed: three flushes, then batches that only the log has. `after` may do more before the kill.
class Killed {
 public:
  template <class After>
  explicit Killed(After&& after) {
    auto c = Collection<MMapPolicy>::create(folder_.path("live"), tiny_schema(),
                                            {.durability = Durability::buffered, .segment_rows = 10, .retain = {.versions = 3}});
    insert(c, 0, 10);
    c.flush();  // version 2, part 1
    insert(c, 10, 20);
    c.erase("k3");
    c.flush();  // version 3, part 2 and deletes
    insert(c, 20, 25);
    c.erase("k4");
    c.flush();  // version 4, part 3 and deletes
    c.erase("k12");
    insert(c, 30, 32);  // sequences after the flush: 1 delete, 2 puts, 1 put, 3 puts, an update
    insert(c, 32, 33);
    insert(c, 33, 36, {.durability = Durability::sync});
    c.update("k11", {{"n", 1100}});
    after(c);
    copy_store(folder_.path("live"), path());
    content_ = digest(c, c.schema());
    newest_ = *detail::parse_manifest_name(names_with(path(), "MANIFEST").back());
  }
  Killed() : Killed([](auto&) {}) {}

  [[nodiscard]] fs::path path() const { return folder_.path("killed"); }
  [[nodiscard]] fs::path path(const std::string& name) const { return path() / name; }
  /// What a reader saw before anything was damaged.
  [[nodiscard]] const std::string& content() const { return content_; }
  [[nodiscard]] std::uint64_t newest() const { return newest_; }
  [[nodiscard]] std::string newest_log() const { return names_with(path(), "wal-").back(); }

  void damage(const std::string& name, std::size_t at) const {
    auto bytes = read_store(path())[name];
    BOOST_TEST_REQUIRE(at < bytes.size());
    bytes[at] = static_cast<char>(bytes[at] ^ 0x20);
    put_file(path(name), bytes);
  }
  void damage(const std::string& name) const { damage(name, read_store(path())[name].size() / 2); }
  void damage_manifest(std::uint64_t number) const { damage(detail::manifest_name(number)); }

 private:
  FreshFolder folder_;
  std::string content_;
  std::uint64_t newest_ = 0;
};

std::string shown(const fs::path& path) {
  const auto c = Collection<CheckedMMapPolicy>::open(path, {.mode = OpenMode::read_only});
  return digest(c, c.schema());
}
std::string keys(const fs::path& path) {
  std::string out;
  const auto c = Collection<CheckedMMapPolicy>::open(path, {.mode = OpenMode::read_only});
  for (const auto& d : c.scan({.fields = FieldNames::none()})) out += d.key() + " ";
  return out;
}
std::string text(const RepairReport& report) {
  std::string out = "version " + std::to_string(report.version) + ", lost " + std::to_string(report.documents_lost) + " in " +
                    std::to_string(report.batches_lost) + " batches and blocks";
  for (const auto& problem : report.problems) out += "\n  " + problem.what;
  return out;
}

/// A dry run that changes no byte, then the repair, which says the same; afterwards it opens, verifies and takes writes, and nothing that was there is gone.
RepairReport repaired(const fs::path& path, std::uint64_t last_id = 32) {
  const auto before = read_store(path);
  const auto plan = repair(path, {.dry_run = true});
  BOOST_TEST((read_store(path) == before));
  BOOST_TEST(plan.possible, text(plan));
  BOOST_TEST(!plan.problems.empty());
  for (const auto& problem : plan.problems) BOOST_TEST((problem.code == Errc::corruption && !problem.path.empty() && !problem.what.empty()), problem.what);
  const auto done = repair(path, {.dry_run = false});
  BOOST_TEST(text(done) == text(plan));
  const auto report = verify(path);
  BOOST_TEST(report.ok(), (report.ok() ? "" : report.problems.front().what));
  const auto again = repair(path, {.dry_run = false});
  BOOST_TEST(again.problems.empty(), text(again));
  BOOST_TEST(again.documents_lost == 0u);

  const auto content = shown(path);
  std::uint64_t most = 0;
  {
    auto c = Collection<MMapPolicy>::open(path);  // clears garbage away
    BOOST_TEST(digest(c, c.schema()) == content);
    c.insert(document(1000));
    BOOST_TEST(c.fetch("k1000")->id().value > last_id);  // no id is given twice
    c.erase("k1000");
    c.flush();
    for (const auto& d : c.scan()) most = std::max(most, d.id().value);
  }
  BOOST_TEST(most <= last_id);
  BOOST_TEST(shown(path) == content);
  BOOST_TEST(verify(path).ok());
  // What was damaged is still there, under one name or another.
  std::set<std::string> contents;
  for (const auto& [name, bytes] : read_store(path)) contents.insert(bytes);
  for (const auto& [name, bytes] : before)
    if (std::any_of(plan.problems.begin(), plan.problems.end(), [&, n = name](const auto& p) { return p.path == path / n; }))
      BOOST_TEST(contents.contains(bytes), name << " is gone");
  return plan;
}
/// What cannot be repaired stays as it is.
RepairReport refused(const fs::path& path) {
  const auto before = read_store(path);
  const auto plan = repair(path);
  BOOST_TEST(!plan.possible);
  BOOST_TEST(!plan.problems.empty());
  const auto done = repair(path, {.dry_run = false});
  BOOST_TEST(!done.possible);
  BOOST_TEST((read_store(path) == before));
  return plan;
}

}  // namespace
}  // namespace repairs

BOOST_AUTO_TEST_SUITE(repairs)

BOOST_AUTO_TEST_CASE(where_nothing_is_wrong_nothing_is_changed) {
  const Killed store;
  const auto before = read_store(store.path());
  for (const bool dry_run : {true, false}) {
    const auto report = repair(store.path(), {.dry_run = dry_run});
    BOOST_TEST(report.possible);
    BOOST_TEST(report.problems.empty(), text(report));
    BOOST_TEST(report.documents_lost == 0u);
    BOOST_TEST(report.version == store.newest());
  }
  BOOST_TEST((read_store(store.path()) == before));
}

BOOST_AUTO_TEST_CASE(a_damaged_newest_manifest_costs_nothing_where_the_logs_are_whole) {
  for (const auto how : {"flipped", "cut", "empty", "another"}) BOOST_TEST_CONTEXT(how) {
      const Killed store;
      const auto name = detail::manifest_name(store.newest());
      const auto whole = read_store(store.path())[name];
      if (how == std::string("flipped")) store.damage(name);
      if (how == std::string("cut")) put_file(store.path(name), whole.substr(0, whole.size() / 2));
      if (how == std::string("empty")) put_file(store.path(name), "");
      if (how == std::string("another")) put_file(store.path(name), read_store(store.path())[detail::manifest_name(store.newest() - 1)]);
      BOOST_TEST(code_of([&] { (void)Collection<MMapPolicy>::open(store.path()); }) == Errc::corruption);
      const auto report = repaired(store.path());
      BOOST_TEST(report.documents_lost == 0u, text(report));
      BOOST_TEST(report.version == store.newest() - 1);
      BOOST_TEST(shown(store.path()) == store.content());
    }
}

BOOST_AUTO_TEST_CASE(a_newest_manifest_that_is_gone_is_missed_and_costs_nothing_where_the_logs_are_whole) {
  const Killed store;
  fs::remove(store.path(detail::manifest_name(store.newest())));
  const auto before = read_store(store.path());
  BOOST_TEST((code_of([&] { (void)Collection<MMapPolicy>::open(store.path()); }) == Errc::corruption));
  BOOST_TEST((code_of([&] { (void)Collection<MMapReadPolicy>::open(store.path()); }) == Errc::corruption));
  BOOST_TEST(!verify(store.path()).ok());
  BOOST_TEST((read_store(store.path()) == before));
  const auto report = repaired(store.path());
  BOOST_TEST(report.documents_lost == 0u, text(report));
  BOOST_TEST(shown(store.path()) == store.content());
}

BOOST_AUTO_TEST_CASE(a_newest_manifest_that_is_gone_is_missed_though_nothing_was_written_behind_it) {
  const auto missed = [](const char* how, auto&& after, bool same) {
    BOOST_TEST_CONTEXT(how) {
      const Killed store(after);
      fs::remove(store.path(detail::manifest_name(store.newest())));
      BOOST_TEST((code_of([&] { (void)Collection<MMapPolicy>::open(store.path()); }) == Errc::corruption));
      BOOST_TEST((code_of([&] { (void)Collection<FileReadPolicy>::open(store.path()); }) == Errc::corruption));
      BOOST_TEST(!verify(store.path()).ok());
      const auto report = repaired(store.path());
      BOOST_TEST(report.documents_lost == 0u, text(report));
      // What a rollback took away, repair() cannot know to be gone; it says so.
      BOOST_TEST((shown(store.path()) == store.content()) == same);
    }
  };
  missed(
      "a flush", [](auto& c) { c.flush(); }, true);
  missed(
      "a rollback", [](auto& c) { c.rollback_to(c.versions().front().number); }, false);
  const FreshFolder folder;
  Collection<MMapPolicy>::create(folder.path(), tiny_schema()).close();
  fs::remove(folder.path() / detail::manifest_name(1));
  BOOST_TEST((code_of([&] { (void)Collection<MMapPolicy>::open(folder.path()); }) == Errc::corruption));
  BOOST_TEST((code_of([&] { (void)Collection<MMapPolicy>::create(folder.path(), tiny_schema()); }) == Errc::corruption));
}

BOOST_AUTO_TEST_CASE(what_is_left_after_a_block_is_lost_is_merged_and_counted_rightly) {
  const FreshFolder folder;
  {
    auto c = Collection<MMapPolicy>::create(folder.path(), tiny_schema(), {.durability = Durability::buffered});
    for (int i = 0; i < 3; ++i) {
      insert(c, i * 10, i * 10 + 10);
      c.flush();
    }
    c.erase({"k3", "k11", "k12", "k13", "k25"});
  }
  fs::remove(folder.path() / names_with(folder.path(), "seg-")[2]);
  const auto report = repaired(folder.path(), 30);
  BOOST_TEST(report.documents_lost == 7u, text(report));
  auto c = Collection<MMapPolicy>::open(folder.path());
  c.optimize();
  BOOST_TEST(c.count() == 18u);
  BOOST_TEST(c.stats().deleted == 0u);
  BOOST_TEST(c.verify().ok());
  insert(c, 10, 20);
  c.flush();
  BOOST_TEST(c.count() == 28u);
}

// An open that found records copies them into a log of its own, under a version that continues the one before.
BOOST_AUTO_TEST_CASE(a_damaged_manifest_of_a_writer_that_took_over_costs_nothing) {
  for (const bool writes : {false, true}) {
    const Killed store;
    std::string content;
    {
      auto c = Collection<MMapPolicy>::open(store.path());
      if (writes) c.insert({document(40), document(41)});
      content = digest(c, c.schema());
      copy_store(store.path(), store.path().string() + "2");
    }
    const fs::path second = store.path().string() + "2";
    auto bytes = read_store(second)[names_with(second, "MANIFEST_").back()];
    bytes[40] ^= 1;
    put_file(second / names_with(second, "MANIFEST_").back(), bytes);
    const auto plan = repair(second, {.dry_run = false});
    BOOST_TEST(plan.possible, text(plan));
    BOOST_TEST(plan.documents_lost == 0u, text(plan));
    BOOST_TEST(shown(second) == content);
    BOOST_TEST(verify(second).ok());
  }
}

BOOST_AUTO_TEST_CASE(batches_that_no_log_has_any_more_are_counted) {
  const Killed store;
  store.damage_manifest(store.newest());
  const auto logs = names_with(store.path(), "wal-");
  BOOST_TEST_REQUIRE(logs.size() == 2u);
  fs::remove(store.path(logs[0]));  // k20 to k24 and the delete of k4: two batches; their blocks are there, and nobody names them
  const auto report = repaired(store.path());
  BOOST_TEST(report.version == 3u);
  BOOST_TEST(report.documents_lost == 2u + 2u + 1u + 3u + 1u);  // two batches that cannot be read, and the puts behind them
  BOOST_TEST(keys(store.path()) == "k0 k1 k2 k4 k5 k6 k7 k8 k9 k10 k11 k12 k13 k14 k15 k16 k17 k18 k19 ");
}

BOOST_AUTO_TEST_CASE(blocks_that_nobody_names_any_more_are_counted_and_their_ids_are_not_given_again) {
  const Killed store;
  store.damage_manifest(store.newest());
  for (const auto& name : names_with(store.path(), "wal-")) fs::remove(store.path(name));
  const auto report = repaired(store.path(), 25);
  BOOST_TEST(report.version == 3u);
  BOOST_TEST(report.documents_lost == 5u, text(report));
}

BOOST_AUTO_TEST_CASE(a_log_damaged_in_the_middle_keeps_what_is_before_and_counts_what_is_behind) {
  const Killed store;
  // The third record of the log's batches: the one put of k32.
  const auto log = read_store(store.path())[store.newest_log()];
  const auto at = log.find("k32");
  BOOST_TEST_REQUIRE(at != std::string::npos);
  store.damage(store.newest_log(), at);
  BOOST_TEST(code_of([&] { (void)Collection<MMapPolicy>::open(store.path()); }) == Errc::corruption);
  const auto report = repaired(store.path());
  BOOST_TEST(report.version == store.newest());
  BOOST_TEST(report.documents_lost == 1u + 3u + 1u, text(report));
  BOOST_TEST(report.batches_lost == 3u);
  BOOST_TEST(keys(store.path()).ends_with("k10 k11 k13 k14 k15 k16 k17 k18 k19 k20 k21 k22 k23 k24 k30 k31 "));
}

BOOST_AUTO_TEST_CASE(a_lost_batch_that_deleted_is_said_to_bring_documents_back) {
  const Killed store([](auto& c) {
    c.erase("k0", {.durability = Durability::sync});
    insert(c, 90, 91, {.durability = Durability::sync});
  });
  // The last record but one, of a document that the version's blocks hold: its payload ends with the id.
  const auto log = read_store(store.path())[store.newest_log()];
  const auto next = log.find("k90");
  BOOST_TEST_REQUIRE(next != std::string::npos);
  const auto erase = log.rfind(std::string("\1\0\0\0\0\0\0\0", 8), next - 100);
  BOOST_TEST_REQUIRE(erase != std::string::npos);
  store.damage(store.newest_log(), erase);
  const auto report = repaired(store.path(), 33);
  BOOST_TEST(report.batches_lost == 2u, text(report));
  BOOST_TEST(report.problems.back().what.find("they deleted come back") != std::string::npos, text(report));
  BOOST_TEST(keys(store.path()).starts_with("k0 "));
}

BOOST_AUTO_TEST_CASE(a_log_without_a_header_is_read_as_the_manifest_knows_it) {
  const Killed store;
  store.damage(store.newest_log(), 20);
  const auto report = repaired(store.path());
  BOOST_TEST(report.documents_lost == 0u);
  BOOST_TEST(report.batches_lost == 0u);
  BOOST_TEST(shown(store.path()) == store.content());
}

BOOST_AUTO_TEST_CASE(a_log_that_is_not_there_is_said_to_be_lost) {
  const Killed store;
  fs::remove(store.path(store.newest_log()));
  const auto report = repaired(store.path(), 25);
  BOOST_TEST(report.problems.front().what.find("nobody can say how much") != std::string::npos);
  BOOST_TEST(Collection<MMapReadPolicy>::open(store.path()).count() == 23u);
}

BOOST_AUTO_TEST_CASE(a_damaged_block_costs_its_documents_but_not_those_that_were_deleted) {
  for (const auto suffix : {".scalar", ".vector_index"})
    for (const bool missing : {false, true}) BOOST_TEST_CONTEXT(suffix << (missing ? " missing" : " damaged")) {
        const Killed store;
        std::vector<std::string> blocks;
        for (const auto& name : names_with(store.path(), "seg-"))
          if (name.ends_with(suffix)) blocks.push_back(name);
        BOOST_TEST_REQUIRE(blocks.size() == 3u);
        missing ? void(fs::remove(store.path(blocks[1]))) : store.damage(blocks[1]);
        const auto report = repaired(store.path());
        BOOST_TEST(report.version == store.newest());
        BOOST_TEST(report.documents_lost == 10u - 2u, text(report));  // k12 was deleted and k11 replaced since, in the log
        BOOST_TEST(keys(store.path()) == "k0 k1 k2 k5 k6 k7 k8 k9 k20 k21 k22 k23 k24 k30 k31 k32 k33 k34 k35 k11 ");
      }
}

BOOST_AUTO_TEST_CASE(the_first_block_takes_deleted_documents_with_it) {
  const Killed store;
  store.damage(names_with(store.path(), "seg-000001").front());
  const auto report = repaired(store.path());
  BOOST_TEST(report.documents_lost == 10u - 2u, text(report));  // k3 and k4 were deleted
  BOOST_TEST(keys(store.path()).starts_with("k10 k13 "));
}

BOOST_AUTO_TEST_CASE(a_damaged_id_run_is_made_anew) {
  for (const std::size_t which : {0u, 1u, 2u}) {
    const Killed store;
    const auto runs = names_with(store.path(), "idmap-");
    BOOST_TEST_REQUIRE(runs.size() == 3u);
    which == 1 ? void(fs::remove(store.path(runs[which]))) : store.damage(runs[which]);
    const auto report = repaired(store.path());
    BOOST_TEST(report.documents_lost == 0u);
    BOOST_TEST(shown(store.path()) == store.content());
    const auto c = Collection<MMapReadPolicy>::open(store.path());
    BOOST_TEST(c.fetch("k11")->get<int>("n").value() == 1100);
    BOOST_TEST(!c.fetch("k12").has_value());
  }
}

BOOST_AUTO_TEST_CASE(damaged_deletes_are_made_anew_from_the_version_before_and_its_log) {
  const Killed store;
  store.damage(names_with(store.path(), "deletes-").back());
  const auto report = repaired(store.path());
  BOOST_TEST(report.documents_lost == 0u, text(report));
  BOOST_TEST(report.version == store.newest() - 1);
  BOOST_TEST(shown(store.path()) == store.content());
}

BOOST_AUTO_TEST_CASE(deleted_documents_never_come_back) {
  {
    const Killed store;
    store.damage(names_with(store.path(), "deletes-").back());
    fs::remove(store.path(names_with(store.path(), "wal-").front()));
    const auto report = refused(store.path());
    BOOST_TEST(report.problems.back().what.find("come back") != std::string::npos);
  }
  {
    const Killed store;  // a newest version that its logs do not explain, as after a rollback
    auto version = detail::read_manifest<FileReadPolicy>(FileReadPolicy::open_store(store.path(), {}, OpenMode::read_only), store.newest()).version;
    version.documents -= 1;
    version.deletes.count += 1;
    const auto bytes = detail::encode_version(version);
    put_file(store.path(detail::manifest_name(store.newest())), std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
    store.damage(names_with(store.path(), "deletes-").back());
    refused(store.path());
  }
  {
    const Killed store;  // the log before has lost its last batch, the erase of k4, at its very end
    store.damage(names_with(store.path(), "deletes-").back());
    const auto name = names_with(store.path(), "wal-").front();
    auto log = read_store(store.path())[name];
    // Everything behind the put of k24, up to the room that was never written.
    const auto at = log.rfind("k24") + 80;
    std::fill(log.begin() + static_cast<std::ptrdiff_t>(at), log.end(), '\0');
    put_file(store.path(name), log);
    refused(store.path());
  }
}

BOOST_AUTO_TEST_CASE(damage_in_older_versions_costs_only_those) {
  const Killed store([](auto& c) {
    c.flush();
    insert(c, 50, 52);
  });
  const auto versions = Collection<MMapReadPolicy>::open(store.path()).versions();
  BOOST_TEST_REQUIRE(versions.size() == 3u);
  store.damage_manifest(versions[0].number);
  store.damage(names_with(store.path(), "deletes-")[1]);
  const auto report = repair(store.path(), {.dry_run = false});
  BOOST_TEST(report.possible);
  BOOST_TEST(report.documents_lost == 0u, text(report));
  BOOST_TEST(report.version == store.newest());
  BOOST_TEST(shown(store.path()) == store.content());
  BOOST_TEST(verify(store.path()).ok());
}

BOOST_AUTO_TEST_CASE(several_things_at_once_are_mended_together) {
  const Killed store;
  store.damage_manifest(store.newest());
  store.damage(names_with(store.path(), "idmap-").front());
  store.damage(names_with(store.path(), "seg-000001").front());
  const auto report = repaired(store.path());
  BOOST_TEST(report.documents_lost == 8u, text(report));
  BOOST_TEST(keys(store.path()) == "k10 k13 k14 k15 k16 k17 k18 k19 k20 k21 k22 k23 k24 k30 k31 k32 k33 k34 k35 k11 ");
}

BOOST_AUTO_TEST_CASE(what_cannot_be_repaired_is_said_and_left_alone) {
  {
    const Killed store;
    for (const auto& name : names_with(store.path(), "MANIFEST_")) store.damage(name);
    BOOST_TEST(refused(store.path()).problems.size() == 3u);
  }
  {
    const Killed store;
    for (const auto& name : names_with(store.path(), "MANIFEST_")) fs::remove(store.path(name));
    BOOST_TEST((refused(store.path()).problems.front().code == Errc::corruption));
  }
  {
    const Killed store;  // a newer quiver's manifest is no damage
    const auto name = detail::manifest_name(store.newest());
    auto version = detail::read_manifest<FileReadPolicy>(FileReadPolicy::open_store(store.path(), {}, OpenMode::read_only), store.newest()).version;
    version.features.ro_compat = 1u << 30;
    const auto bytes = detail::encode_version(version);
    put_file(store.path(name), std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
    store.damage(store.newest_log(), 20);
    const auto report = refused(store.path());
    BOOST_TEST(std::any_of(report.problems.begin(), report.problems.end(), [](const auto& p) { return p.code == Errc::version_mismatch; }));
  }
  const FreshFolder folder;
  BOOST_TEST(code_of([&] { (void)repair(folder.path("missing")); }) == Errc::not_found);
  fs::create_directories(folder.path("empty"));
  BOOST_TEST((refused(folder.path("empty")).problems.front().code == Errc::not_found));
  auto live = Collection<MMapPolicy>::create(folder.path("live"), tiny_schema());
  BOOST_TEST(code_of([&] { (void)repair(folder.path("live"), {.dry_run = false}); }) == Errc::locked);
  BOOST_TEST(repair(folder.path("live")).possible);
}

BOOST_AUTO_TEST_SUITE_END()
