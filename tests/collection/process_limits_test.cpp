// What a process may run into: a fork, a program that it starts, and its limits of open files and of mappings.
#include <quiver/collection/collection.hpp>
#include <quiver/collection/verify_path.hpp>

#include "support/error_code.hpp"
#include "support/leave_child.hpp"
#include "support/policies.hpp"
#include "support/sanitized.hpp"

#include <boost/test/unit_test.hpp>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <new>
#include <optional>
#include <string>

#include <fcntl.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace quiver;
using namespace quiver::test;

namespace process_limits {
namespace {

Document numbered(int i) { return Document{"k" + std::to_string(i), {{"n", i}, {"v", {static_cast<float>(i), 1.0f}}}}; }
Schema numbered_schema() { return Schema{Field::int32("n"), VectorField("v", 2)}; }

/// Runs `work` in a forked process; what it returns, at most 125, is the status.
template <class Work>
int in_a_fork(Work&& work) {
  const auto child = ::fork();
  if (child == 0) {
    int status = 125;
    try {
      status = work();
    } catch (...) {
    }
    leave_child(status);
  }
  int status = 0;
  BOOST_TEST_REQUIRE(::waitpid(child, &status, 0) == child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 126;
}

/// The descriptors of this process that point into `folder`: what each points to, and whether a program that is started inherits it.
std::map<std::string, bool> inherited(const std::filesystem::path& folder) {
  std::map<std::string, bool> out;
  std::error_code gone;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    const auto target = std::filesystem::read_symlink(entry.path(), gone).string();
    if (!target.starts_with(folder.string())) continue;
    const auto flags = ::fcntl(std::stoi(entry.path().filename().string()), F_GETFD);
    out[target] = out[target] || (flags & FD_CLOEXEC) == 0;
  }
  return out;
}

/// How many mappings a process may have; 0 where the system does not say.
std::size_t mapping_limit() {
  std::size_t limit = 0;
  std::ifstream("/proc/sys/vm/max_map_count") >> limit;
  return limit;
}
boost::test_tools::assertion_result mappings_can_be_used_up(boost::unit_test::test_unit_id) {
#ifdef __GLIBC__
  boost::test_tools::assertion_result yes(!sanitized && mapping_limit() > 0 && mapping_limit() <= 1'000'000);
#else
  boost::test_tools::assertion_result yes(false);
#endif
  if (!yes) yes.message() << "under a sanitizer, with another C library than glibc, or vm.max_map_count is not known or over 1,000,000";
  return yes;
}

/// Without a mapping malloc gets no memory of the system either, and what is tried here is not that: it keeps enough for all that follows.
void keep_memory() {
#ifdef __GLIBC__
  constexpr int bytes = 64 << 20;
  ::mallopt(M_TRIM_THRESHOLD, 2 * bytes);
  ::mallopt(M_MMAP_MAX, 0);  // from the heap, which keeps it
  // Through a volatile pointer, or the compiler sees that nobody needs it.
  void* volatile kept = std::malloc(bytes);
  std::free(kept);
#endif
}

/// All mappings that this process may still have, until it ends: neighbouring pages that differ in what is allowed are a mapping each.
class AllMappings {
 public:
  explicit AllMappings(std::size_t limit)
      : page_(static_cast<std::size_t>(::sysconf(_SC_PAGESIZE))),
        length_((limit + 2) * page_),
        at_(static_cast<char*>(::mmap(nullptr, length_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0))) {
    if (at_ == MAP_FAILED) throw std::bad_alloc();
    for (std::size_t i = 1; i * page_ < length_ && !used_up_; i += 2) used_up_ = ::mprotect(at_ + i * page_, page_, PROT_READ) != 0;
    // What splits a mapping may fail with one left over.
    while (used_up_ && count_ < one_by_one_.size()) {
      void* const one = ::mmap(nullptr, page_, count_ % 2 == 0 ? PROT_READ : PROT_NONE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
      if (one == MAP_FAILED) break;
      one_by_one_[count_++] = one;
    }
  }
  ~AllMappings() {
    for (std::size_t i = 0; i < count_; ++i) ::munmap(one_by_one_[i], page_);
    ::munmap(at_, length_);
  }
  AllMappings(const AllMappings&) = delete;
  AllMappings& operator=(const AllMappings&) = delete;
  [[nodiscard]] bool used_up() const noexcept { return used_up_ && count_ < one_by_one_.size(); }

 private:
  std::size_t page_, length_;
  char* at_;
  bool used_up_ = false;
  std::array<void*, 16> one_by_one_{};
  std::size_t count_ = 0;
};

}  // namespace
}  // namespace process_limits

BOOST_AUTO_TEST_SUITE(process_limits)

BOOST_AUTO_TEST_CASE(a_forked_process_reads_and_cannot_write_and_harms_nothing_when_it_ends) {
  for (const bool background : {false, true}) {
    const FreshFolder folder;
    auto c = std::make_unique<Collection<MMapPolicy>>(Collection<MMapPolicy>::create(folder.path(), numbered_schema(), {.background_compaction = background}));
    c->insert(numbered(0));
    c->flush();
    c->insert(numbered(1));
    const auto before = c->versions().size();
    const auto status = in_a_fork([&] {
      if (c->count() != 2 || !c->fetch("k1") || c->search({.field = "v", .query = {1.0f, 1.0f}, .k = 1})[0].key != "k1") return 1;
      const auto refused = [](auto&& call) { return code_of(call) == Errc::closed; };
      if (!refused([&] { c->insert(numbered(2)); }) || !refused([&] { c->erase("k0"); }) || !refused([&] { c->flush(); })) return 2;
      if (!refused([&] { c->optimize(); }) || !refused([&] { c->rollback_to(1); }) || !refused([&] { c->refresh(); })) return 3;
      if (code_of([&] { (void)Collection<MMapPolicy>::open(folder.path()); }) != Errc::locked) return 4;
      if (!c->stats().background_error.empty()) return 6;
      c.reset();
      if (Collection<MMapReadPolicy>::open(folder.path()).count() != 2) return 5;
      return 0;
    });
    BOOST_TEST(status == 0);
    BOOST_TEST(c->versions().size() == before);
    BOOST_TEST((code_of([&] { (void)Collection<MMapPolicy>::open(folder.path()); }) == Errc::locked));
    c->insert(numbered(2));
    c->flush();
    c->close();
    BOOST_TEST(Collection<MMapPolicy>::open(folder.path()).count() == 3u);
    BOOST_TEST(verify(folder.path()).ok());
  }
}

BOOST_AUTO_TEST_CASE(a_forked_process_refreshes_what_its_parent_has_open_for_reading) {
  const FreshFolder folder;
  auto c = Collection<MMapPolicy>::create(folder.path(), numbered_schema());
  auto reader = Collection<MMapReadPolicy>::open(folder.path());
  c.insert(numbered(0));
  const auto status = in_a_fork([&] {
    for (int i = 0; i < 2; ++i) reader.refresh();  // the first gives back what it locked
    return static_cast<int>(reader.count());
  });
  BOOST_TEST(status == 1);
  BOOST_TEST(reader.count() == 0u);
}

BOOST_AUTO_TEST_CASE(a_program_that_is_started_gets_no_file_of_a_collection) {
  const FreshFolder folder;
  const auto path = std::filesystem::canonical(folder.path().parent_path()) / folder.path().filename();
  auto writer = Collection<MMapPolicy>::create(path, numbered_schema());
  const auto check = [&](const char* when, std::size_t least) {
    const auto found = inherited(path);
    BOOST_TEST(found.size() >= least, when << ": " << found.size() << " descriptors");
    BOOST_TEST(found.contains((path / "LOCK").string()), when);
    for (const auto& [name, inherits] : found) BOOST_TEST(!inherits, when << ": " << name);
  };
  check("a new collection", 3);  // folder, lock and log
  writer.insert(numbered(0));
  writer.flush();
  writer.insert(numbered(1));
  check("a writer", 3);
  {
    const auto mapped = Collection<MMapReadPolicy>::open(path);
    const auto read = Collection<FileReadPolicy>::open(path);
    const auto checked = Collection<CheckedMMapPolicy>::open(path, {.mode = OpenMode::read_only});
    BOOST_TEST(mapped.count() + read.count() + checked.count() == 6u);
    check("readers", 6);  // what is read by calls stays open
  }
  writer.optimize({.progress = [&](const Progress&) {
    check("while it is merged", 3);
    return true;
  }});
  writer.close();
  BOOST_TEST(!inherited(path).contains((path / "LOCK").string()));
  auto again = Collection<MMapPolicy>::open(path);
  again.insert(numbered(2));
  check("opened again", 3);
}

// Not under sanitizers: UBSan opens a pipe to look at an object, and takes one that it cannot look at for none.
BOOST_AUTO_TEST_CASE(the_limit_of_open_files_is_named_and_nothing_is_lost, *boost::unit_test::enable_if<!sanitized>()) {
  const FreshFolder folder;
  {
    auto c = Collection<MMapPolicy>::create(folder.path(), numbered_schema(), {.durability = Durability::buffered});
    for (int i = 0; i < 40; ++i) c.insert(numbered(i)), c.flush();
  }
  const auto status = in_a_fork([&] {
    const ::rlimit few{40, 40};
    if (::setrlimit(RLIMIT_NOFILE, &few) != 0) return 1;
    // A reader and a writer that cannot open all files, and one that cannot open its next ones.
    for (const auto mode : {OpenMode::read_only, OpenMode::read_write}) {
      const auto error = error_of([&] { (void)Collection<FileReadPolicy>::open(folder.path(), {.mode = OpenMode::read_only}); });
      if (!error || error->code() != Errc::io_error || std::string(error->what()).find("RLIMIT_NOFILE") == std::string::npos) return 2;
      const auto mapped = error_of([&] { (void)Collection<MMapPolicy>::open(folder.path(), {.mode = mode}); });
      if (mapped && std::string(mapped->what()).find("RLIMIT_NOFILE") == std::string::npos) return 3;
    }
    auto c = Collection<FileReadPolicy>::open(folder.path(), {.mode = OpenMode::read_only});
    return 4;
  });
  BOOST_TEST((status == 125), "status " << status);
  BOOST_TEST(Collection<MMapPolicy>::open(folder.path()).count() == 40u);
}

BOOST_AUTO_TEST_CASE(the_limit_of_mappings_is_named_and_nothing_is_lost, *boost::unit_test::precondition(process_limits::mappings_can_be_used_up)) {
  const FreshFolder folder;
  Collection<MMapPolicy>::create(folder.path(), numbered_schema()).insert(numbered(0));
  const auto status = in_a_fork([&] {
    auto c = std::make_unique<Collection<MMapPolicy>>(Collection<MMapPolicy>::open(folder.path()));
    c->insert(numbered(1));
    c->flush();
    c->insert(numbered(2));
    const auto before = c->stats().version;
    keep_memory();
    std::optional<AllMappings> all(std::in_place, mapping_limit());
    if (!all->used_up()) return 1;
    const auto named = [](const std::optional<Error>& e) {
      return e && e->code() == Errc::io_error && std::string(e->what()).find("vm.max_map_count") != std::string::npos;
    };
    // The files of the flush are written and cannot be mapped; what is in memory stays there.
    if (!named(error_of([&] { c->flush(); }))) return 2;
    if (c->count() != 3 || !c->fetch("k2") || c->stats().version != before) return 3;
    c->insert(numbered(3));
    if (!named(error_of([&] { (void)Collection<MMapReadPolicy>::open(folder.path()); }))) return 4;
    // A policy that maps nothing reads what the other wrote.
    if (Collection<FileReadPolicy>::open(folder.path()).count() != 4) return 5;
    all.reset();
    c->flush();
    if (c->count() != 4 || c->stats().version == before) return 6;
    c.reset();
    return Collection<MMapReadPolicy>::open(folder.path()).count() == 4 ? 0 : 7;
  });
  BOOST_TEST(status == 0);
  BOOST_TEST(Collection<MMapPolicy>::open(folder.path()).count() == 4u);
  BOOST_TEST(verify(folder.path()).ok());
}

BOOST_AUTO_TEST_SUITE_END()
