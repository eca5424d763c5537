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
  std::filesystem::path audit_witness;  // a file that gets every checkpoint; empty = none
};

struct SimulateArgs {
  std::string scenario;
  std::vector<std::string> set;  // "main.batch_size=64"
  std::optional<std::uint64_t> seed;
  bool json = false;
  bool explain = false;
  bool quiet = false;
  std::filesystem::path requests;  // empty = none
  std::filesystem::path gantt;     // empty = none
  double gantt_from = 0;
  double gantt_seconds = 60;
};

struct CalibrateArgs {
  std::vector<std::string> words;  // files, or "vllm" and a URL
  std::string scenario;            // whose pool is calibrated
  std::string pool;                // empty = the first
  std::string model, gpu, dtype = "bf16";  // instead of a scenario
  int tp = 1;
  std::string engine;              // for the document: e.g. "vllm 0.32.0"
  double window_s = 15;            // of a history
  double half_life_s = 1200;
  double seconds = 60;             // live: how long to watch
  bool probe = false;              // live: send idle probes
  std::string served_model;        // live: empty = the first one the server names
  std::filesystem::path out;       // empty = stdout
  bool json = false;
  bool quiet = false;
};

struct AdviseArgs {
  std::vector<std::string> files;  // a history or windows
  std::string flags;               // a vLLM command line
  std::filesystem::path flags_file;
  std::string model, gpu, dtype;
  std::filesystem::path calibration;
  int replicas = 1;
  double ttft_ms = 0, tpot_ms = 0, max_gap_ms = 0, e2e_ms = 0;  // 0 = no limit
  std::uint64_t seed = 0;
  bool json = false;
  bool quiet = false;
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
  std::filesystem::path state;     // a state folder in their place
  bool json = false;
};

// status, approve, reject, pause, resume, freeze, rollback, explain.
struct PersonArgs {
  std::string verb;
  std::optional<std::uint64_t> decision;  // approve, reject, explain; absent = the newest
  std::filesystem::path state;            // empty = the only one in .arqonhpo
  bool json = false;
};

// audit verify | show | diff | export | prove.
struct AuditArgs {
  std::string verb;                       // empty = `audit` alone
  std::filesystem::path state;            // empty = the only one in .arqonhpo
  std::vector<std::filesystem::path> against;  // verify: checkpoints kept elsewhere
  std::filesystem::path proof;            // verify: what `prove` printed, in place of a chain
  bool without_tapes = false;             // verify
  std::vector<std::uint64_t> records;     // show, diff, prove: by number
  std::uint64_t last = 20;                // show: the newest so many
  std::string action;                     // show, export: only these
  std::string knob;                       // show: only what moves it
  std::string format = "json";            // export: "json" (a line a record) or "csv"
  bool json = false;
  bool quiet = false;
};

struct ReplayArgs {
  std::filesystem::path state;  // a state folder, or one of its tapes; empty = the only one
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
                             AgentArgs, CalibrateArgs, AdviseArgs, AuditArgs, ReplayArgs, Message>;

// Never throws; a mistake comes back as a Message with exit code 2 and a hint.
Command parse_command_line(int argc, const char* const* argv);

}  // namespace arqon::app
