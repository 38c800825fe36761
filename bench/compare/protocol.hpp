// What compare.py says to a runner and what a runner answers: one JSON object a line, over standard input and output. A runner is this and a system:
// serve(system) in main(). The Python runners speak the same (peers/base.py).
#pragma once

#include <quiver/formats/json.hpp>

#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <exception>
#include <filesystem>
#include <fstream>
#include <future>
#include <iostream>
#include <latch>
#include <limits>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace compare {

/// One line of the driver. `action` is hello, build, live, open or search; the members that it does not need are as they stand here. Unknown members are
/// refused.
struct Request {
  std::string action = {};
  std::string base = {}, query = {};  ///< files of rows x dim (queries x dim) float32, little endian, nothing else in them
  std::string folder = {};            ///< where the index is put, or opened
  std::string metric = "l2";          ///< or cosine: then rows and queries have length 1
  std::size_t rows = 0, queries = 0, dim = 0;
  std::size_t m = 16, ef_construction = 200;
  std::size_t k = 10, ef = 10;
  std::size_t refine = 0;   ///< of a quantized index: candidates that are looked at in full precision; 0: as the system does by itself
  std::size_t threads = 1;  ///< that share the queries
  double at_least = 0;      ///< seconds of processor time: all queries are asked again until they are used up
};

[[nodiscard]] inline Request parse(std::string_view line) {
  static const std::filesystem::path name = "the driver's line";
  quiver::detail::JsonReader reader(line, name);
  Request request;
  reader.object([&](std::string_view key) {
    const auto size = [&](std::size_t& to) { to = reader.integer<std::size_t>(); };
    // clang-format off
    if (key == "action") reader.string(request.action);
    else if (key == "base") reader.string(request.base);
    else if (key == "query") reader.string(request.query);
    else if (key == "folder") reader.string(request.folder);
    else if (key == "metric") reader.string(request.metric);
    else if (key == "rows") size(request.rows);
    else if (key == "queries") size(request.queries);
    else if (key == "dim") size(request.dim);
    else if (key == "m") size(request.m);
    else if (key == "ef_construction") size(request.ef_construction);
    else if (key == "k") size(request.k);
    else if (key == "ef") size(request.ef);
    else if (key == "refine") size(request.refine);
    else if (key == "threads") size(request.threads);
    else if (key == "at_least") request.at_least = std::stod(std::string(reader.number()));
    else throw std::runtime_error("unknown member " + std::string(key));
    // clang-format on
  });
  reader.end();
  return request;
}

/// One answer: members are added, str() closes it.
class Answer {
 public:
  Answer& add(std::string_view key, double value) {
    name(key);
    quiver::detail::append_json_number(text_, value);
    return *this;
  }
  Answer& add(std::string_view key, std::string_view value) {
    name(key);
    quiver::detail::append_json_string(text_, value);
    return *this;
  }
  /// A list of lists, `width` numbers each.
  Answer& add(std::string_view key, std::span<const std::int64_t> values, std::size_t width) {
    name(key);
    text_ += '[';
    for (std::size_t i = 0; i < values.size(); ++i) {
      text_ += i % width == 0 ? (i == 0 ? "[" : ",[") : ",";
      quiver::detail::append_json_number(text_, values[i]);
      if (i % width + 1 == width) text_ += ']';
    }
    text_ += ']';
    return *this;
  }
  [[nodiscard]] std::string str() const { return "{" + text_ + "}"; }

 private:
  void name(std::string_view key) {
    if (!text_.empty()) text_ += ',';
    quiver::detail::append_json_string(text_, key);
    text_ += ':';
  }
  std::string text_;
};

struct Seconds {
  double cpu = 0, wall = 0;
};

/// Processor time of all threads of this process, and the time on the wall, since it was made or asked last.
class Stopwatch {
 public:
  [[nodiscard]] Seconds lap() {
    const Seconds now = read(), spent{now.cpu - last_.cpu, now.wall - last_.wall};
    last_ = now;
    return spent;
  }

 private:
  static Seconds read() {
    const auto seconds = [](::clockid_t clock) {
      ::timespec now{};
      ::clock_gettime(clock, &now);
      return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
    };
    return {seconds(CLOCK_PROCESS_CPUTIME_ID), seconds(CLOCK_MONOTONIC)};
  }
  Seconds last_ = read();
};

/// Bytes of this process that are in memory now, its own and those of mapped files.
[[nodiscard]] inline double resident_bytes() {
  std::ifstream status("/proc/self/status");
  double sum = 0;
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("RssAnon:") || line.starts_with("RssFile:") || line.starts_with("RssShmem:")) sum += 1024 * std::stod(line.substr(line.find(':') + 1));
  return sum;
}

/// The most that were ever there.
[[nodiscard]] inline double peak_bytes() {
  ::rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return 1024.0 * static_cast<double>(usage.ru_maxrss);
}

[[nodiscard]] inline std::vector<float> read_floats(const std::string& path, std::size_t count) {
  std::vector<float> values(count);
  std::ifstream file(path, std::ios::binary);
  if (!file.read(reinterpret_cast<char*>(values.data()), static_cast<std::streamsize>(count * sizeof(float))))
    throw std::runtime_error(path + " is too short, or not there");
  return values;
}

/// What a build cost: to take the rows, where the system keeps them beside the index, and to make the index.
struct Built {
  Seconds rows = {}, index = {};
};

/// A system under comparison. prepare() goes before the searches of a request and is not timed; search() writes the row numbers of the k nearest, -1 where it
/// found fewer, and any number of threads may call it.
template <class S>
concept System = requires(S system, const Request& request, std::span<const float> rows, std::int64_t* found) {
  { system.version() } -> std::convertible_to<std::string>;
  { system.build(request, rows) } -> std::same_as<Built>;
  system.open(request);
  system.prepare(request);
  system.search(request, rows, found);
};

/// One that takes rows one after the other or in batches while it may be searched; live() returns once all can be found along its graph.
template <class S>
concept LiveSystem = System<S> && requires(S system, const Request& request, std::span<const float> rows) {
  { system.live(request, rows) } -> std::same_as<Seconds>;
};

/// All queries, again and again until `at_least` seconds of processor time are used up. Threads are started before the clock is, and take the next few queries
/// as they get done, so that neither starting them nor an uneven share counts as the system's time.
template <System S>
[[nodiscard]] std::string search_all(S& system, const Request& request, std::span<const float> queries) {
  if (request.threads == 0) throw std::runtime_error("no thread is to search");
  constexpr std::size_t taken_at_once = 8;
  const std::size_t shares = (request.queries + taken_at_once - 1) / taken_at_once;
  std::vector<std::int64_t> found(request.queries * request.k, -1);
  std::atomic<std::size_t> next = 0, end = shares == 0 ? 0 : std::numeric_limits<std::size_t>::max();
  system.prepare(request);
  std::optional<Stopwatch> watch;
  const auto work = [&] {
    std::vector<std::int64_t> again(request.k);
    for (std::size_t share = next++; share < end; share = next++) {
      if (share > 0 && share % shares == 0 && Stopwatch(*watch).lap().cpu >= request.at_least) {
        std::size_t open = std::numeric_limits<std::size_t>::max();
        end.compare_exchange_strong(open, share);
        return;
      }
      const std::size_t first = share % shares * taken_at_once;
      for (std::size_t i = first; i < std::min(first + taken_at_once, request.queries); ++i)
        system.search(request, queries.subspan(i * request.dim, request.dim), share < shares ? found.data() + i * request.k : again.data());
    }
  };
  std::latch ready(static_cast<std::ptrdiff_t>(request.threads)), start(1);
  std::vector<std::future<void>> others;
  for (std::size_t thread = 1; thread < request.threads; ++thread)
    others.push_back(std::async(std::launch::async, [&] {
      ready.count_down();
      start.wait();
      work();
    }));
  ready.arrive_and_wait();
  watch.emplace();
  start.count_down();
  work();
  for (auto& each : others) each.get();
  const Seconds spent = watch->lap();
  const double passes = static_cast<double>(end) / static_cast<double>(std::max<std::size_t>(shares, 1));
  return Answer{}.add("cpu", spent.cpu / passes).add("wall", spent.wall / passes).add("resident", resident_bytes()).add("ids", found, request.k).str();
}

/// Answers until the driver closes the pipe. An error is an answer too, and the next line is read.
template <System S>
int serve(S& system) {
  std::vector<float> queries;
  for (std::string line; std::getline(std::cin, line);) {
    std::string answer;
    try {
      const Request request = parse(line);
      if (request.action == "hello") {
        answer = Answer{}.add("version", system.version()).add("language", "C++").str();
      } else if (request.action == "build") {
        const auto rows = read_floats(request.base, request.rows * request.dim);
        const Built built = system.build(request, rows);
        answer = Answer{}
                     .add("rows_cpu", built.rows.cpu)
                     .add("rows_wall", built.rows.wall)
                     .add("index_cpu", built.index.cpu)
                     .add("index_wall", built.index.wall)
                     .add("peak", peak_bytes())
                     .str();
      } else if (request.action == "live") {
        if constexpr (LiveSystem<S>) {
          const Seconds spent = system.live(request, read_floats(request.base, request.rows * request.dim));
          answer = Answer{}.add("cpu", spent.cpu).add("wall", spent.wall).str();
        } else {
          throw std::runtime_error("it takes no rows while it is searched");
        }
      } else if (request.action == "open") {
        queries = read_floats(request.query, request.queries * request.dim);
        const double before = resident_bytes();
        Stopwatch watch;
        system.open(request);
        const Seconds spent = watch.lap();
        answer = Answer{}.add("cpu", spent.cpu).add("wall", spent.wall).add("resident_before", before).add("resident", resident_bytes()).str();
      } else if (request.action == "search") {
        answer = search_all(system, request, queries);
      } else {
        throw std::runtime_error("unknown action '" + request.action + "'");
      }
    } catch (const std::exception& error) {
      answer = Answer{}.add("error", error.what()).str();
    }
    std::cout << answer << std::endl;
  }
  return 0;
}

}  // namespace compare
