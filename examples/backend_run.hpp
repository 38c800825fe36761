// One backend measured in a process of its own, so that what one backend touched is not counted for the next.
#pragma once

#include "fashion.hpp"

#include <quiver/quiver.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <limits>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace examples {

/// What one backend did: times in milliseconds, resident memory in KiB above what the process held before it opened the collection.
struct BackendRun {
  std::string name;
  double open_ms = 0;
  long opened_kib = 0, searched_kib = 0;
  double queries_per_second = 0;
  Answers answers;
};

/// Anonymous and file pages of this process that are resident now, in KiB.
[[nodiscard]] inline long resident_kib() {
  std::ifstream status("/proc/self/status");
  long sum = 0;
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("RssAnon:") || line.starts_with("RssFile:")) sum += std::stol(line.substr(8));
  return sum;
}

/// Opens the store under P and asks every query, then asks again until a second is full. Answers go to standard output, one a line.
template <class P>
void run_backend(const std::filesystem::path& store, const std::filesystem::path& data, std::size_t k) {
  using Clock = std::chrono::steady_clock;
  const auto seconds_since = [](Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); };
  const Queries queries(data);
  std::vector<std::vector<float>> asked;
  for (std::size_t query = 0; query < queries.size(); ++query) asked.push_back(pixels(queries.pictures.row(query)));

  const long before = resident_kib();
  const auto open_start = Clock::now();
  const auto collection = quiver::Collection<P>::open(store, {.mode = quiver::OpenMode::read_only});
  const double open_ms = 1000 * seconds_since(open_start);
  const long opened = resident_kib() - before;

  const auto search = [&](std::size_t query) { return collection.search({.field = "picture", .query = asked[query], .k = k, .fields = {"label"}}); };
  std::ostringstream lines;
  lines.precision(std::numeric_limits<float>::max_digits10);
  for (std::size_t query = 0; query < asked.size(); ++query)
    for (const quiver::Hit& hit : search(query))
      lines << "answer " << query << ' ' << hit.key << ' ' << hit.distance << ' ' << hit.document.template get<std::string>("label").value_or("") << '\n';
  const long searched = resident_kib() - before;

  std::size_t asked_again = 0;
  const auto search_start = Clock::now();
  do {
    for (std::size_t query = 0; query < asked.size(); ++query)
      if (search(query).size() != k) throw std::runtime_error("a search returned fewer than k answers");
    asked_again += asked.size();
  } while (seconds_since(search_start) < 1);
  std::cout << lines.str() << "figures " << open_ms << ' ' << opened << ' ' << searched << ' ' << static_cast<double>(asked_again) / seconds_since(search_start)
            << std::endl;
}

/// Runs `program --measure name …` as a child and reads what run_backend() printed there.
[[nodiscard]] inline BackendRun measure_in_child(std::string_view name, const std::filesystem::path& store, const std::filesystem::path& data,
                                                 std::size_t queries) {
  int ends[2];
  if (::pipe(ends) != 0) throw std::runtime_error("cannot make a pipe");
  std::vector<std::string> words{"/proc/self/exe", "--measure", std::string(name), "--store", store.string(), "--data", data.string()};
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  const ::pid_t child = ::fork();
  if (child < 0) throw std::runtime_error("cannot start a process to measure in");
  if (child == 0) {
    ::dup2(ends[1], STDOUT_FILENO);
    ::close(ends[0]);
    ::close(ends[1]);
    ::execv(words.front().c_str(), arguments.data());
    ::_exit(127);
  }
  ::close(ends[1]);
  std::string output;
  char buffer[4096];
  for (::ssize_t got = 0; (got = ::read(ends[0], buffer, sizeof buffer)) > 0;) output.append(buffer, static_cast<std::size_t>(got));
  ::close(ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) throw std::runtime_error("measuring backend " + std::string(name) + " failed; its message is above");

  BackendRun run;
  run.name = name;
  run.answers.resize(queries);
  std::istringstream lines(output);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream parts(line);
    std::string kind;
    parts >> kind;
    if (kind == "figures") {
      parts >> run.open_ms >> run.opened_kib >> run.searched_kib >> run.queries_per_second;
    } else {
      std::size_t query = 0;
      Answer answer;
      parts >> query >> answer.row >> answer.distance >> std::ws;
      std::getline(parts, answer.label);
      run.answers.at(query).push_back(std::move(answer));
    }
  }
  return run;
}

}  // namespace examples
