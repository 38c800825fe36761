#include "storage/conformance.hpp"

BOOST_AUTO_TEST_SUITE(conformance_writing)

using namespace quiver;
using namespace quiver::test;

BOOST_AUTO_TEST_CASE_TEMPLATE(a_draft_is_invisible_until_it_is_published, P, WritablePolicies) {
  Place<P> place;
  const auto sample = make_sample(sample_bytes(10'000));
  auto draft = place.writer.create("seg-000001/blk-000001.scalar");
  draft.append(sample.bytes);
  BOOST_TEST((code_of([&] { return place.open().open("seg-000001/blk-000001.scalar", sample.identity); }) == Errc::not_found));
  BOOST_TEST((code_of([&] { return place.open().read_small("seg-000001/blk-000001.scalar"); }) == Errc::not_found));
  BOOST_TEST(place.names().empty());
  place.writer.publish(std::move(draft));
  BOOST_TEST((code_of([&] { return place.open().open("seg-000001/blk-000001.scalar", sample.identity); }) == Errc::none));
  BOOST_TEST(same(place.writer.read_small("seg-000001/blk-000001.scalar"), sample.bytes));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_draft_that_is_dropped_leaves_nothing, P, WritablePolicies) {
  Place<P> place;
  {
    auto draft = place.writer.create("seg-000001/blk-000001.scalar");
    draft.append(sample_bytes(10'000));
    auto moved = std::move(draft);
    moved.append(sample_bytes(10));
  }
  BOOST_TEST(place.open().list().empty());
  place.add("seg-000001/blk-000001.scalar", 10);
  BOOST_TEST(place.names().size() == 1u);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(publishing_never_replaces, P, WritablePolicies) {
  Place<P> place;
  const auto first = place.add("seg-000001/blk-000001.scalar", 10'000, 1);
  BOOST_TEST((code_of([&] {
                place.add("seg-000001/blk-000001.scalar", 10'000, 2);
                return 0;
              }) == Errc::already_exists));
  BOOST_TEST(same(place.open().read_small("seg-000001/blk-000001.scalar"), first.bytes));
  BOOST_TEST(place.open().list().size() == 1u);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(several_drafts_are_published_together_or_not_at_all, P, WritablePolicies) {
  Place<P> place;
  const auto drafts = [&](std::initializer_list<const char*> names) {
    std::vector<typename P::Draft> all;
    for (const auto* name : names) {
      all.push_back(place.writer.create(name));
      all.back().append(detail::as_bytes(std::string_view(name)));
    }
    return all;
  };
  auto good = drafts({"seg-000001/blk-000001.scalar", "seg-000002/blk-000001.scalar", "idmap-000001"});
  place.writer.publish(std::span(good));
  BOOST_TEST(place.names().size() == 3u);
  for (const auto& name : place.names()) BOOST_TEST(same(place.writer.read_small(name), detail::as_bytes(std::string_view(name))));
  {
    auto bad = drafts({"seg-000001/blk-000002.scalar", "idmap-000001", "idmap-000002"});
    BOOST_TEST((code_of([&] {
                  place.writer.publish(std::span(bad));
                  return 0;
                }) == Errc::already_exists));
  }
  BOOST_TEST(place.names().size() == 3u);
  auto again = drafts({"seg-000001/blk-000002.scalar", "idmap-000002"});
  place.writer.publish(std::span(again));
  BOOST_TEST(place.names().size() == 5u);
  place.writer.publish(std::span<typename P::Draft>());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_draft_takes_bytes_in_any_pieces, P, WritablePolicies) {
  Place<P> place;
  Bytes all;
  auto draft = place.writer.create("MANIFEST_00000000000001");
  draft.append({});
  for (std::size_t i = 0; i < 60; ++i) {
    const auto piece = sample_bytes(i * i * 40 + i, i);
    detail::append(all, piece);
    draft.append(piece);
  }
  place.writer.publish(std::move(draft));
  BOOST_TEST(same(place.open().read_small("MANIFEST_00000000000001"), all));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(removing_is_final_and_what_is_missing_is_no_error, P, WritablePolicies) {
  Place<P> place;
  place.add("seg-000001/blk-000001.scalar", 10);
  place.writer.remove("seg-000001/blk-000001.scalar");
  place.writer.remove("seg-000001/blk-000001.scalar");
  place.writer.remove("seg-000009/blk-000001.scalar");
  BOOST_TEST(place.names().empty());
  place.add("seg-000001/blk-000001.scalar", 20);
  BOOST_TEST(place.names().size() == 1u);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(one_writer_at_a_time_holds_the_lock, P, WritablePolicies) {
  Place<P> place;
  auto other = P::open_store(place.path, place.options, OpenMode::read_write);
  {
    auto lock = place.writer.lock_for_writing();
    BOOST_TEST((code_of([&] { return place.writer.lock_for_writing(); }) == Errc::locked));
    BOOST_TEST((code_of([&] { return other.lock_for_writing(); }) == Errc::locked));
    auto moved = std::move(lock);
    BOOST_TEST((code_of([&] { return other.lock_for_writing(); }) == Errc::locked));
    BOOST_TEST((code_of([&] { return place.open().list(); }) == Errc::none));  // readers take no lock
  }
  const auto lock = other.lock_for_writing();
  BOOST_TEST((code_of([&] { return place.writer.lock_for_writing(); }) == Errc::locked));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_store_opened_read_only_cannot_be_written, P, WritablePolicies) {
  Place<P> place;
  auto store = place.open();
  BOOST_TEST((code_of([&] { return store.create("idmap-000001"); }) == Errc::read_only));
  BOOST_TEST((code_of([&] { return store.lock_for_writing(); }) == Errc::read_only));
  BOOST_TEST((code_of([&] {
                store.remove("idmap-000001");
                return 0;
              }) == Errc::read_only));
  BOOST_TEST(place.open().list().empty());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_store_is_created_once, P, WritablePolicies) {
  Place<P> place;
  place.add_bytes("MANIFEST_00000000000001", sample_bytes(10));
  BOOST_TEST((code_of([&] { return P::create_store(place.path, place.options); }) == Errc::already_exists));
  BOOST_TEST(same(place.open().read_small("MANIFEST_00000000000001"), sample_bytes(10)));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(what_is_published_is_there_after_a_reopen, P, WritablePolicies) {
  Place<P> place;
  const auto sample = place.add("seg-000001/blk-000001.scalar", 10'000);
  auto again = P::open_store(place.path, place.options, OpenMode::read_write);
  const auto lock = again.lock_for_writing();
  const auto reader = again.open("seg-000001/blk-000001.scalar", sample.identity);
  auto scope = again.read_scope();
  BOOST_TEST(same(reader.view(scope, 0, sample.bytes.size()), sample.bytes));
  const auto more = make_sample(sample_bytes(500, 3));
  publish_sample(again, "seg-000001/blk-000002.scalar", more);
  BOOST_TEST((code_of([&] { return place.open().open("seg-000001/blk-000002.scalar", more.identity); }) == Errc::none));
}

BOOST_AUTO_TEST_SUITE_END()
