// Shared by the readers of the formats that read_results knows; each format is a file of its own.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "arqon/load/read_results.h"
#include "arqon/wire/json.h"

namespace arqon::load::results {

inline constexpr double kTokensMax = 1e9;
inline constexpr double kSecondsMax = 1e7;  // a run is shorter than a hundred days

// Reads members and remembers the first thing that is wrong.
class Reader {
 public:
  const std::string& error() const { return error_; }
  bool good() const { return error_.empty(); }
  void complain(const wire::Value* at, std::string_view path, std::string_view what);
  // Lines of a file that is read line by line.
  void set_line_offset(int offset) { line_offset_ = offset; }

  const wire::Value* need(const wire::Value& object, std::string_view key, std::string_view path);
  // Absent and null are nothing.
  std::optional<double> number(const wire::Value& object, std::string_view key,
                               std::string_view path, double min, double max);
  double need_number(const wire::Value& object, std::string_view key, std::string_view path,
                     double min, double max);
  const wire::Array* array(const wire::Value& object, std::string_view key, std::string_view path);
  static std::string text(const wire::Value& object, std::string_view key);
  static std::string join(std::string_view path, std::string_view key);

 private:
  std::string error_;
  int line_offset_ = 0;
};

// One JSON document of a file and how many lines stand before it.
struct Document {
  wire::Value value;
  int line_offset = 0;
};

inline std::uint32_t tokens(std::optional<double> n) {
  return static_cast<std::uint32_t>(n.value_or(0));
}

// Judges the rows, puts the first arrival at 0 and adds them up.
void finish(ForeignRun& run, const serving::Slo& slo);
// A summary alone: nobody can be judged.
void finish_summary(ForeignRun& run, const serving::Slo& slo, double good, double failed);

bool is_vllm(const wire::Value& root);
ForeignRun read_vllm(Reader& in, const wire::Value& root, const serving::Slo& slo);

bool is_aiperf_record(const wire::Value& root);
bool is_aiperf_summary(const wire::Value& root);
ForeignRun read_aiperf_records(Reader& in, const std::vector<Document>& records,
                               const serving::Slo& slo);
ForeignRun read_aiperf_summary(Reader& in, const wire::Value& root, const serving::Slo& slo);

bool is_guidellm(const wire::Value& root);
std::vector<ForeignRun> read_guidellm(Reader& in, const wire::Value& root,
                                      const serving::Slo& slo);

}  // namespace arqon::load::results
