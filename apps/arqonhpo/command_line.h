// What a user typed, as typed values: one aggregate per verb.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace arqon::app {

struct TuneArgs {
  std::string scenario;  // a path, or the name of a shipped scenario
  bool compare = false;
  std::vector<std::string> strategies;
  std::vector<std::uint64_t> seeds;  // empty = the scenario's own
  bool json = false;
  bool quiet = false;
  std::filesystem::path out;     // empty = results/NAME
  std::filesystem::path report;  // empty = OUT/report.html
  std::filesystem::path state;   // empty = .arqonhpo/NAME
  std::filesystem::path baselines;
  bool recompute_baselines = false;
  unsigned threads = 0;  // 0 = all
  // Live engines only.
  std::optional<double> seconds;  // absent = the scenario's duration_s
  std::string mode;               // observe | recommend | approve | auto; empty = the scenario's
  std::uint64_t repeats = 3;      // of --compare
  std::string load_url;           // where --compare sends its traffic; empty = target.url
};

struct SimulateArgs {
  std::string scenario;
  std::vector<std::string> set;  // "main.batch_size=64"
  std::optional<std::uint64_t> seed;
  bool json = false;
  bool explain = false;
  std::filesystem::path requests;  // empty = none
};

struct ValidateArgs {
  std::vector<std::string> files;
  std::string from, to;  // settings as JSON objects; empty = not asked how long the way takes
  bool json = false;
  bool explain = false;
};

struct LoadArgs {
  std::string scenario;
  std::string url;
  std::string model;             // empty = the first one the server names
  std::string endpoint = "completions";  // "completions" | "chat"
  std::string prompts;           // "ids" | "words"; empty = what the endpoint takes
  std::vector<std::uint32_t> token_ids;  // first, last
  bool stop_early = false;
  double rate = 1;
  double lengths = 1;
  double seconds = 0;            // 0 = the scenario's
  double warmup = 0;
  double drain = 600;
  double request_timeout = 600;
  std::size_t streams = 2048;
  std::uint32_t context = 0;     // 0 = what the server says
  std::optional<std::uint64_t> seed;
  std::filesystem::path api_key_file;
  std::string api_key_env;
  std::filesystem::path requests;  // empty = none
  std::filesystem::path out;       // empty = none
  std::filesystem::path read;      // a result file of another client
  std::string request_class;       // of that file's requests
  bool json = false;
  bool quiet = false;
};

struct DoctorArgs {
  std::vector<std::string> words;  // ENGINE URL, either of them, or none
  bool json = false;
};

// status, approve, reject, pause, resume, freeze, rollback, explain.
struct PersonArgs {
  std::string verb;
  std::optional<std::uint64_t> decision;  // approve, reject, explain; absent = the newest
  std::filesystem::path state;            // empty = the only one in .arqonhpo
  bool json = false;
};

struct AgentArgs {
  std::string scenario;
  std::filesystem::path state;  // empty = .arqonhpo/NAME
  bool spawned = false;         // by a tuner: ends when that is done
};

// Nothing to run: help, the version, or a mistake in the command line.
struct Message {
  std::string text;
  int exit_code = 0;  // 0: text goes to stdout, else to stderr
};

using Command = std::variant<TuneArgs, SimulateArgs, ValidateArgs, LoadArgs, DoctorArgs, PersonArgs,
                             AgentArgs, Message>;

// Never throws; a mistake comes back as a Message with exit code 2 and a hint.
Command parse_command_line(int argc, const char* const* argv);

}  // namespace arqon::app
