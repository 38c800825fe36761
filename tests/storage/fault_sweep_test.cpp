#include <quiver/storage/mmap.hpp>

#include <quiver/storage/file_read.hpp>
#include <quiver/storage/memory.hpp>

#include "support/fault_sweep.hpp"
#include "support/sample_file.hpp"

#include <boost/test/unit_test.hpp>

#include <map>

// Every call fails in turn, in every way: a typed error, and what was published before is intact.

BOOST_AUTO_TEST_SUITE(fault_sweep)

using namespace quiver;
using namespace quiver::test;

namespace {

using Faulty = FaultyFileSystem<RecordingFileSystem>;
using Writer = BasicMMapPolicy<Faulty>;

/// The files that publish returned from, and those that it was called for.
struct Progress {
  std::map<std::string, SampleFile> published;
  std::map<std::string, SampleFile> attempted;
};

template <class P>
bool whole(const std::string& name, const SampleFile& sample) {
  const auto store = P::open_store("/stores/one", {}, OpenMode::read_only);
  const auto reader = store.open(name, sample.identity);
  auto scope = store.read_scope();
  const Range all{0, sample.bytes.size()};
  reader.prefetch(scope, std::span(&all, 1));
  return std::ranges::equal(reader.view(scope, 0, sample.bytes.size()), sample.bytes);
}

void write_script(Progress& progress) {
  auto store = Writer::create_store("/stores/one");
  const auto lock = store.lock_for_writing();
  const auto step = [&](std::initializer_list<const char*> names) {
    std::vector<Writer::Draft> drafts;
    std::map<std::string, SampleFile> now;
    for (const auto* name : names) {
      const auto sample = make_sample(sample_bytes(9000, now.size() + 1));
      drafts.push_back(store.create(name));
      for (std::size_t at = 0; at < sample.bytes.size(); at += 4000)
        drafts.back().append(ByteSpan(sample.bytes).subspan(at, std::min<std::size_t>(4000, sample.bytes.size() - at)));
      progress.attempted[name] = now[name] = sample;
    }
    store.publish(std::span(drafts));
    progress.published.merge(now);
  };
  step({"seg-000001/a", "seg-000001/b", "idmap-000001"});
  step({"MANIFEST_00000000000001"});
  step({"seg-000002/a", "idmap-000002"});
  step({"MANIFEST_00000000000002"});
  progress.published.erase("seg-000001/a");  // from here on it may be gone
  store.remove("seg-000001/a");
  BOOST_REQUIRE(store.list().size() == 7);
}

}  // namespace

BOOST_AUTO_TEST_CASE(every_failure_of_a_write_is_a_typed_error_and_keeps_what_was_published) {
  std::size_t injections = 0;
  for (const int error : {EIO, ENOSPC, EDQUOT, EROFS, EACCES, EMFILE, EINVAL})
    for (const bool for_ever : {false, true})
      injections += sweep(error, for_ever, [&](std::size_t at) {
        BOOST_TEST_CONTEXT("errno " << error << " at call " << at << (for_ever ? " and for ever" : "")) {
          Progress progress;
          Errc code = Errc::none;
          try {
            write_script(progress);
          } catch (const Error& e) {
            code = e.code();
            BOOST_TEST(!e.path().empty());
          }
          // EINVAL is how a rename says that it cannot refuse to replace: then links do.
          const bool expected = code == Errc::none || code == Errc::io_error || (code == Errc::no_space && (error == ENOSPC || error == EDQUOT)) ||
                                (code == Errc::read_only && (error == EROFS || error == EACCES));
          BOOST_TEST(expected, to_string(code));
          Faulty::disarm();
          for (const auto& [name, sample] : progress.published) BOOST_TEST((whole<BasicMMapPolicy<RecordingFileSystem>>(name, sample)));
          if (progress.published.empty()) return;
          auto again = Writer::open_store("/stores/one", {}, OpenMode::read_write);
          // What was not acknowledged is there whole or not at all.
          for (const auto& file : again.list())
            if (const auto found = progress.attempted.find(file.name); found != progress.attempted.end()) BOOST_TEST((whole<Writer>(file.name, found->second)));
          const auto lock = again.lock_for_writing();
          publish_sample(again, "idmap-000009", make_sample(sample_bytes(100)));
        }
      });
  BOOST_TEST_MESSAGE("injections: " << injections);
  BOOST_TEST(injections > 500u);
}

BOOST_AUTO_TEST_CASE(short_and_interrupted_calls_change_nothing) {
  for (const bool for_ever : {false, true}) {
    const auto injections = sweep(0, for_ever, [&](std::size_t at) {
      BOOST_TEST_CONTEXT("short from call " << at) {
        Progress progress;
        write_script(progress);
        for (const auto& [name, sample] : progress.published) {
          BOOST_TEST((whole<Writer>(name, sample)));
          BOOST_TEST((whole<BasicFileReadPolicy<Faulty>>(name, sample)));
          BOOST_TEST((whole<BasicMemoryPolicy<Faulty>>(name, sample)));
        }
      }
    });
    BOOST_TEST(injections > 10u);
  }
  const auto injections = sweep(EINTR, false, [&](std::size_t at) {
    BOOST_TEST_CONTEXT("interrupted at call " << at) {
      Progress progress;
      write_script(progress);
      BOOST_TEST(progress.published.size() == 6u);
      for (const auto& [name, sample] : progress.published) {
        BOOST_TEST((whole<Writer>(name, sample)));
        BOOST_TEST((whole<BasicFileReadPolicy<Faulty>>(name, sample)));
        BOOST_TEST((whole<BasicMemoryPolicy<Faulty>>(name, sample)));
      }
    }
  });
  BOOST_TEST(injections > 50u);
}

BOOST_AUTO_TEST_CASE(a_storm_of_signals_is_an_error_and_no_hang) {
  RecordingFileSystem::reset();
  Faulty::plan({.at = 1, .error = EINTR, .for_ever = true});
  BOOST_CHECK_THROW(static_cast<void>(Writer::create_store("/stores/one")), Error);
  Faulty::clear();
}

BOOST_AUTO_TEST_CASE(every_failure_of_a_read_is_a_typed_error_and_passes) {
  const auto sample = make_sample(sample_bytes(9000));
  const auto reads = [&]<class P>(std::type_identity<P>) {
    for (const int error : {EIO, EMFILE, ENFILE, EACCES, ENOMEM}) {
      for (std::size_t at = 1;; ++at) {
        RecordingFileSystem::reset();
        auto store = BasicMMapPolicy<RecordingFileSystem>::create_store("/stores/one");
        publish_sample(store, "seg-000001/a", sample);
        Faulty::plan({.at = at, .error = error});
        try {
          BOOST_TEST(whole<P>("seg-000001/a", sample));
        } catch (const Error& e) {
          BOOST_TEST((e.code() == Errc::io_error), e.what());
          BOOST_TEST(!e.path().empty());
        }
        const auto fired = Faulty::fired();
        Faulty::clear();
        BOOST_TEST(whole<P>("seg-000001/a", sample));
        if (fired == 0) break;
      }
    }
  };
  reads(std::type_identity<BasicMMapPolicy<Faulty>>());
  reads(std::type_identity<BasicMemoryPolicy<Faulty>>());
  reads(std::type_identity<BasicFileReadPolicy<Faulty>>());
}

BOOST_AUTO_TEST_SUITE_END()
