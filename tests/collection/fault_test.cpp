#include <quiver/collection/collection.hpp>

#include <quiver/storage/posix_file_system.hpp>

#include "support/error_code.hpp"
#include "support/faulty_file_system.hpp"
#include "support/policies.hpp"
#include "support/store_files.hpp"

#include <boost/test/unit_test.hpp>

#include <cerrno>
#include <functional>
#include <string>
#include <utility>
#include <vector>

using namespace quiver;
using namespace quiver::test;

namespace faults {
namespace {

using Faulty = quiver::test::FaultyFileSystem<PosixFileSystem>;
using FaultyMMap = BasicMMapPolicy<Faulty>;

Schema tiny_schema() { return Schema{Field::string("s").nullable(), Field::int32("n"), VectorField("v", 2)}; }
Document document(int i) { return Document{"k" + std::to_string(i), {{"n", i}, {"v", {static_cast<float>(i), 1.0f}}}}; }

/// What a run of the workload got acknowledged: documents that an insert, which syncs, or a flush returned for.
struct Acknowledged {
  bool created = false;
  int acknowledged = 0;
  int flushed = 0;
  int issued = 0;
};

/// create, then twice: insert, flush; then optimize. Stops at the first error, which must be typed.
Acknowledged run(const std::filesystem::path& path, std::string& failure) {
  Acknowledged done;
  try {
    auto c = Collection<FaultyMMap>::create(path, tiny_schema());
    done.created = true;
    for (int i = 0; i < 2; ++i) {
      done.issued = i + 1;  // a batch whose sync fails may be there later
      c.insert(document(i));
      done.acknowledged = i + 1;
      c.flush();
      done.flushed = i + 1;
    }
    c.optimize();
    c.close();
  } catch (const Error& e) {
    failure = e.what();
    BOOST_TEST((e.code() == Errc::io_error || e.code() == Errc::no_space || e.code() == Errc::read_only), "not an error of writing: " << e.what());
    BOOST_TEST(!e.path().empty(), "names no path: " << e.what());
  }
  return done;
}

/// What was acknowledged is there, whole; nothing that was never inserted is; and a new writer can go on.
void check_after(const std::filesystem::path& path, const Acknowledged& done, const std::string& what) {
  BOOST_TEST_CONTEXT(what) {
    try {
      auto c = Collection<MMapPolicy>::open(path);
      const auto count = static_cast<int>(c.count());
      BOOST_TEST(count >= done.acknowledged);
      BOOST_TEST(count <= done.issued);
      for (int i = 0; i < count; ++i) BOOST_TEST(c.fetch("k" + std::to_string(i))->get<int>("n").value() == i);
      BOOST_TEST(c.verify().ok());
      c.insert(document(100));
      c.flush();
      BOOST_TEST(c.count() == static_cast<std::size_t>(count) + 1);
    } catch (const Error& e) {
      // Only a create() that never returned may have left nothing, and then it can be done again.
      BOOST_TEST(!done.created, e.what());
      BOOST_TEST((e.code() == Errc::not_found), e.what());
      auto again = Collection<MMapPolicy>::create(path, tiny_schema());
      again.insert(document(0));
    }
  }
}

/// Remembers which name the last rename was to give.
class WatchedFileSystem : public Faulty {
 public:
  static inline std::string renamed;
  static IoResult rename_new(const Folder& in, const std::string& from, const std::string& to) {
    const auto before = fired();
    const auto result = Faulty::rename_new(in, from, to);
    if (fired() != before) renamed = to;
    return result;
  }
};
using Watched = Collection<BasicMMapPolicy<WatchedFileSystem>>;

/// A store with two versions to go back to and a deleted document, and nothing that only a log has.
std::filesystem::path make_sample(const std::filesystem::path& path) {
  auto c = Collection<MMapPolicy>::create(path, tiny_schema(), {.retain = {.versions = 9}});
  for (int i = 0; i < 4; ++i) {
    c.insert(document(i));
    if (i % 2 == 0) c.flush();
  }
  c.erase("k1");
  return path;
}
/// Two plans: a fault of a call, and that nothing can be removed meanwhile.
using Stuck = FaultyFileSystem<Faulty>;

template <class C>
std::string keys(const C& c) {
  std::string out;
  for (const Document& d : c.scan()) out += d.key() + " ";
  return out;
}

}  // namespace
}  // namespace faults

BOOST_AUTO_TEST_SUITE(faults)

BOOST_AUTO_TEST_CASE(a_failure_of_any_call_is_a_typed_error_and_what_was_flushed_stays) {
  std::size_t injections = 0;
  for (const int error : {EIO, ENOSPC, EDQUOT, EROFS, EINTR, 0 /* half the bytes, no error */}) {
    for (const bool for_ever : {false, true}) {
      // A call that is interrupted for ever never returns, in any program; and two kinds that stay are enough.
      if (for_ever && error != EIO && error != ENOSPC) continue;
      for (std::size_t at = 1;; ++at) {
        const FreshFolder folder;
        std::string failure;
        Faulty::plan({.at = at, .error = error, .for_ever = for_ever});
        const auto done = run(folder.path(), failure);
        const bool fired = Faulty::fired() != 0;
        Faulty::clear();
        if (!fired) {
          BOOST_TEST(done.flushed == 2);
          break;
        }
        ++injections;
        if (error == EINTR || error == 0) BOOST_TEST(done.flushed == 2, "call " << at << " was not taken up again: " << failure);
        check_after(folder.path(), done,
                    "call " + std::to_string(at) + " fails with errno " + std::to_string(error) + (for_ever ? " for ever" : " once") + ": " + failure);
      }
    }
  }
  BOOST_TEST_MESSAGE(injections << " injections");
  BOOST_TEST(injections > 300u);
}

BOOST_AUTO_TEST_CASE(a_failed_draft_costs_nothing_and_the_next_flush_succeeds) {
  const FreshFolder folder;
  auto c = Collection<FaultyMMap>::create(folder.path(), tiny_schema());
  c.insert(document(0));
  Faulty::plan({.at = 1, .error = ENOSPC, .for_ever = true, .only = quiver::test::IoCall::write});
  BOOST_CHECK_EXCEPTION(c.flush(), Error, [](const Error& e) { return e.code() == Errc::no_space; });
  BOOST_TEST(c.count() == 1u);
  Faulty::clear();
  c.insert(document(1));
  c.flush();
  c.close();
  BOOST_TEST(Collection<MMapPolicy>::open(folder.path()).count() == 2u);
}

BOOST_AUTO_TEST_CASE(a_failed_sync_is_final_for_this_writer_and_readers_go_on) {
  const FreshFolder folder;
  auto c = Collection<FaultyMMap>::create(folder.path(), tiny_schema());
  c.insert(document(0));
  c.flush();
  c.insert(document(1));
  Faulty::plan({.at = 1, .error = EIO, .only = quiver::test::IoCall::sync_file});
  BOOST_CHECK_EXCEPTION(c.flush(), Error, [](const Error& e) { return e.code() == Errc::io_error; });
  Faulty::clear();
  BOOST_TEST(c.count() == 2u);
  BOOST_TEST(c.fetch("k1").has_value());
  BOOST_CHECK_EXCEPTION(c.flush(), Error, [](const Error& e) { return e.code() == Errc::io_error; });
  BOOST_CHECK_EXCEPTION(c.insert(document(2)), Error, [](const Error& e) { return e.code() == Errc::io_error; });
  c.close();
  BOOST_TEST(Collection<MMapPolicy>::open(folder.path()).count() == 2u);  // the log had it
}

BOOST_AUTO_TEST_CASE(a_manifest_that_is_visible_though_its_publishing_failed_keeps_its_files_and_ends_the_writing) {
  struct Call {
    std::string name;
    std::function<void(Watched&)> run;
    std::string keys;   // once it is published
    bool begun = true;  // something was written before by the same writer
  };
  const std::string all = "k0 k2 k3 ";
  const std::vector<Call> calls{{"the first write", [](Watched& c) { c.insert(document(4)); }, all, false},
                                {"flush", [](Watched& c) { c.flush(); }, all},
                                {"rollback_to", [](Watched& c) { c.rollback_to(2); }, "k0 "},
                                {"optimize", [](Watched& c) { c.optimize(); }, all}};
  const FreshFolder folder;
  const auto sample = make_sample(folder.path("sample")), path = folder.path();
  for (const auto& call : calls)
    for (const auto kind : {quiver::test::IoCall::rename, quiver::test::IoCall::sync_folder}) {
      int ended = 0;
      for (std::size_t at = 1;; ++at) {
        std::filesystem::remove_all(path);
        copy_store(sample, path);

        const auto what = call.name + (kind == quiver::test::IoCall::rename ? ", rename " : ", sync of a folder ") + std::to_string(at);
        BOOST_TEST_CONTEXT(what) {
          auto c = Watched::open(path);
          if (call.begun) c.upsert(document(3));
          BOOST_TEST(keys(c) == all);
          WatchedFileSystem::renamed.clear();
          Faulty::plan({.at = at, .error = EIO, .only = kind, .performed = true});
          const auto error = error_of([&] { call.run(c); });
          const bool fired = Faulty::fired() != 0;
          Faulty::clear();
          if (!fired) {
            BOOST_TEST(!error.has_value());
            break;
          }
          BOOST_TEST_REQUIRE(error.has_value());
          BOOST_TEST(error->code() == Errc::io_error);
          BOOST_TEST(keys(c) == all);
          const bool manifest = WatchedFileSystem::renamed.starts_with("MANIFEST_");
          if (manifest || kind == quiver::test::IoCall::sync_folder) {
            ++ended;
            BOOST_TEST(code_of([&] { c.insert(document(5)); }) == Errc::io_error);
            BOOST_TEST(code_of([&] { c.erase("k0"); }) == Errc::io_error);
          }
          if (manifest) {
            BOOST_TEST(code_of([&] { c.flush(); }) == Errc::io_error);
            BOOST_TEST(code_of([&] { c.optimize(); }) == Errc::io_error);
            BOOST_TEST(code_of([&] { c.rollback_to(2); }) == Errc::io_error);
          }
        }
        BOOST_TEST_CONTEXT(what << ", opened again") {
          const auto c = Collection<MMapPolicy>::open(path);
          BOOST_TEST(c.verify().ok());
          const auto now = keys(c);
          BOOST_TEST((now == all || now == call.keys), now);
        }
      }
      BOOST_TEST(ended > 0, call.name << ": nothing was published");
    }
}

BOOST_AUTO_TEST_CASE(what_a_failed_flush_could_not_remove_does_not_stand_in_the_way_of_the_next) {
  using quiver::test::IoCall;
  const FreshFolder folder;
  const auto sample = make_sample(folder.path("sample")), path = folder.path();
  for (const auto& [kind, error] : {std::pair(IoCall::create_file, ENOSPC), std::pair(IoCall::write, ENOSPC), std::pair(IoCall::sync_file, ENOSPC),
                                    std::pair(IoCall::rename, ENOSPC), std::pair(IoCall::map, ENOMEM)}) {
    int left = 0;
    for (std::size_t at = 1;; ++at) {
      std::filesystem::remove_all(path);
      copy_store(sample, path);
      BOOST_TEST_CONTEXT("kind " << static_cast<int>(kind) << ", call " << at) {
        auto c = Collection<BasicMMapPolicy<Stuck>>::open(path);
        c.insert({document(4), document(5)});
        c.erase("k0");  // a file of deletes too
        Stuck::plan({.at = at, .error = error, .only = kind});
        Faulty::plan({.at = 1, .error = EACCES, .for_ever = true, .only = IoCall::remove});
        const auto failure = error_of([&] { c.flush(); });
        const bool fired = Stuck::fired() != 0;
        const bool stuck = Faulty::fired() != 0;
        Stuck::clear();
        Faulty::clear();
        if (!fired) {
          BOOST_TEST(!failure.has_value());
          break;
        }
        if (failure && (failure->code() == Errc::no_space || kind == IoCall::map)) {
          left += stuck;
          c.flush();
          BOOST_TEST(keys(c) == "k2 k3 k4 k5 ");
          BOOST_TEST(c.verify().ok());
          c.insert(document(6));
          c.flush();
          c.close();
          const auto again = Collection<MMapPolicy>::open(path);
          BOOST_TEST(keys(again) == "k2 k3 k4 k5 k6 ");
          BOOST_TEST(again.verify().ok());
        } else {
          BOOST_TEST((!failure || failure->code() == Errc::io_error));
        }
      }
    }
    BOOST_TEST(left > 0, "kind " << static_cast<int>(kind) << ": nothing was left behind");
  }
}

BOOST_AUTO_TEST_SUITE_END()
