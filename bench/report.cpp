// Runs every benchmark program and prints the one table that matters: target, reached, ratio, OK or MISS. It knows no benchmark by name: a line is made of
// every one that sets the counters `target`, `reached` and `at_least` (support/measure.hpp).
#include <boost/property_tree/json_parser.hpp>
#include <boost/property_tree/ptree.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;

constexpr const char* usage = R"(usage: report [--short] [PROGRAM…]

Runs the benchmark programs (default: every *_bench in the folder of this program), shows their
output, and closes with a table of targets. Ends with status 1 where a target is missed.

  --short   small sizes, to see that everything runs; figures mean nothing and are not judged
)";

struct Line {
  std::string what;
  double target = 0, reached = 0;
  bool at_least = false, skipped = false;

  /// 1 and more: the target is reached, by that factor.
  [[nodiscard]] double ratio() const { return at_least ? reached / target : target / reached; }
  [[nodiscard]] bool good() const { return skipped || ratio() >= 1; }
};

int run(const fs::path& program, const fs::path& json) {
  std::vector<std::string> words{program.string(), "--benchmark_out_format=json", "--benchmark_out=" + json.string(), "--benchmark_counters_tabular=true"};
  if (std::getenv("QUIVER_BENCH_SHORT") != nullptr) words.emplace_back("--benchmark_min_time=0.01");
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  std::cout.flush();
  const ::pid_t child = ::fork();
  if (child < 0) throw std::runtime_error("cannot start " + program.string());
  if (child == 0) {
    ::execv(arguments.front(), arguments.data());
    ::_exit(127);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return status;
}

std::vector<Line> lines_of(const fs::path& json) {
  boost::property_tree::ptree tree;
  boost::property_tree::read_json(json.string(), tree);
  std::vector<Line> lines;
  for (const auto& [unused, entry] : tree.get_child("benchmarks")) {
    const auto target = entry.get_optional<double>("target");
    if (!target) continue;
    lines.push_back(
        {entry.get<std::string>("label"), *target, entry.get<double>("reached"), entry.get<double>("at_least") > 0, entry.get<double>("skipped", 0) > 0});
  }
  return lines;
}

std::string number(double value) {
  char text[64];
  std::snprintf(text, sizeof text, value >= 1000 ? "%.0f" : "%.3g", value);
  return text;
}

void print(const std::vector<Line>& lines, bool judged) {
  std::size_t width = 4;
  for (const Line& line : lines) width = std::max(width, line.what.size());
  const int columns = static_cast<int>(width);
  std::printf("\n%-*s  %10s  %10s  %6s\n", columns, "what", "target", "reached", "ratio");
  for (const Line& line : lines) {
    const std::string target = (line.at_least ? ">= " : "<= ") + number(line.target);
    if (line.skipped) {
      std::printf("%-*s  %10s  %10s  %6s  not measured\n", columns, line.what.c_str(), target.c_str(), "-", "-");
      continue;
    }
    std::printf("%-*s  %10s  %10s  %6.2f  %s\n", columns, line.what.c_str(), target.c_str(), number(line.reached).c_str(), line.ratio(),
                !judged       ? "not judged"
                : line.good() ? "OK"
                              : "MISS");
  }
  const auto skipped = std::count_if(lines.begin(), lines.end(), [](const Line& line) { return line.skipped; });
  if (skipped != 0) std::printf("\n%d skipped: what they measure against is not on this machine.\n", static_cast<int>(skipped));
  std::printf("\nratio: 1 or more means reached. Conditions: bench/README.md.\n");
}

}  // namespace

int main(int count, char** words) try {
  std::vector<fs::path> programs;
  for (int i = 1; i < count; ++i) {
    const std::string word = words[i];
    if (word == "--help" || word == "-h") {
      std::cout << usage;
      return 0;
    }
    if (word == "--short")
      ::setenv("QUIVER_BENCH_SHORT", "1", 1);
    else if (word.starts_with("-"))
      throw std::runtime_error("unknown option " + word);
    else
      programs.emplace_back(word);
  }
  if (programs.empty()) {
    for (const auto& entry : fs::directory_iterator(fs::read_symlink("/proc/self/exe").parent_path()))
      if (entry.is_regular_file() && entry.path().filename().string().ends_with("_bench")) programs.push_back(entry.path());
    std::sort(programs.begin(), programs.end());
  }
  if (programs.empty()) throw std::runtime_error("no benchmark program was found beside this one");

  std::vector<Line> lines;
  bool failed = false;
  const fs::path json = fs::temp_directory_path() / ("quiver-bench-" + std::to_string(::getpid()) + ".json");
  for (const fs::path& program : programs) {
    std::cout << "\n== " << program.filename().string() << '\n';
    if (run(program, json) != 0) {
      std::cerr << "report: " << program.string() << " failed\n";
      failed = true;
      continue;
    }
    const auto more = lines_of(json);
    lines.insert(lines.end(), more.begin(), more.end());
  }
  fs::remove(json);
  const bool judged = std::getenv("QUIVER_BENCH_SHORT") == nullptr;
  print(lines, judged);
  const bool missed = judged && std::any_of(lines.begin(), lines.end(), [](const Line& line) { return !line.good(); });
  return failed || missed ? 1 : 0;
} catch (const std::exception& error) {
  std::cerr << "report: " << error.what() << '\n';
  return 2;
}
